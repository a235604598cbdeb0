//! The root's side: starts the supervisor, sends it orders, hears of every guest, and starts another when it dies.
//!
//! Called by the process host and by `boot_orchestrator`'s foundation. One thread (`symphony-supervisor`) listens;
//! orders are sent by whoever gives them. Invariants: each order is answered by exactly one [`Watch::ended`], also
//! when the supervisor dies; one that was up once is started again for as long as this value lives; no callback runs
//! under a lock.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use component::{Seconds, chain};
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Signal, pidfd_send_signal};

use super::marks;
use super::own_process::{Launch, Link, SEND_LIMIT, begin, how_it_ended};
use super::protocol::{
    BREATH, Ending, FromSupervisor, LONGEST, Received, Span, SpawnRequest, Termination,
    ToSupervisor, encode, receive, send,
};
use super::watch::{Process, Watch};
use crate::backoff::Backoff;
use crate::error::SupervisorError;

/// No pause before another attempt is longer: whatever kept it down may be over, and an attempt costs one process.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Lines of its standard error that are kept for an error.
const LINES: usize = 20;

struct Guest {
    watch: Arc<dyn Watch>,
    process: Option<Arc<Process>>,
}

enum Stage {
    Starting,
    Up(Vec<Span>),
    /// It died, and the next one is started a little later.
    Between {
        how: String,
    },
    Stopping,
    Over {
        how: String,
    },
}

/// What became of an attempt to start another.
enum Attempt {
    Runs,
    Again(Duration),
    Over,
}

struct Inner {
    stage: Stage,
    link: Option<Arc<Link>>,
    guests: BTreeMap<u64, Guest>,
    backoff: Backoff,
    up_since: Option<Instant>,
    /// When the one that comes up in another's place is given up.
    until: Option<Instant>,
    /// One that never was up once is not started again: the system does not live yet, and its boot says why.
    ever_up: bool,
    lines: VecDeque<String>,
}

struct Shared {
    launch: Launch,
    inner: Mutex<Inner>,
    changed: Condvar,
    next: AtomicU64,
}

