//! The guest's life: greet the server, then the host, serve, and take leave of both.
//!
//! Threads: this one takes requests, `symphony-server` reads what the server writes, `symphony-end` waits for its process, and
//! `symphony-stdin` writes what it does not read at once. None of them waits for the server while somebody waits for it, but in
//! the greeting and the leave.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use component::Code;
use ipc::{
    CallError, Closed, Hello, Inbound, InboundRequest, Lane, LaneOptions, Reader, RemoteFailure,
};

use crate::call::{Call, refused};
use crate::error::BridgeError;
use crate::kept::Kept;
use crate::lsp::Lsp;
use crate::mcp::Mcp;
use crate::processes::{End, Server, end_as};
use crate::settings::Settings;
use crate::speaker::Speaker;
use crate::wire::{Connection, Peer, Shape};

/// How long the host may take for its welcome.
const WELCOME: Duration = Duration::from_secs(30);
/// How long a server that closed its output may take to end.
const LAST: Duration = Duration::from_millis(200);
/// How long one that was told to go may take, before it is asked by a signal, and after that. The host itself asks by a
/// signal 500 ms after it asked to stop.
const LEAVES: Duration = Duration::from_millis(300);
const TERMINATES: Duration = Duration::from_millis(100);
/// How long all below may take to die.
const KILLED: Duration = Duration::from_millis(200);

/// What connects this process with host and server.
#[derive(Debug)]
pub struct Pipes {
    /// The guest's end of the lane.
    pub lane: OwnedFd,
    /// Where the server reads.
    pub stdin: OwnedFd,
    /// Where the server writes.
    pub stdout: OwnedFd,
    /// The server's process, a child of this one.
    pub server: i32,
    /// What the last run left.
    pub kept: Option<OwnedFd>,
    /// Kills and reaps everything below this process; whether nothing is left after so long.
    pub end_below: fn(Duration) -> bool,
}

/// Serves the calls of the host by the server, until either goes. Returns the exit code for this process.
pub fn serve(settings: &Settings, pipes: Pipes) -> i32 {
    match run(settings, pipes) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error}"));
            1
        }
    }
}

fn end_all(server: &Server) {
    if !server.end_all(KILLED) {
        say("something that the server started does not end");
    }
}

/// A line on this process's stderr, whose last lines are part of an error.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn run(settings: &Settings, pipes: Pipes) -> Result<i32, BridgeError> {
    let begun = Instant::now();
    let refused = |doing| move |source: std::io::Error| BridgeError::System { doing, source };
    let Pipes { lane, stdin, stdout, server, kept, end_below } = pipes;
    let server = Arc::new(Server::hold(server, end_below)?);
    let shape = if settings.is_lsp { Shape::Headers } else { Shape::Lines };
    let connection = Connection::new(shape, stdin).map_err(refused("write to the server"))?;
    let connection = Arc::new(connection);
    let speaker: Arc<dyn Speaker> = if settings.is_lsp {
        Arc::new(Lsp::new(settings.clone(), Kept::new(kept)))
    } else {
        Arc::new(Mcp::new(settings.clone(), Kept::new(kept)))
    };
    let reader =
        Reader::new().map_err(|error| BridgeError::Start { why: component::chain(&error) })?;
    let given_up =
        Arc::new(GivenUp { speaker: Arc::clone(&speaker), connection: Arc::clone(&connection) });
    let lane = Lane::open(lane, LaneOptions::guest(&reader), given_up)
        .map_err(|error| BridgeError::Start { why: component::chain(&error) })?;
    let leaving = Arc::new(AtomicBool::new(false));
    watch(&server, &connection, &speaker, stdout, &lane, &leaving)
        .map_err(refused("start a thread"))?;

    let operations = match speaker.greet(&connection) {
        Ok(operations) => operations,
        Err(error) => return Ok(failed_start(&server, &connection, &lane, &error, &leaving)),
    };
    let greeted = (ipc::monotonic_seconds(begun), ipc::monotonic_seconds(Instant::now()));
    let hello = Hello {
        language: settings.protocol().to_owned(),
        operations,
        spans: vec![("server".to_owned(), greeted.0, greeted.1)],
        ..Hello::new(settings.name.clone())
    };
    let welcomed = lane.hello(&hello, WELCOME).and_then(|_| lane.ready());
    if welcomed.is_ok() {
        // Nothing may be published before.
        speaker.serve(&connection, &lane);
    }
    if leaving.load(Ordering::Acquire) {
        // It ended before the lane could be closed for it.
        return Ok(crashed(&server));
    }
    let outcome = welcomed.and_then(|()| take_requests(&lane, &connection, &speaker));
    let asked_to_go = matches!(outcome, Ok(()));
    if !asked_to_go && !leaving.swap(true, Ordering::AcqRel) {
        // The host is gone, or refuses this guest.
        end_all(&server);
        return match outcome {
            Ok(()) | Err(CallError::Closed { reason: Closed::Eof, .. }) => Ok(0),
            Err(error) => Err(BridgeError::Start { why: component::chain(&error) }),
        };
    }
    if asked_to_go && !leaving.swap(true, Ordering::AcqRel) {
        speaker.leave(&connection, LEAVES);
        connection.close();
        if !server.ended_within(LEAVES) {
            server.terminate();
            server.ended_within(TERMINATES);
        }
        end_all(&server);
        let _ = lane.stopped();
        return Ok(0);
    }
    Ok(crashed(&server))
}

