//! A cancel that comes while a call is just being sent, or while it is about to be made again.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ipc::{CallError, CallId, CallOptions, Done, Lane, LaneOptions, Operation, Payload, Reader};
use parking_lot::Mutex;

use super::Call;
use crate::document::Source;
use crate::error::ExtensionError;
use crate::extension::{Ended, Extension, Report, Timer};
use crate::host::{Guest, Host, Stop, Stream};
use crate::manifest::{ExtensionManifest, Manifest};

/// A server on a lane whose peer answers nothing; `sent` is called before `submit` returns.
struct Server {
    lane: Lane,
    sent: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    _reader: Reader,
    _peer: UnixStream,
}

impl Guest for Server {
    fn call(
        &self,
        _: &str,
        _: &Payload,
        _: &CallOptions,
        _: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        unreachable!("nothing is waited for here")
    }

    fn submit(
        self: Arc<Self>,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        done: Done,
    ) -> Result<Option<CallId>, CallError> {
        let id = self.lane.submit(operation, inputs, options, done)?;
        if let Some(sent) = self.sent.lock().take() {
            sent();
        }
        Ok(Some(id))
    }

    fn stream(&self, _: &str, _: &Payload, _: &CallOptions) -> Result<Box<dyn Stream>, CallError> {
        unreachable!("nothing is streamed here")
    }

    fn cancel(&self, call: CallId) {
        self.lane.cancel(call);
    }

    fn stop(&self, _: Stop) {}

    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    fn operations(&self) -> Vec<Operation> {
        Vec::new()
    }

    fn reads(&self, _: &str) -> bool {
        true
    }

    fn pending(&self) -> usize {
        0
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn pid(&self) -> Option<u32> {
        None
    }
}

/// Its only run is this server.
struct ServerHost(Arc<Server>);

impl Host for ServerHost {
    fn start(&self, _: &Arc<ExtensionManifest>, report: Report) -> Result<Arc<dyn Guest>, Ended> {
        let guest: Arc<dyn Guest> = Arc::clone(&self.0) as _;
        report.ready(Arc::clone(&guest));
        Ok(guest)
    }
}

fn started() -> (Arc<Server>, Arc<Extension>) {
    let (ours, peer) = UnixStream::pair().unwrap();
    let reader = Reader::new().unwrap();
    let lane = Lane::open(OwnedFd::from(ours), LaneOptions::guest(&reader), Arc::new(())).unwrap();
    let server = Arc::new(Server { lane, sent: Mutex::new(None), _reader: reader, _peer: peer });
    let text =
        "[extension]\nname = \"server\"\nversion = \"1\"\ncommand = [\"x\"]\nprotocol = \"mcp\"\n";
    let source = Source::from_text("/w/Symphony.toml", text);
    let manifest = Manifest::from_source(&source).unwrap().extension.unwrap();
    let host = Arc::new(ServerHost(Arc::clone(&server)));
    let extension = Extension::new(Arc::new(manifest), host, Timer::start().unwrap());
    let soon = Instant::now() + Duration::from_secs(20);
    extension.wait_run(0, Some(soon), None).unwrap().map(|_| ()).unwrap();
    (server, extension)
}

type Outcome = Result<Payload, ExtensionError>;

fn call(extension: &Arc<Extension>) -> (Call, mpsc::Receiver<Outcome>) {
    let (tell, told) = mpsc::channel();
    let done = Box::new(move |outcome| drop(tell.send(outcome)));
    (Call::new(Arc::clone(extension), done), told)
}

fn send(call: &Call, extension: &Extension) {
    let current = extension.current().unwrap();
    call.send(Ok(current), "look", &Payload::empty_map(), &CallOptions::default());
}

fn assert_cancelled(told: &mpsc::Receiver<Outcome>) {
    let error = told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
    let ExtensionError::Call { source, .. } = &error else { panic!("{error}") };
    assert_eq!(**source, CallError::Cancelled);
    assert!(told.try_recv().is_err(), "it has one outcome");
}

#[test]
fn a_call_that_is_given_up_while_it_is_being_sent_is_taken_back() {
    let (server, extension) = started();
    let (call, told) = call(&extension);
    let cancelling = call.clone();
    *server.sent.lock() = Some(Box::new(move || cancelling.cancel()));
    send(&call, &extension);
    assert_cancelled(&told);
}

#[test]
fn a_call_that_is_given_up_when_its_server_ended_is_not_made_again() {
    let (server, extension) = started();
    let (call, told) = call(&extension);
    let cancelling = call.clone();
    let lane = server.lane.clone();
    *server.sent.lock() = Some(Box::new(move || {
        cancelling.cancel();
        lane.close();
    }));
    send(&call, &extension);
    assert_cancelled(&told);
}