/// The supervisor, for as long as this value lives; dropping it ends the whole tree.
pub struct Supervisor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Supervisor {
    /// Starts the supervisor's process and returns while it still comes up; orders may be given at once.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(launch: Launch) -> Result<Arc<Self>, SupervisorError> {
        let link = begin(&launch)?;
        let shared = Arc::new(Shared {
            launch,
            inner: Mutex::new(Inner {
                stage: Stage::Starting,
                link: Some(Arc::new(link)),
                guests: BTreeMap::new(),
                backoff: Backoff::up_to(LONGEST_PAUSE),
                up_since: None,
                until: None,
                ever_up: false,
                lines: VecDeque::new(),
            }),
            changed: Condvar::new(),
            next: AtomicU64::new(marks::first()),
        });
        let listening = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("symphony-supervisor".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || listening.listen())
            .map_err(|source| SupervisorError::NotStarted {
                program: shared.launch.program.clone(),
                source,
            })?;
        Ok(Arc::new(Self { shared, thread: Mutex::new(Some(thread)) }))
    }

    /// Waits until the supervisor says that it takes orders; returns where the time of its start went.
    ///
    /// # Errors
    /// When it ended, or did not say so by the deadline.
    pub fn wait_up(&self, deadline: Instant) -> Result<Vec<Span>, SupervisorError> {
        let mut inner = self.shared.inner.lock();
        loop {
            match &inner.stage {
                Stage::Up(spans) => return Ok(spans.clone()),
                Stage::Starting | Stage::Between { .. } => {}
                Stage::Stopping => return Err(inner.lost("was stopped")),
                Stage::Over { how } => return Err(inner.lost(how)),
            }
            if self.shared.changed.wait_until(&mut inner, deadline).timed_out() {
                return Err(inner.lost("did not come up in time"));
            }
        }
    }

    /// The number of the supervisor's process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.shared.inner.lock().link.as_ref().map(|link| link.pid)
    }

    /// What a forked child of this process must let go of: the link and every guest's process. Never waits: where
    /// another thread held the lock at the fork, nothing can be told.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let Some(inner) = self.shared.inner.try_lock() else { return Vec::new() };
        let guests = inner.guests.values().filter_map(|guest| guest.process.as_ref());
        let guests = guests.map(|process| process.descriptor());
        inner.link.iter().flat_map(|link| link.descriptors()).chain(guests).collect()
    }

    /// Whether it takes orders now; where not, why.
    ///
    /// # Errors
    /// How it was lost.
    pub fn health(&self) -> Result<(), SupervisorError> {
        let inner = self.shared.inner.lock();
        match &inner.stage {
            Stage::Up(_) => Ok(()),
            Stage::Starting => Err(inner.lost("is still coming up")),
            Stage::Stopping => Err(inner.lost("was stopped")),
            Stage::Between { how } | Stage::Over { how } => Err(inner.lost(how)),
        }
    }

    /// A number for [`SpawnRequest::id`] that was never used.
    pub fn next_id(&self) -> u64 {
        self.shared.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Orders a guest, with its lane, stdout and stderr. What becomes of it is told to `watch`.
    ///
    /// # Errors
    /// When there is no supervisor or it takes no message; `watch` is then never called.
    pub fn spawn(
        &self,
        request: SpawnRequest,
        descriptors: &[BorrowedFd<'_>],
        watch: Arc<dyn Watch>,
    ) -> Result<(), SupervisorError> {
        let id = request.id;
        let bytes = encode(&ToSupervisor::Spawn(request))?;
        let link = {
            let mut inner = self.shared.inner.lock();
            let link = loop {
                match (&inner.stage, &inner.link) {
                    (Stage::Starting | Stage::Up(_), Some(link)) => break Arc::clone(link),
                    // It died, and another is being started at this moment.
                    (Stage::Starting | Stage::Up(_), None) => {}
                    // Who asks is often a thread that others wait for, and may ask again.
                    (Stage::Between { how } | Stage::Over { how }, _) => {
                        return Err(inner.lost(how));
                    }
                    (Stage::Stopping, _) => return Err(inner.lost("was stopped")),
                }
                if self.shared.changed.wait_for(&mut inner, SEND_LIMIT).timed_out() {
                    return Err(inner.lost("died and no other came"));
                }
            };
            inner.guests.insert(id, Guest { watch, process: None });
            link
        };
        match send(&link.control, &bytes, descriptors, SendFlags::empty()) {
            // Where it just died, the listener tells every guest, this one too.
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(source) => match self.shared.inner.lock().guests.remove(&id) {
                Some(_) => Err(SupervisorError::Link { doing: "take an order", source }),
                None => Ok(()),
            },
        }
    }

    /// Ends one guest from outside. One that is gone already is as good.
    pub fn end(&self, id: u64, how: Termination) {
        let (link, process) = {
            let inner = self.shared.inner.lock();
            let Some(guest) = inner.guests.get(&id) else { return };
            (inner.link.clone(), guest.process.clone())
        };
        let sent = link.ok_or(Errno::PIPE).and_then(|link| order_end(&link, id, how));
        if let (Err(error), Some(process), Termination::Kill) = (sent, process, how) {
            tracing::warn!(pid = process.pid, %error, "the supervisor takes no order; killing the process itself");
            process.kill();
        }
    }

    /// Ends the whole tree, without grace: SIGKILL to all, and the supervisor with them.
    ///
    /// May be called more than once and from any thread but the supervisor's own.
    ///
    /// # Errors
    /// When the supervisor had to be killed because it was not gone by the deadline.
    pub fn stop(&self, deadline: Instant) -> Result<(), SupervisorError> {
        let link = {
            let mut inner = self.shared.inner.lock();
            if !matches!(inner.stage, Stage::Over { .. }) {
                inner.stage = Stage::Stopping;
            }
            inner.link.clone()
        };
        if let Some(link) = link {
            let told = encode(&ToSupervisor::Stop)
                .map_err(|_| Errno::INVAL)
                .and_then(|bytes| send(&link.control, &bytes, &[], SendFlags::DONTWAIT));
            if told.is_err() {
                let _ = pidfd_send_signal(&link.process, Signal::KILL);
            }
        }
        self.shared.changed.notify_all();
        let mut forced = false;
        let mut inner = self.shared.inner.lock();
        while let Some(link) = inner.link.clone() {
            if self.shared.changed.wait_until(&mut inner, deadline).timed_out() && !forced {
                forced = true;
                // Its children die with it by their death signal.
                let _ = pidfd_send_signal(&link.process, Signal::KILL);
            } else if forced {
                self.shared.changed.wait_for(&mut inner, Duration::from_millis(10));
            }
        }
        drop(inner);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            // The listener itself may drop the last handle, and cannot wait for itself.
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that listens to the supervisor panicked");
        }
        if forced {
            return Err(SupervisorError::Lost {
                how: "did not stop in time and was killed".to_owned(),
                lines: Vec::new(),
            });
        }
        Ok(())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Instant::now() + Duration::from_millis(500)) {
            tracing::warn!(%error, "the supervisor was dropped while it ran");
        }
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Supervisor").field("pid", &self.pid()).finish()
    }
}

