//! An extension in a process of its own, started by the supervisor.
//!
//! One run: a socket pair for its lane, two pipes for what it prints, a process that the supervisor forks. Events come
//! from three sides (the lane, the supervisor, the pipes) and meet here. Invariant: the end that is reported is the
//! process's own, except where this side killed it and knows why.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use component::chain;
use ipc::{
    Blocks, Bus, CallError, CallId, CallOptions, Captured, Closed, Done, Hello, Lane, LaneOptions,
    Operation, Payload, RemoteFailure,
};
use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use super::capture::Capture;
use super::freed;
use super::in_process::{InProcess, InProcessRun};
use super::inbound::GuestEvents;
use super::options::ProcessHostOptions;
use super::private_folders::{PrivateFolders, TemporaryFolders};
use super::servers::KeptMemory;
use super::start_spans::Stamps;
use super::variables::{self, environment, granted, resolver_options};
use super::{Caller, Guest, Host, Respond, StartSpan, Stop, Stream};
use crate::error::SupervisorError;
use crate::extension::{Ended, Report, Timer};
use crate::manifest::ExtensionManifest;
use crate::sandbox::{Enforcement, Kernel, Policy, Refusals, enforcement};
use crate::supervisor::{Ending, Process, SpawnRequest, Supervisor, Termination, Watch};

/// How long the number of a guest that is ready may be on its way.
const NUMBER: Duration = Duration::from_millis(250);

/// A process whose lane is closed may take so long to exit before it is killed.
const CLOSED: Duration = Duration::from_millis(250);
/// How long what a guest's traffic left may take to be let go of.
const SETTLED: Duration = Duration::from_millis(100);
/// A guest that said that it leaves by itself has so long for its hooks, threads and files, as in a stop.
const LEAVES: Duration = Duration::from_secs(2);
/// How long the last lines may take to come out of the pipe after the process ended.
const LAST_LINES: Duration = Duration::from_millis(50);
/// And so often, after so long each time, it is looked whether its lane was read to the end: a grandchild may hold it open.
const LAST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOKS: u32 = 100;
/// An idle guest is pinged so often; one with calls pending, at every look.
const IDLE_PING: Duration = Duration::from_secs(5);
/// How long calls wait behind one operation before its extension is degraded for that.
const HELD_UP: Duration = Duration::from_secs(3);

/// What answers the calls that guests make. Implemented by the kit.
pub trait Router: Send + Sync {
    /// Answers one call of an extension, sooner or later and on any thread. Must not block.
    fn route(&self, caller: &Arc<Caller>, request: Routed);

    /// A thread of an extension waits for a call: what is given lasts as long as it does.
    ///
    /// # Errors
    /// Whoever would answer waits for the caller.
    fn wait(
        &self,
        caller: &Caller,
        blocks: Blocks,
        call: &str,
    ) -> Result<Option<Box<dyn Send>>, RemoteFailure>;
}

/// One call that a guest makes.
pub struct Routed {
    /// Its number, which no other of its lane has until it is answered.
    pub id: u64,
    /// What it calls: `artifact-store.put`.
    pub call: String,
    /// With which inputs.
    pub inputs: Payload,
    /// Until when, and how urgent.
    pub options: CallOptions,
    /// What gets the answer, once.
    pub answer: Respond,
}

/// Starts extensions as processes.
pub(crate) struct ProcessHost {
    supervisor: Arc<Supervisor>,
    bus: Bus,
    router: Weak<dyn Router>,
    timer: Arc<Timer>,
    pub(super) options: ProcessHostOptions,
    kernel: Kernel,
    kept: KeptMemory,
    temporary: TemporaryFolders,
}

impl ProcessHost {
    pub(crate) fn new(
        supervisor: Arc<Supervisor>,
        bus: Bus,
        router: Weak<dyn Router>,
        timer: Arc<Timer>,
        options: ProcessHostOptions,
    ) -> Self {
        let kernel = options.kernel.unwrap_or_else(Kernel::here);
        let (kept, temporary) = (KeptMemory::default(), TemporaryFolders::default());
        Self { supervisor, bus, router, timer, options, kernel, kept, temporary }
    }
}

