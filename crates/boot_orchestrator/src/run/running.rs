//! A system that is up: its health, its report, its end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use component::{Code, Failure, Health};

use crate::event::boot_event::{BootEvent, Events};
use crate::graph::plan::Plan;
use crate::report::boot_report::BootReport;
use crate::run::error::StopFailure;
use crate::run::health::{self, SystemHealth};
use crate::run::progress::ProgressTable;
use crate::run::step_table::StepTable;
use crate::run::stopper::{Life, StopLimits, Stopper};

/// How a system was taken down.
#[derive(Debug, Clone)]
pub struct ShutdownReport {
    /// How long it took.
    pub seconds: f64,
    /// How many stopped as they should.
    pub stopped: usize,
    /// Those that did not.
    pub errors: Vec<StopFailure>,
}

/// A system that is up. It is taken down by [`Running::shutdown`] and by nothing else.
pub struct Running {
    plan: Plan,
    events: Events,
    progress_table: ProgressTable,
    started: Vec<bool>,
    report: Arc<BootReport>,
    end: ShutdownOnce,
}

/// The end that a system has once, whatever becomes of the call that makes it.
struct ShutdownOnce {
    state: Mutex<ShutdownState>,
    changed: Condvar,
}

enum ShutdownState {
    Up,
    Stopping,
    Down(Arc<ShutdownReport>),
}

impl Running {
    pub(crate) fn new(
        plan: Plan,
        events: Events,
        progress_table: ProgressTable,
        started: Vec<bool>,
        report: Arc<BootReport>,
    ) -> Self {
        Self { plan, events, progress_table, started, report, end: ShutdownOnce::new() }
    }

    /// The plan that was booted.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The report of the boot.
    pub fn report(&self) -> Arc<BootReport> {
        Arc::clone(&self.report)
    }

    /// How each component stands.
    pub fn progress_table(&self) -> &ProgressTable {
        &self.progress_table
    }

    /// Whether [`Running::shutdown`] was called.
    pub fn is_stopping(&self) -> bool {
        !matches!(*self.end.state(), ShutdownState::Up)
    }

    /// Asks every component that started how it is, side by side. One that does not answer in time is unhealthy, and so is
    /// one that the boot went on without; the answer of the whole takes no longer than the deadline.
    pub fn health(&self, deadline: Duration) -> SystemHealth {
        if self.is_stopping() {
            let health = Health::Unhealthy("the system was shut down".to_owned());
            return SystemHealth { health, components: Vec::new() };
        }
        let step_table = StepTable::new(self.plan.clone(), self.events.clone());
        health::ask(&self.plan, step_table, &self.started, &self.report, deadline)
    }

    /// Stops everything that started, in reverse, each once. The second call, from whatever thread, waits for the first and
    /// has the same report.
    pub fn shutdown(&self, timeout: Duration) -> Arc<ShutdownReport> {
        self.end.once(|| self.stop(timeout), || self.cut_off())
    }

    /// The report of a shutdown that panicked: of nothing that was up is it known that it stopped.
    fn cut_off(&self) -> ShutdownReport {
        let up = self.plan.components().iter().zip(&self.started).filter(|(_, started)| **started);
        let errors = up.map(|(planned, _)| StopFailure {
            component: planned.name().clone(),
            failure: Failure::new(Code::INTERNAL, "the shutdown panicked; please report it"),
        });
        ShutdownReport { seconds: 0.0, stopped: 0, errors: errors.collect() }
    }

    fn stop(&self, timeout: Duration) -> ShutdownReport {
        let begun = Instant::now();
        let components = self.started.iter().filter(|started| **started).count();
        self.events.emit(BootEvent::ShutdownStarted { components });
        let mut step_table = StepTable::new(self.plan.clone(), self.events.clone());
        let lives = self.started.iter().map(|started| if *started { Life::Up } else { Life::Gone });
        let limits = StopLimits::shutdown(timeout);
        let stops = Stopper::new(
            &self.plan,
            &mut step_table,
            &self.events,
            &self.progress_table,
            limits,
            lives,
        )
        .run();
        let seconds = begun.elapsed().as_secs_f64();
        let errors = stops.errors.len();
        self.events.emit(BootEvent::ShutdownFinished { seconds, stopped: stops.stopped, errors });
        ShutdownReport { seconds, stopped: stops.stopped, errors: stops.errors }
    }
}

impl ShutdownOnce {
    const fn new() -> Self {
        Self { state: Mutex::new(ShutdownState::Up), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, ShutdownState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first call stops; others wait for it. `cut_off` is what they get when it panics.
    fn once(
        &self,
        stop: impl FnOnce() -> ShutdownReport,
        cut_off: impl Fn() -> ShutdownReport,
    ) -> Arc<ShutdownReport> {
        let mut state = self.state();
        loop {
            match &*state {
                ShutdownState::Down(report) => return Arc::clone(report),
                ShutdownState::Stopping => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                ShutdownState::Up => break,
            }
        }
        *state = ShutdownState::Stopping;
        drop(state);
        let mut ending = Ending { once: self, report: None, cut_off };
        let report = Arc::new(stop());
        ending.report = Some(Arc::clone(&report));
        report
    }
}

/// A shutdown under way: dropped, it is over, and those that wait are told so.
struct Ending<'a, F: Fn() -> ShutdownReport> {
    once: &'a ShutdownOnce,
    /// None where it panicked.
    report: Option<Arc<ShutdownReport>>,
    cut_off: F,
}

impl<F: Fn() -> ShutdownReport> Drop for Ending<'_, F> {
    fn drop(&mut self) {
        let report = self.report.take().unwrap_or_else(|| Arc::new((self.cut_off)()));
        *self.once.state() = ShutdownState::Down(report);
        self.once.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{ShutdownOnce, ShutdownReport};

    fn report(stopped: usize) -> ShutdownReport {
        ShutdownReport { seconds: 0.0, stopped, errors: Vec::new() }
    }

    #[test]
    fn a_shutdown_that_panics_is_over_for_those_that_wait() {
        let once = Arc::new(ShutdownOnce::new());
        let first = catch_unwind(AssertUnwindSafe(|| {
            once.once(|| panic!("as the test wants it"), || report(7))
        }));
        assert!(first.is_err(), "the panic was swallowed");
        let (tell, told) = mpsc::channel();
        // On a thread of its own: where nobody says the end, it waits for ever.
        std::thread::spawn(move || tell.send(once.once(|| report(1), || report(2)).stopped));
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(7));
    }
}
