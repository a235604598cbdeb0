//! A system that is up: its health, its report, its end.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use component::Health;

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
    end: Mutex<ShutdownState>,
    ended: Condvar,
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
        let end = Mutex::new(ShutdownState::Up);
        Self { plan, events, progress_table, started, report, end, ended: Condvar::new() }
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
        !matches!(*self.end.lock().unwrap_or_else(PoisonError::into_inner), ShutdownState::Up)
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
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*end {
                ShutdownState::Down(report) => return Arc::clone(report),
                ShutdownState::Stopping => {
                    end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
                }
                ShutdownState::Up => break,
            }
        }
        *end = ShutdownState::Stopping;
        drop(end);
        let report = Arc::new(self.stop(timeout));
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) =
            ShutdownState::Down(Arc::clone(&report));
        self.ended.notify_all();
        report
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