impl Host for ProcessHost {
    fn start(
        &self,
        manifest: &Arc<ExtensionManifest>,
        report: Report,
    ) -> Result<Arc<dyn Guest>, Ended> {
        let id = self.supervisor.next_id();
        let name = manifest.name.value.clone();
        let here = self.options.in_process.clone().filter(|server| server.serves(&name));
        if let Some(server) = here {
            let (ours, theirs) = lane_ends()?;
            let guest = self.guest(id, manifest, None, ours, report)?;
            return Ok(serve_here(guest, name, server, theirs));
        }
        let policy = self.policy(manifest);
        let mut environment = environment(manifest, &self.options.environment);
        let folders = self.temporary.of_run(&policy)?;
        environment.extend(folders.variable());
        environment.extend(resolver_options(&policy, &environment));
        environment.extend(manifest.server.environment.iter().cloned());
        let workspace = self.options.places.workspace.clone();
        let refusals = Refusals::new(Arc::clone(manifest), policy.clone(), workspace);
        let request = SpawnRequest {
            id,
            name: name.clone(),
            program: self.program(manifest, &policy)?,
            folder: manifest.folder.clone(),
            environment,
            policy,
        };
        let (ours, theirs) = lane_ends()?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(refused)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(refused)?;
        let guest = self.guest(id, manifest, Some(refusals), ours, report)?;
        *guest.folders.lock() = Some(folders);
        self.capture(&name, stdout, stderr, &guest.capture)?;
        let kept = self.kept.of(manifest).map_err(refused)?;
        let own = [theirs.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()];
        let descriptors: Vec<_> = own.into_iter().chain(kept.as_ref().map(AsFd::as_fd)).collect();
        let watch: Arc<dyn Watch> = Arc::<GuestProcess>::clone(&guest);
        self.supervisor.spawn(request, &descriptors, watch).map_err(|error| match error {
            // Its own name, folder or variables cannot be said.
            SupervisorError::Encode { .. } | SupervisorError::TooLong { .. } => {
                Ended::NotStarted(error.to_string())
            }
            error => Ended::Refused(chain(&error)),
        })?;
        Ok(guest)
    }

    fn enforcement(&self, manifest: &ExtensionManifest) -> Vec<Enforcement> {
        let here = self.options.in_process.as_ref();
        let here = here.is_some_and(|server| server.serves(&manifest.name.value));
        let policy = (!here).then(|| self.policy(manifest));
        enforcement(manifest, policy.as_ref(), self.kernel)
    }
}

/// Both ends of a lane.
fn lane_ends() -> Result<(OwnedFd, OwnedFd), Ended> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(refused)
}

/// Has a run served in this process instead of one of its own.
fn serve_here(
    guest: Arc<GuestProcess>,
    extension: String,
    server: Arc<dyn InProcess>,
    theirs: OwnedFd,
) -> Arc<GuestProcess> {
    guest.pid.store(std::process::id().cast_signed(), Ordering::Relaxed);
    // What it prints is this process's own output.
    guest.capture.end();
    let run = InProcessRun::new(extension, server, guest.lane.clone(), theirs);
    let run = guest.here.get_or_init(|| Arc::new(run));
    run.begin(Arc::<GuestProcess>::clone(&guest));
    guest
}