fn order_end(link: &Link, id: u64, how: Termination) -> rustix::io::Result<()> {
    let bytes = encode(&ToSupervisor::End { id, how }).map_err(|_| Errno::INVAL)?;
    send(&link.control, &bytes, &[], SendFlags::empty())
}

impl Inner {
    /// What follows the death of the one that ran.
    fn died(&mut self, how: &str) -> Attempt {
        let up_for = self.up_since.take().map(|since| since.elapsed());
        if matches!(self.stage, Stage::Stopping) || !self.ever_up {
            return Attempt::Over;
        }
        let pause = self.backoff.after(up_for);
        self.stage = if pause.is_zero() {
            Stage::Starting
        } else {
            Stage::Between {
                how: format!("{how}, and another is started in {}", Seconds::from(pause)),
            }
        };
        Attempt::Again(pause)
    }

    fn lost(&self, how: &str) -> SupervisorError {
        SupervisorError::Lost { how: how.to_owned(), lines: self.lines.iter().cloned().collect() }
    }
}

impl Shared {
    /// The listening thread: until the supervisor is gone and no other is to be started.
    fn listen(&self) {
        let mut buffer = vec![0; LONGEST];
        let mut partial = Vec::new();
        loop {
            let Some(link) = self.inner.lock().link.clone() else { return };
            let gone = self.turn(&link, &mut buffer, &mut partial);
            if gone && !self.replace(&link, &mut buffer, &mut partial) {
                return;
            }
        }
    }

    /// Waits once and handles what came. True: the supervisor is gone.
    fn turn(&self, link: &Link, buffer: &mut [u8], partial: &mut Vec<u8>) -> bool {
        let mut watched = [
            PollFd::new(&link.control, PollFlags::IN),
            PollFd::new(&link.process, PollFlags::IN),
            PollFd::new(&link.errors, PollFlags::IN),
        ];
        let until = self.inner.lock().until;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let polled = poll(&mut watched, left.and_then(|left| left.try_into().ok()).as_ref());
        if polled == Ok(0) {
            self.give_up(link);
            return false;
        }
        if let Err(error) = polled
            && error != Errno::INTR
        {
            // It lives, so nothing is given up: the kernel had no memory for the wait.
            tracing::error!(%error, "cannot wait for the supervisor");
            std::thread::sleep(BREATH);
            return false;
        }
        let gone = !watched[1].revents().is_empty();
        let spoken = !watched[0].revents().is_empty();
        let lines = watched[2].revents();
        if !lines.is_empty() {
            let ended = !self.read_errors(link, partial);
            if ended && !gone && !spoken {
                // It closed its stderr but lives: look again a little later rather than at once.
                std::thread::sleep(BREATH);
            }
        }
        if spoken {
            self.hear(link, buffer);
        }
        gone
    }

