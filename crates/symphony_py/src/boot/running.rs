//! A running system as `symphony/_boot/system.py` holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boot_orchestrator::steps::WorkBeside;
use boot_orchestrator::system::System;
use boot_orchestrator::{Running as EngineRunning, StopFailure};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use crate::boot::report::BootReport;
use crate::door::enter::{enter, guard, wait_polling};
use crate::door::error::Fields;
use crate::door::health::{Health, SystemHealth};
use crate::door::span::span;
use crate::steps::live::{Live, LiveThreads};
use crate::steps::threads::JobQueue;

/// A system that is up.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Running {
    engine: Arc<EngineRunning>,
    system: Arc<System>,
    threads: Arc<LiveThreads>,
    stopping: AtomicBool,
    ended: Arc<Ended>,
}

impl Running {
    pub(crate) fn new(
        running: EngineRunning,
        system: Arc<System>,
        threads: Arc<LiveThreads>,
    ) -> Self {
        let (engine, stopping) = (Arc::new(running), AtomicBool::new(false));
        Self { engine, system, threads, stopping, ended: Arc::default() }
    }

    /// Runs work on a thread of its own, while the caller works off the steps that belong to its thread.
    fn beside<A: Send + 'static>(
        &self,
        py: Python<'_>,
        name: &str,
        work: impl FnOnce(&EngineRunning) -> A + Send + 'static,
    ) -> PyResult<WorkBeside<Live, A>> {
        let running = Arc::clone(&self.engine);
        WorkBeside::begin(&self.threads, name, move || work(&running)).map_err(|error| {
            Fields::new(component::Code::INTERNAL, "a thread cannot be started")
                .because(&error)
                .raise(py)
        })
    }
}

#[pymethods]
impl Running {
    /// How the boot went.
    fn report(&self) -> BootReport {
        BootReport::new(self.engine.report())
    }

    /// Begins to ask every component how it is.
    fn begin_health(&self, py: Python<'_>, timeout: f64) -> PyResult<PendingHealth> {
        guard(py)?;
        let span = span(py, "timeout", timeout)?;
        let work = self.beside(py, "symphony-health", move |running| {
            let health = running.health(span);
            let state = health.health.as_str();
            let reason = health.health.reason().map(str::to_owned);
            let components = health.components.into_iter();
            let components =
                components.map(|entry| (entry.component.to_string(), Health::of(&entry.health)));
            SystemHealth::new(state, reason, components.collect())
        })?;
        Ok(PendingHealth { work })
    }

    /// Whether the shutdown was begun.
    #[getter]
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Begins the shutdown; `None` when it was begun before and has ended. Waiting for that, it handles signals.
    fn begin_shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<PendingShutdown>> {
        // Refused before anything is stopped.
        let span = span(py, "timeout", timeout)?;
        if self.stopping.swap(true, Ordering::AcqRel) {
            // Another thread is at it, or was: wait until it has ended, and handles say so. Where its thread could not be
            // started, nobody is at it any more.
            return wait_polling(py, |span| {
                (self.ended.wait(span) || !self.stopping.load(Ordering::Acquire)).then_some(None)
            });
        }
        self.system.closing().store(true, Ordering::Release);
        let (system, ended) = (Arc::clone(&self.system), Arc::clone(&self.ended));
        let work = self.beside(py, "symphony-shutdown", move |running| {
            let _close = CloseAtEnd { system, ended };
            running.shutdown(span).errors.iter().map(StopFailure::line).collect()
        });
        if work.is_err() {
            // Nothing was stopped: the next call tries again, instead of waiting for what nobody does.
            self.system.closing().store(false, Ordering::Release);
            self.stopping.store(false, Ordering::Release);
        }
        let work = work?;
        Ok(Some(PendingShutdown { work }))
    }
}

/// Told once that the system is down, to whoever waits for another's shutdown.
#[derive(Default)]
struct Ended {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    fn tell(&self) {
        *self.told.lock() = true;
        self.changed.notify_all();
    }

    /// Waits for so long; whether it was told.
    fn wait(&self, span: Duration) -> bool {
        let mut told = self.told.lock();
        if !*told {
            self.changed.wait_for(&mut told, span);
        }
        *told
    }
}

/// Closes the system when it is dropped: also after a shutdown that panicked, handles say that it was stopped, and its
/// processes and its folder are let go of.
struct CloseAtEnd {
    system: Arc<System>,
    ended: Arc<Ended>,
}

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.system.close();
        self.ended.tell();
    }
}

/// A health question on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingHealth {
    work: WorkBeside<Live, SystemHealth>,
}

#[pymethods]
impl PendingHealth {
    /// The steps that belong to the asking thread, until this has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        JobQueue::of(self.work.steps())
    }

    /// How the system is.
    fn result(&self, py: Python<'_>) -> PyResult<SystemHealth> {
        Ok(enter(py, || self.work.answer())?.unwrap_or_else(|| {
            let reason = "nobody is left to be asked".to_owned();
            SystemHealth::new("unhealthy", Some(reason), Vec::new())
        }))
    }
}

/// A shutdown on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingShutdown {
    work: WorkBeside<Live, Vec<String>>,
}

#[pymethods]
impl PendingShutdown {
    /// The steps that belong to the asking thread, until this has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        JobQueue::of(self.work.steps())
    }

    /// Whether it has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.work.has_ended()
    }

    /// What did not stop as it should.
    fn result(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let panicked = || vec!["the shutdown panicked; please report it".to_owned()];
        Ok(enter(py, || self.work.answer())?.unwrap_or_else(panicked))
    }
}
