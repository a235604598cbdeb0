//! The state machine of one extension.
//!
//! Moved by callers (activation, stop), by its host through a [`Report`] (ready, ended) and by the timer (start
//! deadline, restart). Invariants: of one run only the first end counts, and one that was ended from here ended for the
//! reason that it was ended for; nothing foreign runs under the lock.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Health, State};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::restart::{Restarts, Verdict};
use super::{Ended, Timer};
use crate::error::ExtensionError;
use crate::host::{Guest, Host, StartSpan, Stop};
use crate::manifest::ExtensionManifest;

/// So long without an answer to a ping, and it is called unresponsive.
const SILENT: Duration = Duration::from_secs(3);
/// So long, and it is killed.
const TOO_SILENT: Duration = Duration::from_secs(10);

/// How often a waiting caller's hook is asked whether to go on.
const POLL: Duration = Duration::from_millis(50);

/// Why a wait for it ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unready {
    /// The deadline passed.
    TimedOut,
    /// The caller's hook gave it up.
    Interrupted,
}

/// The guest that answers at present, and in which run.
#[derive(Clone)]
pub(crate) struct Current {
    pub(super) guest: Arc<dyn Guest>,
    pub(super) run: u64,
}

/// Who waits for the extension to be ready.
type Waiting = Box<dyn FnOnce(Result<Current, ExtensionError>) + Send>;
/// Who waits to hear how a run ended.
type EndListener = Box<dyn FnOnce(ExtensionError) + Send>;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
struct Life {
    state: State,
    /// Counts the starts.
    run: u64,
    /// Whether this run's end has been told.
    over: bool,
    /// Whether this run was started by the restart policy rather than by somebody who waits for it.
    automatic: bool,
    /// A person restarts it: callers wait instead of hearing that it is stopped.
    again: bool,
    /// It was stopped for good: nobody starts it any more.
    gone: bool,
    guest: Option<Arc<dyn Guest>>,
    /// Why this run is killed from here. The kill's own word may come first, and is not the reason.
    given_up: Option<Ended>,
    ready_at: Option<Instant>,
    unresponsive: bool,
    restarts: Restarts,
    /// Why it is not ready: for whoever asks while it is failed or quarantined.
    fault: Option<ExtensionError>,
    /// The process and the start of the last run that ended.
    account: Option<(Option<u32>, Vec<StartSpan>)>,
    /// How the last run ended that ended by itself.
    crash: Option<(u64, ExtensionError)>,
    waiting: Vec<(u64, Waiting)>,
    end_listeners: Vec<EndListener>,
    tickets: u64,
}

/// One extension of the catalogue, whatever its state.
pub(crate) struct Extension {
    manifest: Arc<ExtensionManifest>,
    host: Arc<dyn Host>,
    timer: Arc<Timer>,
    /// Set exactly while it is ready: the fast way of a call.
    current: RwLock<Option<Current>>,
    life: Mutex<Life>,
    changed: Condvar,
    me: Weak<Self>,
}

/// By which a host tells what becomes of one run.
#[derive(Clone)]
pub struct Report {
    extension: Weak<Extension>,
    run: u64,
}

impl Report {
    /// The guest answers calls from now on.
    pub fn ready(&self, guest: Arc<dyn Guest>) {
        if let Some(extension) = self.extension.upgrade() {
            extension.ready(self.run, guest);
        }
    }

    /// The run ended, with the last lines that it wrote to stderr. Only the first word on this counts.
    pub fn ended(&self, how: Ended, lines: Vec<String>) {
        if let Some(extension) = self.extension.upgrade() {
            extension.ended(self.run, how, lines);
        }
    }
}