    /// One that was to take another's place did not come up: it is killed, and its end brings the next attempt.
    fn give_up(&self, link: &Link) {
        let mut inner = self.inner.lock();
        inner.until = None;
        if matches!(inner.stage, Stage::Starting) {
            tracing::error!(pid = link.pid, after = ?self.launch.start_limit, "the supervisor does not come up and is killed");
            let _ = pidfd_send_signal(&link.process, Signal::KILL);
        }
    }

    /// Handles every waiting message. What is none is the end of this supervisor.
    fn hear(&self, link: &Link, buffer: &mut [u8]) {
        loop {
            match receive(&link.control, buffer) {
                Ok(Received::Message(message, descriptors)) => {
                    self.take(link, message, descriptors);
                }
                Ok(Received::Nothing) => return,
                // Its process ends next to it, and that is waited for.
                Ok(Received::Closed) => {
                    let _ = pidfd_send_signal(&link.process, Signal::KILL);
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the supervisor spoke nonsense and is killed");
                    let _ = pidfd_send_signal(&link.process, Signal::KILL);
                    return;
                }
            }
        }
    }

    fn take(&self, link: &Link, message: FromSupervisor, mut descriptors: Vec<OwnedFd>) {
        match message {
            FromSupervisor::Up { spans, .. } => {
                let mut inner = self.inner.lock();
                if matches!(inner.stage, Stage::Starting) {
                    inner.stage = Stage::Up(spans);
                    inner.until = None;
                    inner.up_since = Some(Instant::now());
                    inner.ever_up = true;
                    self.changed.notify_all();
                }
            }
            FromSupervisor::Spawned { id, pid } => {
                let Some(descriptor) = descriptors.pop() else {
                    return self.unheld(link, id, pid);
                };
                let process = Arc::new(Process::new(pid, descriptor));
                let watch = self.inner.lock().guests.get_mut(&id).map(|guest| {
                    guest.process = Some(Arc::clone(&process));
                    Arc::clone(&guest.watch)
                });
                if let Some(watch) = watch {
                    watch.spawned(&process);
                }
            }
            FromSupervisor::NotStarted { id, reason } => {
                self.ended(id, Ending::NotStarted(reason));
            }
            FromSupervisor::Refused { id, what } => {
                let guest = self.inner.lock().guests.get(&id).map(|guest| Arc::clone(&guest.watch));
                if let Some(watch) = guest {
                    watch.refused(&what);
                }
            }
            FromSupervisor::Exited { id, status } => self.ended(id, Ending::Exited(status)),
        }
    }

    /// A guest's process exists, and this side has no descriptor free to hold it by: it is given up, and it alone.
    fn unheld(&self, link: &Link, id: u64, pid: i32) {
        tracing::warn!(pid, "no descriptor is free to hold a new process by; it is ended");
        if let Err(error) = order_end(link, id, Termination::Kill) {
            // It goes by itself when its lane closes.
            tracing::warn!(pid, %error, "the supervisor takes no order to end it");
        }
        let reason = "this process has no descriptor free to hold it by (too many open files)";
        self.ended(id, Ending::NotStarted(reason.to_owned()));
    }

    fn ended(&self, id: u64, ending: Ending) {
        let guest = self.inner.lock().guests.remove(&id);
        if let Some(guest) = guest {
            guest.watch.ended(ending);
        }
    }