impl ProcessHost {
    /// The host's side of one run, with its lane.
    fn guest(
        &self,
        id: u64,
        manifest: &Arc<ExtensionManifest>,
        refusals: Option<Refusals>,
        ours: OwnedFd,
        report: Report,
    ) -> Result<Arc<GuestProcess>, Ended> {
        let ordered = Instant::now();
        let events = Arc::new(GuestEvents::new(
            Arc::clone(manifest),
            Weak::clone(&self.router),
            self.bus.clone(),
        ));
        let name = manifest.name.value.clone();
        let options = LaneOptions::host(name, manifest.limits.queue, self.bus.reader());
        let handler: Arc<dyn ipc::Inbound> = Arc::<GuestEvents>::clone(&events);
        let lane =
            Lane::open(ours, options, handler).map_err(|error| Ended::Refused(chain(&error)))?;
        let guest = Arc::new(GuestProcess {
            id,
            name: manifest.name.value.clone(),
            lane,
            supervisor: Arc::clone(&self.supervisor),
            here: OnceLock::new(),
            timer: Arc::clone(&self.timer),
            capture: Capture::new(Arc::clone(&self.timer)),
            report,
            refusals,
            pid: AtomicI32::new(0),
            ordered,
            about: Mutex::default(),
            folders: Mutex::default(),
        });
        events.belong_to(&guest);
        Ok(guest)
    }

    /// What it may do, as things are now.
    fn policy(&self, manifest: &ExtensionManifest) -> Policy {
        let places = &self.options.places;
        let mut policy = Policy::of(manifest, places, self.kernel);
        let own = self.options.own_python.first();
        if let (Some(program), true) = (own, self.executes_own_python(manifest)) {
            policy.executes_own_interpreter(program.as_ref(), places);
        }
        policy.read.extend(variables::places(&granted(manifest, &self.options.environment)));
        policy
    }

    /// Has both pipes read, line by line, into the log; the last lines of stderr are kept.
    fn capture(
        &self,
        name: &str,
        stdout: OwnedFd,
        stderr: OwnedFd,
        capture: &Arc<Capture>,
    ) -> Result<(), Ended> {
        let failed = |error: ipc::IpcError| Ended::Refused(chain(&error));
        let reader = self.bus.reader();
        let named = name.to_owned();
        let log = move |captured: Captured<'_>| {
            if let Captured::Line(line) = captured {
                let line = String::from_utf8_lossy(line);
                tracing::info!(target: "symphony.extension", extension = named, stream = "stdout", "{line}");
            }
        };
        reader.capture(stdout, log).map_err(failed)?;
        let named = name.to_owned();
        let capture = Arc::clone(capture);
        let keep = move |captured: Captured<'_>| match captured {
            Captured::Line(line) => {
                let line = String::from_utf8_lossy(line);
                tracing::info!(target: "symphony.extension", extension = named, stream = "stderr", "{line}");
                capture.push(&line);
            }
            Captured::End => capture.end(),
        };
        reader.capture(stderr, keep).map_err(failed)
    }
}

fn refused(error: rustix::io::Errno) -> Ended {
    Ended::Refused(format!("no socket or pipe for it: {error}"))
}

/// What is learned of a run as it goes.
#[derive(Default)]
struct About {
    hello: Option<Hello>,
    introduced: Option<Instant>,
    ready: Option<Instant>,
    gone: Option<Instant>,
    /// Why this side killed it, where it did.
    killed_for: Option<Ended>,
    pinged: Option<Instant>,
    /// It was asked to go: a closed lane is then the way there, and the stop has deadlines of its own.
    leaving: bool,
    ended: bool,
}

/// One run of an extension in a process.
pub(super) struct GuestProcess {
    id: u64,
    name: String,
    lane: Lane,
    supervisor: Arc<Supervisor>,
    /// The run itself, where it is served in this process.
    here: OnceLock<Arc<InProcessRun>>,
    timer: Arc<Timer>,
    capture: Arc<Capture>,
    report: Report,
    /// What it was granted; nothing where it is served in this process.
    refusals: Option<Refusals>,
    pid: AtomicI32,
    ordered: Instant,
    about: Mutex<About>,
    /// Its own until its process has ended.
    folders: Mutex<Option<PrivateFolders>>,
}

impl GuestProcess {
    /// It said who it is.
    pub(super) fn introduced(&self, hello: Hello) {
        let offered = hello.operations.iter().filter(|operation| operation.beside);
        self.lane.set_beside(offered.map(|operation| operation.name.clone()).collect());
        let mut about = self.about.lock();
        about.introduced = Some(Instant::now());
        about.hello = Some(hello);
    }