impl Extension {
    pub(crate) fn new(
        manifest: Arc<ExtensionManifest>,
        host: Arc<dyn Host>,
        timer: Arc<Timer>,
    ) -> Arc<Self> {
        let seed = manifest.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let restarts = Restarts::new(manifest.restart.budget, manifest.restart.window, seed);
        Arc::new_cyclic(|me| Self {
            manifest,
            host,
            timer,
            current: RwLock::new(None),
            life: Mutex::new(Life {
                state: State::Installed,
                run: 0,
                over: true,
                automatic: false,
                again: false,
                gone: false,
                guest: None,
                given_up: None,
                ready_at: None,
                unresponsive: false,
                restarts,
                fault: None,
                account: None,
                crash: None,
                waiting: Vec::new(),
                end_listeners: Vec::new(),
                tickets: 0,
            }),
            changed: Condvar::new(),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.manifest.name
    }

    pub(crate) fn manifest(&self) -> &Arc<ExtensionManifest> {
        &self.manifest
    }

    pub(crate) fn state(&self) -> State {
        self.life.lock().state
    }

    /// How the last run that ended by itself ended, and whether anything is wrong now.
    pub(crate) fn fault(&self) -> Option<ExtensionError> {
        let life = self.life.lock();
        life.fault.clone().or_else(|| life.crash.clone().map(|(_, error)| error))
    }

    pub(crate) fn health(&self) -> Health {
        let life = self.life.lock();
        let why = || life.fault.as_ref().map_or_else(String::new, ToString::to_string);
        match life.state {
            State::Ready if life.unresponsive => Health::Degraded("it does not answer".to_owned()),
            State::Installed | State::Ready => Health::Healthy,
            State::Loading | State::Restarting => {
                Health::Degraded(format!("extension `{}` is {}", self.name(), life.state))
            }
            State::Stopping | State::Stopped => Health::Unhealthy("it is stopped".to_owned()),
            State::Failed | State::Quarantined if self.manifest.required => {
                Health::Unhealthy(why())
            }
            State::Failed | State::Quarantined => Health::Degraded(why()),
        }
    }

    /// The process and the start of the last run that ended.
    pub(super) fn account(&self) -> Option<(Option<u32>, Vec<StartSpan>)> {
        self.life.lock().account.clone()
    }

    /// Runs `task` later, on the timer's thread.
    pub(super) fn after(&self, delay: Duration, task: impl FnOnce() + Send + 'static) {
        self.timer.after(delay, task);
    }

    /// The guest that answers now, where there is one.
    pub(super) fn current(&self) -> Option<Current> {
        self.current.read().clone()
    }

    /// Has it started where it is not, and calls `then` when it is ready or will not be. Returns a ticket to withdraw.
    pub(super) fn when_ready(&self, then: Waiting) -> u64 {
        let mut life = self.life.lock();
        life.tickets += 1;
        let ticket = life.tickets;
        let start = matches!(life.state, State::Installed | State::Failed);
        if start {
            self.load(&mut life, false);
        }
        match self.settled(&life) {
            Some(answer) => {
                drop(life);
                then(answer);
                return ticket;
            }
            None => life.waiting.push((ticket, then)),
        }
        let run = life.run;
        drop(life);
        if start {
            self.launch(run);
        }
        ticket
    }

    /// Takes a waiting one back. False: it was or is being called.
    pub(super) fn withdraw(&self, ticket: u64) -> bool {
        let mut life = self.life.lock();
        let place = life.waiting.iter().position(|(waiting, _)| *waiting == ticket);
        let taken = place.map(|place| life.waiting.swap_remove(place));
        drop(life);
        taken.is_some()
    }

    /// The same, waiting here.
    pub(super) fn wait_ready(
        &self,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Result<Current, ExtensionError>, Unready> {
        let (tell, told) = crossbeam_channel::bounded(1);
        let ticket = self.when_ready(Box::new(move |answer| {
            // Nobody listens any more where the deadline passed.
            let _ = tell.send(answer);
        }));
        let why = loop {
            let look = poll.map(|_| Instant::now() + POLL);
            let Some(until) = deadline.into_iter().chain(look).min() else {
                return told.recv().map_err(|_| Unready::Interrupted);
            };
            if let Ok(answer) = told.recv_deadline(until) {
                return Ok(answer);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Unready::TimedOut;
            }
            if poll.is_some_and(|poll| poll()) {
                break Unready::Interrupted;
            }
        };
        if self.withdraw(ticket) {
            return Err(why);
        }
        // It is being told at this moment.
        told.recv().map_err(|_| why)
    }

    /// Calls `then` with how that run ended, now or when it is known.
    pub(super) fn when_ended(&self, run: u64, then: EndListener) {
        let mut life = self.life.lock();
        let known = match &life.crash {
            Some((crashed, error)) if *crashed >= run => Some(error.clone()),
            _ if life.run > run || life.over => {
                Some(ExtensionError::Stopped { name: self.name().to_owned() })
            }
            _ => None,
        };
        match known {
            Some(error) => {
                drop(life);
                then(error);
            }
            None => life.end_listeners.push(then),
        }
    }

    /// Whether waiting for it has an answer.
    fn settled(&self, life: &Life) -> Option<Result<Current, ExtensionError>> {
        let stopped = || ExtensionError::Stopped { name: self.name().to_owned() };
        match life.state {
            State::Ready => {
                let guest = Arc::clone(life.guest.as_ref()?);
                Some(Ok(Current { guest, run: life.run }))
            }
            State::Installed | State::Loading | State::Restarting => None,
            State::Stopping | State::Stopped if life.again => None,
            State::Stopping | State::Stopped => Some(Err(stopped())),
            State::Failed | State::Quarantined => {
                Some(Err(life.fault.clone().unwrap_or_else(stopped)))
            }
        }
    }

    /// Moves the state. An unlawful move is a bug of this file, told and not made.
    fn go(&self, life: &mut Life, to: State) {
        match life.state.go(to) {
            Ok(state) => {
                tracing::debug!(extension = self.name(), from = %life.state, to = %state, "state");
                life.state = state;
            }
            Err(error) => tracing::error!(extension = self.name(), %error, "a wrong move"),
        }
    }

    /// Opens a new run. [`Extension::launch`] has to follow, without the lock.
    fn load(&self, life: &mut Life, automatic: bool) {
        self.go(life, State::Loading);
        life.run += 1;
        life.over = false;
        life.automatic = automatic;
        life.unresponsive = false;
    }

    fn launch(&self, run: u64) {
        let report = Report { extension: Weak::clone(&self.me), run };
        let limit = self.manifest.start_deadline();
        let me = Weak::clone(&self.me);
        self.timer.after(limit, move || {
            if let Some(extension) = me.upgrade() {
                extension.never_ready(run, limit);
            }
        });
        match self.host.start(&self.manifest, report) {
            Ok(guest) => {
                let mut life = self.life.lock();
                let unwanted = life.run != run || life.over || life.state == State::Stopping;
                if life.run == run && !life.over && life.guest.is_none() {
                    life.guest = Some(Arc::clone(&guest));
                }
                drop(life);
                if unwanted {
                    guest.stop(Stop::Kill);
                }
            }
            Err(how) => self.ended(run, how, Vec::new()),
        }
    }

    fn ready(&self, run: u64, guest: Arc<dyn Guest>) {
        let mut life = self.life.lock();
        if life.run != run || life.over || life.state != State::Loading {
            drop(life);
            // It was given up meanwhile, and whoever gave it up ends it.
            return;
        }
        self.go(&mut life, State::Ready);
        life.ready_at = Some(Instant::now());
        life.fault = None;
        life.guest = Some(Arc::clone(&guest));
        *self.current.write() = Some(Current { guest, run });
        self.tell(life, Vec::new(), None);
    }

    fn never_ready(&self, run: u64, limit: Duration) {
        let life = self.life.lock();
        if life.state == State::Loading {
            let guest = life.guest.clone();
            self.give_up(life, run, guest, Ended::NeverReady(limit));
        }
    }

    /// Ends a run from here: kills what runs and says why.
    fn give_up(
        &self,
        mut life: MutexGuard<'_, Life>,
        run: u64,
        guest: Option<Arc<dyn Guest>>,
        how: Ended,
    ) {
        if life.run != run || life.over {
            return;
        }
        life.given_up.get_or_insert_with(|| how.clone());
        drop(life);
        let lines = guest.as_ref().map(|guest| guest.lines()).unwrap_or_default();
        if let Some(guest) = guest {
            guest.stop(Stop::Kill);
        }
        self.ended(run, how, lines);
    }

    /// Looks whether it still answers. Called about once a second.
    pub(crate) fn watch(&self) {
        let Some(current) = self.current() else { return };
        let silent = current.guest.silence();
        if silent >= TOO_SILENT {
            let how = Ended::Unresponsive(silent);
            self.give_up(self.life.lock(), current.run, Some(current.guest), how);
            return;
        }
        let unresponsive = silent >= SILENT;
        let mut life = self.life.lock();
        let new = unresponsive && !life.unresponsive && life.run == current.run;
        life.unresponsive = unresponsive;
        drop(life);
        if new {
            tracing::warn!(extension = self.name(), "does not answer");
        }
    }

    fn ended(&self, run: u64, how: Ended, lines: Vec<String>) {
        let mut life = self.life.lock();
        if life.run != run || life.over {
            return;
        }
        life.over = true;
        let how = life.given_up.take().unwrap_or(how);
        *self.current.write() = None;
        let guest = life.guest.take();
        life.account = guest.as_ref().map(|guest| guest.start_account());
        let ready_for = life.ready_at.take().map(|ready| ready.elapsed());
        let name = self.name().to_owned();
        let told = if life.state == State::Stopping {
            self.go(&mut life, State::Stopped);
            ExtensionError::Stopped { name }
        } else {
            self.failed(&mut life, how, lines, ready_for)
        };
        let end_listeners = std::mem::take(&mut life.end_listeners);
        self.tell(life, end_listeners, Some(told));
        drop(guest);
    }

    /// It ended by itself: what follows.
    fn failed(
        &self,
        life: &mut Life,
        how: Ended,
        lines: Vec<String>,
        ready_for: Option<Duration>,
    ) -> ExtensionError {
        let name = self.name().to_owned();
        let crashed = life.state == State::Ready;
        let how = Box::new(how);
        tracing::warn!(extension = name, %how, crashed, "ended by itself");
        let error = if crashed {
            ExtensionError::Crashed { name: name.clone(), how: how.clone(), lines: lines.clone() }
        } else {
            ExtensionError::StartFailed {
                name: name.clone(),
                how: how.clone(),
                lines: lines.clone(),
            }
        };
        life.crash = Some((life.run, error.clone()));
        life.fault = Some(error.clone());
        self.go(life, State::Failed);
        let verdict = if how.is_of_the_system() {
            life.restarts.refused(ready_for.is_some())
        } else {
            life.restarts.failed(Instant::now(), ready_for)
        };
        match verdict {
            Verdict::Quarantine => {
                self.go(life, State::Quarantined);
                life.fault = Some(ExtensionError::Quarantined {
                    name,
                    failures: life.restarts.count(),
                    window: self.manifest.restart.window,
                    last: how,
                    lines,
                });
            }
            // Whoever asked for this start hears why it failed, and may ask again.
            Verdict::After(_) if !crashed && !life.automatic => {}
            Verdict::After(delay) => {
                self.go(life, State::Restarting);
                let (me, run) = (Weak::clone(&self.me), life.run);
                self.timer.after(delay, move || {
                    if let Some(extension) = me.upgrade() {
                        extension.restart(run);
                    }
                });
            }
        }
        error
    }

    fn restart(&self, after: u64) {
        let mut life = self.life.lock();
        if life.state != State::Restarting || life.run != after {
            return;
        }
        self.load(&mut life, true);
        let run = life.run;
        drop(life);
        self.launch(run);
    }

    /// Asks it to stop, in whatever state it is.
    pub(super) fn begin_stop(&self, again: bool) {
        let mut life = self.life.lock();
        life.gone |= !again;
        life.again = !life.gone;
        let guest = match life.state {
            State::Loading | State::Ready => {
                self.go(&mut life, State::Stopping);
                *self.current.write() = None;
                life.guest.clone()
            }
            State::Stopping | State::Stopped => None,
            State::Installed | State::Failed | State::Restarting | State::Quarantined => {
                self.go(&mut life, State::Stopped);
                None
            }
        };
        self.tell(life, Vec::new(), None);
        if let Some(guest) = guest {
            guest.stop(Stop::Ask);
        }
    }

    /// Presses on, where it has not stopped yet.
    pub(super) fn press(&self, how: Stop) {
        let guest = self.life.lock().guest.clone();
        if let Some(guest) = guest {
            guest.stop(how);
        }
    }

    /// Waits until it has stopped. False: it has not.
    pub(super) fn wait_stopped(&self, deadline: Instant) -> bool {
        let mut life = self.life.lock();
        while life.state != State::Stopped {
            if self.changed.wait_until(&mut life, deadline).timed_out() {
                return life.state == State::Stopped;
            }
        }
        true
    }

    /// Starts it anew after a stop by hand, its past forgotten.
    pub(super) fn start_again(&self) {
        let mut life = self.life.lock();
        life.again = false;
        if life.gone || life.state != State::Stopped {
            return;
        }
        life.restarts.reset();
        self.load(&mut life, false);
        let run = life.run;
        drop(life);
        self.launch(run);
    }

    /// Tells everybody what changed, after the lock is given back.
    fn tell(
        &self,
        mut life: MutexGuard<'_, Life>,
        end_listeners: Vec<EndListener>,
        ended: Option<ExtensionError>,
    ) {
        // Whoever waits for a start hears that it failed, though others follow: they may be many, and far apart.
        let answer = self.settled(&life).or_else(|| match &ended {
            Some(error @ ExtensionError::StartFailed { .. }) => Some(Err(error.clone())),
            _ => None,
        });
        let waiting = match &answer {
            Some(_) => std::mem::take(&mut life.waiting),
            None => Vec::new(),
        };
        drop(life);
        self.changed.notify_all();
        if let Some(ended) = ended {
            for then in end_listeners {
                then(ended.clone());
            }
        }
        if let Some(answer) = answer {
            for (_, then) in waiting {
                then(answer.clone());
            }
        }
    }
}

impl Drop for Extension {
    /// Nobody can reach it any more, so nobody else would end it.
    fn drop(&mut self) {
        if let Some(guest) = self.life.get_mut().guest.take() {
            guest.stop(Stop::Kill);
        }
    }
}
