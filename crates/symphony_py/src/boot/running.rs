//! A running system as `symphony/_boot/system.py` holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use boot_orchestrator::Running as EngineRunning;
use boot_orchestrator::system::System;
use component::Health;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::boot::report::BootReport;
use crate::door::enter::{enter, guard};
use crate::door::error::Fields;
use crate::steps::queue::Queue;
use crate::steps::threads::JobQueue;

/// A system that is up.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Running {
    engine: Arc<EngineRunning>,
    system: Arc<System>,
    calling: Arc<Queue>,
    stopping: AtomicBool,
}

impl Running {
    pub(crate) fn new(running: EngineRunning, system: Arc<System>, calling: Arc<Queue>) -> Self {
        Self { engine: Arc::new(running), system, calling, stopping: AtomicBool::new(false) }
    }

    /// Runs work on a thread of its own, while the caller works off the steps that belong to its thread.
    fn beside<T: Send + 'static>(
        &self,
        py: Python<'_>,
        name: &str,
        work: impl FnOnce(&EngineRunning) -> T + Send + 'static,
    ) -> PyResult<Question<T>> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let (running, calling) = (Arc::clone(&self.engine), Arc::clone(&self.calling));
        let ended = Arc::new(AtomicBool::new(false));
        let question = Question {
            receiver: Mutex::new(Some(receiver)),
            calling: Arc::clone(&calling),
            ended: Arc::clone(&ended),
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Nobody waits for it any more only when the interpreter ends.
                let _ = sender.send(work(&running));
                ended.store(true, Ordering::Release);
                calling.wake();
            })
            .map_err(|error| {
                Fields::new(component::Code::INTERNAL, "a thread cannot be started")
                    .because(&error)
                    .raise(py)
            })?;
        Ok(question)
    }
}

/// A question on its way, and the queue that its asker serves until it has ended. Several may be on their way at once.
struct Question<T> {
    receiver: Mutex<Option<crossbeam_channel::Receiver<T>>>,
    calling: Arc<Queue>,
    ended: Arc<AtomicBool>,
}

impl<T: Send> Question<T> {
    fn calling(&self) -> JobQueue {
        JobQueue::until(Arc::clone(&self.calling), Arc::clone(&self.ended))
    }

    fn answer(&self, py: Python<'_>) -> PyResult<Option<T>> {
        let receiver = self.receiver.lock().take();
        enter(py, || receiver.and_then(|receiver| receiver.recv().ok()))
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
        let span = Duration::try_from_secs_f64(timeout).map_err(|_| {
            let text = format!("`timeout` takes a positive number of seconds, not {timeout}");
            Fields::new(component::Code::INVALID_VALUE, text).raise(py)
        })?;
        let question = self.beside(py, "symphony-health", move |running| {
            let health = running.health(span);
            let state = health.health.as_str();
            let components = health.components.into_iter().map(|entry| {
                let reason = entry.health.reason().map(str::to_owned);
                (entry.component.to_string(), (word(&entry.health), reason))
            });
            (state, health.health.reason().map(str::to_owned), components.collect())
        })?;
        Ok(PendingHealth { question })
    }

    /// Begins the shutdown; `None` when it was begun before and has ended.
    fn begin_shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<PendingShutdown>> {
        if self.stopping.swap(true, Ordering::AcqRel) {
            // Another thread is at it, or was: wait until it has ended.
            py.detach(|| self.engine.shutdown(Duration::ZERO));
            return Ok(None);
        }
        let span = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::from_secs(3));
        let system = Arc::clone(&self.system);
        system.closing().store(true, Ordering::Release);
        let question = self.beside(py, "symphony-shutdown", move |running| {
            let report = running.shutdown(span);
            system.close();
            report.errors.iter().map(ToString::to_string).collect()
        })?;
        Ok(Some(PendingShutdown { question }))
    }

    /// Shuts down without serving the calling thread's steps.
    fn shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let span = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::from_secs(3));
        self.stopping.store(true, Ordering::Release);
        enter(py, || {
            self.engine.shutdown(span);
            self.system.close();
        })
    }
}

const fn word(health: &Health) -> &'static str {
    health.as_str()
}

type HealthAnswer = (&'static str, Option<String>, Vec<(String, (&'static str, Option<String>))>);

/// A health question on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingHealth {
    question: Question<HealthAnswer>,
}

#[pymethods]
impl PendingHealth {
    /// The steps that belong to the asking thread, until this has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        self.question.calling()
    }

    /// State and reason of the whole, then name, state and reason of each component.
    fn result(&self, py: Python<'_>) -> PyResult<HealthAnswer> {
        Ok(self.question.answer(py)?.unwrap_or_else(|| {
            ("unhealthy", Some("nobody is left to be asked".to_owned()), Vec::new())
        }))
    }
}

/// A shutdown on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingShutdown {
    question: Question<Vec<String>>,
}

#[pymethods]
impl PendingShutdown {
    /// The steps that belong to the asking thread, until this has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        self.question.calling()
    }

    /// What did not stop as it should.
    fn result(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.question.answer(py)?.unwrap_or_default())
    }
}
