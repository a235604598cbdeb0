//! The state machine of one extension.
//!
//! Moved by callers (activation, stop), by its host through a [`Report`] (ready, ended) and by the timer (start
//! deadline, restart). Invariants: of one run only the first end counts, and one that was ended from here ended for the
//! reason that it was ended for; nothing foreign runs under the lock.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Health, State};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::figures::Counters;
use super::restart::{Restarts, Verdict};
use super::wait::{self, Unready};
use super::{Ended, Timer};
use crate::error::ExtensionError;
use crate::host::{Guest, Host, StartSpan, Stop};
use crate::manifest::ExtensionManifest;
use crate::sandbox::Enforcement;
use crate::supervisor::Status;

/// So long without an answer to a ping, and it is called unresponsive.
const SILENT: Duration = Duration::from_secs(3);
/// So long, and it is killed.
const TOO_SILENT: Duration = Duration::from_secs(10);

/// The guest that answers at present, and in which run.
#[derive(Clone)]
pub(crate) struct Current {
    pub(super) guest: Arc<dyn Guest>,
    pub(super) run: u64,
}

/// Who waits for the extension to be ready.
type Waiting = Box<dyn FnOnce(Result<Current, ExtensionError>) + Send>;

pub(super) struct Waiter {
    ticket: u64,
    /// An earlier run is not what it waits for.
    from: u64,
    then: Waiting,
}
/// Who waits to hear how a run ended.
type EndListener = Box<dyn FnOnce(ExtensionError) + Send>;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the run")]
pub(super) struct Life {
    pub(super) state: State,
    /// Counts the starts.
    pub(super) run: u64,
    /// Whether this run's end has been told.
    pub(super) over: bool,
    /// Whether this run was started by the restart policy rather than by somebody who waits for it.
    pub(super) automatic: bool,
    /// A person restarts it: callers wait instead of hearing that it is stopped.
    pub(super) again: bool,
    /// It was stopped for good: nobody starts it any more.
    pub(super) gone: bool,
    pub(super) guest: Option<Arc<dyn Guest>>,
    /// Why this run is killed from here. The kill's own word may come first, and is not the reason.
    pub(super) given_up: Option<Ended>,
    pub(super) ready_at: Option<Instant>,
    pub(super) unresponsive: bool,
    pub(super) restarts: Restarts,
    /// Why it is not ready: for whoever asks while it is failed or quarantined.
    pub(super) fault: Option<ExtensionError>,
    /// The process and the start of the last run that ended.
    pub(super) account: Option<(Option<u32>, Vec<StartSpan>)>,
    /// How the last run ended that ended by itself.
    pub(super) crash: Option<(u64, ExtensionError)>,
    pub(super) waiting: Vec<Waiter>,
    pub(super) end_listeners: Vec<EndListener>,
    pub(super) tickets: u64,
}

/// How a run ended that ended by itself, with what is known of the reason.
struct Failure {
    how: Ended,
    lines: Vec<String>,
    refusal: Option<String>,
}

