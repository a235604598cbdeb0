//! Stopping extensions side by side, more firmly step by step, and starting one anew by hand.
//!
//! Called by the kit at shutdown, and by whoever restarts one. Invariants: a stop returns by its deadline, whatever the
//! extensions do; a restart ends one run by its number and is carried out whether or not anybody waits for it, so that
//! several at once end the same run and wait for the same next one.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::State;

use super::Extension;
use super::life::Life;
use crate::error::ExtensionError;
use crate::host::Stop;

/// How long an extension may take after it was asked to stop.
const ASKED: Duration = Duration::from_millis(500);
/// How long after SIGTERM.
const TERMINATED: Duration = Duration::from_millis(1500);

/// What a stop of several extensions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Those that did not stop when asked and had to be terminated.
    pub terminated: Vec<String>,
    /// Those that did not heed that either and were killed.
    pub killed: Vec<String>,
    /// Those that were not seen to end by the deadline, though they were killed.
    pub unfinished: Vec<String>,
}

/// Stops them all: asks, sends SIGTERM, then SIGKILL, and returns by `deadline`.
pub(crate) fn stop_all(extensions: &[Arc<Extension>], deadline: Instant) -> StopReport {
    for extension in extensions {
        extension.begin_stop();
    }
    let mut report = StopReport::default();
    // However short the time is, the kill has its share of it.
    let reserve = Duration::from_millis(200);
    let last = deadline.checked_sub(reserve).unwrap_or(deadline);
    let asked = (Instant::now() + ASKED).min(last);
    let mut left = wait(extensions, asked);
    for extension in &left {
        report.terminated.push(extension.name().to_owned());
        extension.press(Stop::Terminate);
    }
    left = wait(&left, (Instant::now() + TERMINATED).min(last));
    for extension in &left {
        report.killed.push(extension.name().to_owned());
        extension.press(Stop::Kill);
    }
    for extension in wait(&left, deadline) {
        report.unfinished.push(extension.name().to_owned());
    }
    report
}

/// Those that have not stopped by then.
fn wait(extensions: &[Arc<Extension>], until: Instant) -> Vec<Arc<Extension>> {
    extensions.iter().filter(|extension| !extension.wait_stopped(until)).cloned().collect()
}

impl Extension {
    /// Asks it to stop for good, in whatever state it is.
    fn begin_stop(&self) {
        let mut life = self.life.lock();
        life.gone = true;
        life.again = false;
        self.leave(life);
    }

    /// Stops it and starts it anew, its past forgotten, also out of quarantine. Returns at once; the number of the run
    /// that is then to be waited for.
    ///
    /// # Errors
    /// It was stopped for good.
    pub(super) fn begin_restart(&self) -> Result<u64, ExtensionError> {
        let mut life = self.life.lock();
        if life.gone {
            return Err(ExtensionError::Stopped { name: self.name().to_owned() });
        }
        // The run after this one; another restart that is on its way brings the same.
        let next = life.run + 1;
        if std::mem::replace(&mut life.again, true) {
            return Ok(next);
        }
        life.restarts.reset();
        if matches!(life.state, State::Loading | State::Ready) {
            let run = life.run;
            self.leave(life);
            self.press_later(run, ASKED, Stop::Terminate);
            self.press_later(run, ASKED + TERMINATED, Stop::Kill);
        } else {
            // Nothing runs; what is on its way out already is followed by the new one.
            if life.state != State::Stopping {
                self.go(&mut life, State::Stopped);
            }
            let started =
                if life.state == State::Stopped { self.load_again(&mut life) } else { None };
            drop(life);
            self.changed.notify_all();
            if let Some(run) = started {
                self.launch(run);
            }
        }
        Ok(next)
    }

    /// Opens the run that a restart wants, where one does. [`Extension::launch`] has to follow, without the lock.
    pub(super) fn load_again(&self, life: &mut Life) -> Option<u64> {
        std::mem::take(&mut life.again).then(|| {
            self.load(life, false);
            life.run
        })
    }

    /// On the way out, whatever the state.
    fn leave(&self, mut life: parking_lot::MutexGuard<'_, Life>) {
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
    fn press(&self, how: Stop) {
        let guest = self.life.lock().guest.clone();
        if let Some(guest) = guest {
            guest.stop(how);
        }
    }

    /// Presses on later, where that run has not ended by then.
    fn press_later(&self, run: u64, after: Duration, how: Stop) {
        let me = Weak::clone(&self.me);
        self.after(after, move || {
            let Some(extension) = me.upgrade() else { return };
            let guest = {
                let life = extension.life.lock();
                life.guest.clone().filter(|_| life.run == run && !life.over)
            };
            if let Some(guest) = guest {
                guest.stop(how);
            }
        });
    }

    /// Waits until it has stopped. False: it has not.
    fn wait_stopped(&self, deadline: Instant) -> bool {
        let mut life = self.life.lock();
        while life.state != State::Stopped {
            if self.changed.wait_until(&mut life, deadline).timed_out() {
                return life.state == State::Stopped;
            }
        }
        true
    }
}