    /// Reads what it wrote to stderr into the log. False: nothing more will come.
    fn read_errors(&self, link: &Link, partial: &mut Vec<u8>) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::read(&link.errors, &mut chunk) {
                Ok(0) => return false,
                Ok(length) => partial.extend_from_slice(&chunk[..length]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
            while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
                let text = String::from_utf8_lossy(&partial[..end]).trim_end().to_owned();
                partial.drain(..=end);
                tracing::warn!(target: "symphony.supervisor", "{text}");
                let mut inner = self.inner.lock();
                if inner.lines.len() == LINES {
                    inner.lines.pop_front();
                }
                inner.lines.push_back(text);
            }
            // A line without an end is cut where it would grow for ever.
            if partial.len() > 16 * 1024 {
                partial.push(b'\n');
            }
        }
        true
    }

    /// The supervisor died: tells every guest, kills what is left of them, and starts another, sooner or later. False:
    /// it is over.
    fn replace(&self, link: &Link, buffer: &mut [u8], partial: &mut Vec<u8>) -> bool {
        // What it still said before it died counts.
        self.hear(link, buffer);
        self.read_errors(link, partial);
        partial.clear();
        let how = how_it_ended(link);
        let (guests, mut next) = {
            let mut inner = self.inner.lock();
            // In one step, so that an order goes to this supervisor and is told here, or is not taken.
            inner.link = None;
            let next = inner.died(&how);
            (std::mem::take(&mut inner.guests), next)
        };
        for guest in guests.values() {
            if let Some(process) = &guest.process {
                process.kill();
            }
        }
        marks::end_all(&guests.keys().copied().collect::<Vec<_>>());
        match &next {
            Attempt::Over => self.finish(&how),
            Attempt::Again(pause) => {
                tracing::error!(%how, ?pause, guests = guests.len(), "the supervisor died; another is started");
            }
            Attempt::Runs => {}
        }
        // Before the guests hear of it: those that are started again at once find the new one.
        if matches!(next, Attempt::Again(Duration::ZERO)) {
            next = self.attempt();
        }
        for guest in guests.into_values() {
            guest.watch.ended(Ending::SupervisorLost);
        }
        self.changed.notify_all();
        while let Attempt::Again(pause) = next {
            self.pause(pause);
            next = self.attempt();
        }
        matches!(next, Attempt::Runs)
    }

    /// Starts another, unless this is to stop.
    fn attempt(&self) -> Attempt {
        {
            let mut inner = self.inner.lock();
            if matches!(inner.stage, Stage::Stopping) {
                drop(inner);
                self.finish("was stopped");
                return Attempt::Over;
            }
            inner.stage = Stage::Starting;
        }
        let begun = begin(&self.launch);
        let mut inner = self.inner.lock();
        let stopping = matches!(inner.stage, Stage::Stopping);
        let attempt = match begun {
            Ok(fresh) if stopping => {
                drop(inner);
                let _ = pidfd_send_signal(&fresh.process, Signal::KILL);
                how_it_ended(&fresh);
                self.finish("was stopped");
                Attempt::Over
            }
            Ok(fresh) => {
                inner.link = Some(Arc::new(fresh));
                inner.until = Some(Instant::now() + self.launch.start_limit);
                Attempt::Runs
            }
            Err(error) => {
                let pause = inner.backoff.after(None);
                let error = chain(&error);
                tracing::warn!(error, ?pause, "no other supervisor can be started yet");
                if !stopping {
                    let how = format!("died, and no other can be started yet: {error}");
                    inner.stage = Stage::Between { how };
                }
                Attempt::Again(pause)
            }
        };
        self.changed.notify_all();
        attempt
    }

    /// Waits until the next attempt is due, or this is to stop.
    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut inner = self.inner.lock();
        while matches!(inner.stage, Stage::Between { .. })
            && !self.changed.wait_until(&mut inner, until).timed_out()
        {}
    }

    fn finish(&self, how: &str) {
        let mut inner = self.inner.lock();
        inner.link = None;
        let by_itself = !matches!(inner.stage, Stage::Stopping);
        let how = if by_itself { how } else { "was stopped" }.to_owned();
        if by_itself {
            tracing::error!(%how, "the supervisor never came up");
        }
        inner.stage = Stage::Over { how };
    }
}