/// The server ended although nobody asked it to: so does this process, in the same way.
fn crashed(server: &Server) -> i32 {
    if !server.ended_within(LAST) {
        say("the server closed its output and went on: it is ended");
        end_all(server);
        return 1;
    }
    let end = server.reap();
    end_all(server);
    match end {
        Some(End::Code(code)) => {
            say(&format!("the server ended with exit code {code}"));
            code
        }
        Some(End::Signal(number)) => {
            say(&format!("the server was ended by signal {number}"));
            end_as(number);
            128 + number
        }
        None => 1,
    }
}

/// Says why there is no guest; one whose server ended ends as that did, which says more.
fn failed_start(
    server: &Server,
    connection: &Connection,
    lane: &Lane,
    error: &BridgeError,
    leaving: &AtomicBool,
) -> i32 {
    leaving.store(true, Ordering::Release);
    if connection.has_ended() {
        return crashed(server);
    }
    end_all(server);
    // A lane that closed has nobody to tell.
    let _ = lane.fail_start(&RemoteFailure::from_hint(error));
    1
}

fn take_requests(
    lane: &Lane,
    connection: &Arc<Connection>,
    speaker: &Arc<dyn Speaker>,
) -> Result<(), CallError> {
    while let Some(request) = lane.next_request(None, None)? {
        let InboundRequest { correlation, operation, inputs, stream, .. } = request;
        let given = inputs.value();
        let call =
            Call { lane: lane.clone(), correlation, operation, inputs: ipc::Value::None, stream };
        if lane.is_cancelled(correlation) {
            call.fail(refused(Code::CANCELLED, "the call was cancelled"));
            continue;
        }
        match given {
            Ok(inputs) => Arc::clone(speaker).begin(connection, Call { inputs, ..call }),
            Err(error) => call.fail(RemoteFailure::from_hint(&error)),
        }
    }
    Ok(())
}

/// Starts the threads that hear of the server.
fn watch(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    speaker: &Arc<dyn Speaker>,
    stdout: OwnedFd,
    lane: &Lane,
    leaving: &Arc<AtomicBool>,
) -> std::io::Result<()> {
    let thread =
        |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(1024 * 1024);
    {
        let (connection, speaker) = (Arc::clone(connection), Arc::clone(speaker));
        let (lane, leaving) = (lane.clone(), Arc::clone(leaving));
        thread("symphony-server").spawn(move || {
            connection.read(&stdout, &PeerOf(speaker));
            if !leaving.swap(true, Ordering::AcqRel) && lane.is_ready() {
                // Calls under way end with the process, and as the process ends.
                lane.close();
            }
        })?;
    }
    let server = Arc::clone(server);
    let (connection, leaving) = (Arc::clone(connection), Arc::clone(leaving));
    thread("symphony-end").spawn(move || {
        server.wait();
        // A child of it may hold its output open: nobody answers any more, unless the first was only a wrapper.
        std::thread::sleep(LAST);
        if !leaving.load(Ordering::Acquire) && server.failed() {
            server.reap();
            connection.end();
            end_all(&server);
        }
    })?;
    Ok(())
}

/// Hears of calls that were given up.
struct GivenUp {
    speaker: Arc<dyn Speaker>,
    connection: Arc<Connection>,
}

impl Inbound for GivenUp {
    fn cancelled(&self, _lane: &Lane, correlation: u64) {
        self.speaker.give_up(&self.connection, correlation);
    }
}

/// A speaker as the connection knows it.
struct PeerOf(Arc<dyn Speaker>);

impl Peer for PeerOf {
    fn told(&self, connection: &Connection, method: &str, params: ipc::Value) {
        self.0.told(connection, method, params);
    }

    fn asked(
        &self,
        connection: &Connection,
        method: &str,
        params: ipc::Value,
    ) -> Result<ipc::Value, crate::wire::ServerFailure> {
        self.0.asked(connection, method, params)
    }
}