/// One extension of the catalogue, whatever its state.
pub(crate) struct Extension {
    manifest: Arc<ExtensionManifest>,
    host: Arc<dyn Host>,
    timer: Arc<Timer>,
    /// Set exactly while it is ready: the fast way of a call.
    pub(super) current: RwLock<Option<Current>>,
    pub(super) life: Mutex<Life>,
    pub(super) changed: Condvar,
    pub(super) counters: Counters,
    pub(super) me: Weak<Self>,
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
    /// How often it was started.
    pub(super) fn starts(&self) -> u64 {
        self.life.lock().run
    }

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
            counters: Counters::default(),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.manifest.name
    }

    pub(crate) fn manifest(&self) -> &Arc<ExtensionManifest> {
        &self.manifest
    }

    /// How far each of its permissions is held, as it would be started now.
    pub(super) fn enforcement(&self) -> Vec<Enforcement> {
        self.host.enforcement(&self.manifest)
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
        let held_up = self.current().and_then(|current| current.guest.held_up());
        let life = self.life.lock();
        let why = || life.fault.as_ref().map_or_else(String::new, ToString::to_string);
        match life.state {
            State::Ready if life.unresponsive => Health::Degraded("it does not answer".to_owned()),
            State::Installed | State::Ready => held_up.map_or(Health::Healthy, |operation| {
                Health::Degraded(format!("extension `{}` is held up: {operation}", self.name()))
            }),
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
        self.when_run(0, then)
    }

    /// The same, of a run of that number or a later one.
    pub(super) fn when_run(&self, from: u64, then: Waiting) -> u64 {
        let mut life = self.life.lock();
        life.tickets += 1;
        let ticket = life.tickets;
        let start = matches!(life.state, State::Installed | State::Failed) && life.run >= from;
        if start {
            self.load(&mut life, false);
        }
        match self.settled(&life).filter(|_| life.run >= from || life.gone) {
            Some(answer) => {
                drop(life);
                then(answer);
                return ticket;
            }
            None => life.waiting.push(Waiter { ticket, from, then }),
        }
        let run = life.run;
        drop(life);
        if start {
            self.launch(run);
        }
        ticket
    }

    /// How many wait until it is ready.
    pub(super) fn waiting(&self) -> usize {
        self.life.lock().waiting.len()
    }

    /// Takes a waiting one back. False: it was or is being called.
    pub(super) fn withdraw(&self, ticket: u64) -> bool {
        let mut life = self.life.lock();
        let place = life.waiting.iter().position(|waiter| waiter.ticket == ticket);
        let taken = place.map(|place| life.waiting.swap_remove(place));
        drop(life);
        taken.is_some()
    }

    /// Waits here for a run of that number or a later one to be ready.
    pub(super) fn wait_run(
        &self,
        from: u64,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Result<Current, ExtensionError>, Unready> {
        let (tell, told) = crossbeam_channel::bounded(1);
        let ticket = self.when_run(
            from,
            Box::new(move |answer| {
                // Nobody listens any more where the deadline passed.
                let _ = tell.send(answer);
            }),
        );
        let why = match wait::receive(&told, deadline, poll) {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
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
    pub(super) fn go(&self, life: &mut Life, to: State) {
        match life.state.go(to) {
            Ok(state) => {
                tracing::debug!(extension = self.name(), from = %life.state, to = %state, "state");
                life.state = state;
            }
            Err(error) => tracing::error!(extension = self.name(), %error, "a wrong move"),
        }
    }

    /// Opens a new run. [`Extension::launch`] has to follow, without the lock.
    pub(super) fn load(&self, life: &mut Life, automatic: bool) {
        self.go(life, State::Loading);
        life.run += 1;
        life.over = false;
        life.automatic = automatic;
        life.unresponsive = false;
    }

    pub(super) fn launch(&self, run: u64) {
        let report = Report { extension: Weak::clone(&self.me), run };
        let limit = self.manifest.start_deadline();
        let me = Weak::clone(&self.me);
        self.timer.after(limit, move || {
            if let Some(extension) = me.upgrade() {
                extension.never_ready(run, limit);
            }
        });
        let begun = match &self.manifest.fault {
            Some(why) => Err(Ended::NotStarted(why.clone())),
            None => match self.manifest.trust.as_ref().map(|trust| trust.admit(&self.manifest)) {
                Some(Err(why)) => Err(Ended::Untrusted(why)),
                _ => self.host.start(&self.manifest, report),
            },
        };
        match begun {
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
        let mut next = None;
        let told = if life.state == State::Stopping {
            self.go(&mut life, State::Stopped);
            next = self.load_again(&mut life);
            ExtensionError::Stopped { name }
        } else {
            let refusal = guest.as_ref().and_then(|guest| match &how {
                Ended::Raised(failure) => guest.refusal_of(failure),
                Ended::Exited(Status::Code(code)) if *code != 0 => guest.refusal_in(&lines),
                _ => None,
            });
            self.failed(&mut life, Failure { how, lines, refusal }, ready_for)
        };
        let end_listeners = std::mem::take(&mut life.end_listeners);
        self.tell(life, end_listeners, Some(told));
        drop(guest);
        if let Some(run) = next {
            // Whoever told of the end serves others too.
            let me = Weak::clone(&self.me);
            self.timer.after(Duration::ZERO, move || {
                if let Some(extension) = me.upgrade() {
                    extension.launch(run);
                }
            });
        }
    }

    /// It ended by itself: what follows.
    fn failed(
        &self,
        life: &mut Life,
        failure: Failure,
        ready_for: Option<Duration>,
    ) -> ExtensionError {
        let Failure { how, lines, refusal } = failure;
        let name = self.name().to_owned();
        let crashed = life.state == State::Ready;
        let how = Box::new(how);
        tracing::warn!(extension = name, %how, crashed, "ended by itself");
        let error = if crashed {
            ExtensionError::Crashed {
                name: name.clone(),
                how: how.clone(),
                lines: lines.clone(),
                refusal: refusal.clone(),
            }
        } else {
            ExtensionError::StartFailed {
                name: name.clone(),
                how: how.clone(),
                lines: lines.clone(),
                refusal: refusal.clone(),
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
                    refusal,
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

    /// Tells everybody what changed, after the lock is given back.
    pub(super) fn tell(
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
        let (run, gone) = (life.run, life.gone);
        let waiting: Vec<Waiter> = match &answer {
            Some(_) => life.waiting.extract_if(.., |waiter| gone || waiter.from <= run).collect(),
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
            for waiter in waiting {
                (waiter.then)(answer.clone());
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