    /// It says that it is ready.
    pub(super) fn is_ready(self: Arc<Self>) {
        self.about.lock().ready = Some(Instant::now());
        let report = self.report.clone();
        report.ready(self);
    }

    /// It did what it may not: it is killed, and this is why.
    pub(super) fn condemn(&self, why: Ended) {
        self.about.lock().killed_for.get_or_insert(why);
        self.end(Termination::Kill);
    }

    /// It told why it cannot start; it exits by itself, or is made to.
    pub(super) fn raised(self: &Arc<Self>, failure: RemoteFailure) {
        let why = Ended::Raised(Box::new(failure));
        self.about.lock().killed_for.get_or_insert(why.clone());
        self.must_go(LEAVES, why);
    }

    /// It leaves by itself, and takes no call any more.
    pub(super) fn leaves(self: &Arc<Self>) {
        self.must_go(LEAVES, Ended::NeverLeft(LEAVES));
    }

    /// It was refused for this; it exits by itself, or is made to.
    pub(super) fn raised_mismatch(self: &Arc<Self>, reason: String) {
        let why = Ended::Mismatch(reason);
        self.about.lock().killed_for.get_or_insert(why.clone());
        self.must_go(CLOSED, why);
    }

    /// It has a moment to exit by itself.
    fn must_go(self: &Arc<Self>, patience: Duration, why: Ended) {
        let me = Arc::downgrade(self);
        self.timer.after(patience, move || {
            let Some(guest) = me.upgrade() else { return };
            let goes = {
                let about = guest.about.lock();
                about.ended || about.leaving
            };
            if !goes {
                guest.condemn(why);
            }
        });
    }

    /// Its lane is closed: it exits at once, or is made to.
    pub(super) fn lane_closed(self: &Arc<Self>, reason: Closed) {
        match reason {
            Closed::Violation(error) => self.condemn(Ended::Violation(error)),
            Closed::Eof => self.must_go(CLOSED, Ended::ClosedLane),
            // This side closed it, and has its reasons.
            Closed::Local => {}
        }
    }
}

impl GuestProcess {
    fn end(&self, how: Termination) {
        match self.here.get() {
            Some(run) => run.end(how),
            None => self.supervisor.end(self.id, how),
        }
    }

    /// Reports the end, once the lane was read to its end too: on a busy machine the word that a process has exited may
    /// overtake what it said of the reason.
    fn conclude(self: Arc<Self>, ending: Ending, lines: Vec<String>, looks: u32) {
        let known = self.about.lock().killed_for.take();
        let silent = known.is_none() && self.lane.closed().is_none();
        if silent && looks > 0 && matches!(ending, Ending::Exited(_)) {
            let timer = Arc::clone(&self.timer);
            timer.after(LAST_LOOK, move || self.conclude(ending, lines, looks - 1));
            return;
        }
        self.lane.close();
        let traffic = self.lane.stats();
        let much = traffic.bytes_in + traffic.bytes_out >= freed::MUCH;
        let how = match (known, ending) {
            // Its lane may be seen closed before the supervisor's death is told.
            (None | Some(Ended::ClosedLane), Ending::SupervisorLost) => Ended::SupervisorLost,
            (Some(known), _) => known,
            (None, Ending::Exited(status)) => Ended::Exited(status),
            (None, Ending::NotStarted(reason)) => Ended::Refused(reason),
        };
        self.report.ended(how, lines);
        if much {
            // After whoever was told has let go of what it held for the guest.
            self.timer.after(SETTLED, freed::give_back);
        }
    }
}

impl Watch for GuestProcess {
    fn spawned(&self, process: &Arc<Process>) {
        self.pid.store(process.pid, Ordering::Relaxed);
    }

    fn refused(&self, what: &str) {
        tracing::warn!(target: "symphony.extension", extension = self.name, "{what}");
    }

    fn ended(self: Arc<Self>, ending: Ending) {
        {
            let mut about = self.about.lock();
            about.ended = true;
            about.gone = Some(Instant::now());
        }
        *self.folders.lock() = None;
        // The pipe may still hold its last words, and this thread may not wait for them.
        let capture = Arc::clone(&self.capture);
        capture.when_ended(
            LAST_LINES,
            Box::new(move |lines| self.conclude(ending, lines, LAST_LOOKS)),
        );
    }
}

impl Guest for GuestProcess {
    fn call(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        self.lane.request_polling(operation, inputs, options, poll)
    }

    fn submit(
        self: Arc<Self>,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        done: Done,
    ) -> Result<Option<CallId>, CallError> {
        self.lane.submit(operation, inputs, options, done).map(Some)
    }

    fn stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Box<dyn Stream>, CallError> {
        Ok(Box::new(self.lane.request_stream(operation, inputs, options)?))
    }

    fn cancel(&self, call: CallId) {
        self.lane.cancel(call);
    }

    fn stop(&self, how: Stop) {
        self.about.lock().leaving = true;
        match how {
            Stop::Ask => {
                // One that cannot hear it any more is ended by the next step.
                if let Err(error) = self.lane.stop() {
                    tracing::debug!(%error, "a guest could not be asked to stop");
                }
            }
            Stop::Terminate => self.end(Termination::Ask),
            Stop::Kill => self.end(Termination::Kill),
        }
    }

    fn silence(&self) -> Duration {
        let pending = self.lane.stats().pending > 0;
        let mut about = self.about.lock();
        if about.pinged.is_none_or(|last| pending || last.elapsed() >= IDLE_PING) {
            about.pinged = Some(Instant::now());
            drop(about);
            // A closed lane is told as the end of the run.
            let _ = self.lane.ping();
        }
        let silent = self.lane.silence().unwrap_or_default();
        silent.max(self.lane.overdue().unwrap_or_default())
    }

    fn operations(&self) -> Vec<Operation> {
        self.about.lock().hello.as_ref().map(|hello| hello.operations.clone()).unwrap_or_default()
    }

    fn runs_beside(&self, operation: &str) -> bool {
        let about = self.about.lock();
        let mut offered = about.hello.iter().flat_map(|hello| &hello.operations);
        offered.any(|offered| offered.name == operation && offered.beside)
    }

    fn reads(&self, operation: &str) -> bool {
        let about = self.about.lock();
        let mut offered = about.hello.iter().flat_map(|hello| &hello.operations);
        offered.any(|offered| offered.name == operation && offered.reads)
    }

    fn held_up(&self) -> Option<String> {
        self.lane.held_up(HELD_UP).map(|held| held.to_string())
    }

    fn pending(&self) -> usize {
        self.lane.stats().pending
    }

    fn queued_bytes(&self) -> usize {
        self.lane.stats().queued_bytes
    }

    fn refusal_of(&self, failure: &RemoteFailure) -> Option<String> {
        self.refusals.as_ref()?.of_failure(failure)
    }

    fn refusal_in(&self, lines: &[String]) -> Option<String> {
        self.refusals.as_ref()?.of_lines(lines)
    }

    fn lines(&self) -> Vec<String> {
        self.capture.lines()
    }

    fn start_account(&self) -> (Option<u32>, Vec<StartSpan>) {
        let about = self.about.lock();
        let stamps = Stamps {
            ordered: self.ordered,
            introduced: about.introduced,
            ready: about.ready,
            ended: about.gone,
        };
        let spans = stamps.spans(about.hello.as_ref().map_or(&[], |hello| &hello.spans));
        let pid = u32::try_from(self.pid.load(Ordering::Relaxed)).ok().filter(|pid| *pid > 0);
        (pid, spans)
    }

    fn pid(&self) -> Option<u32> {
        // The guest's own word that it is ready may be faster than the supervisor's word on its number.
        let patience = Instant::now() + NUMBER;
        loop {
            let pid = u32::try_from(self.pid.load(Ordering::Relaxed)).ok().filter(|pid| *pid > 0);
            if pid.is_some() || self.about.lock().ended || Instant::now() >= patience {
                return pid;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
