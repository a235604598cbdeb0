//! Boot events on their way to Python: a queue that the core fills and a Python thread empties.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boot_orchestrator::{EventSink, Stamped};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::door::process::start_thread;

/// How long `boot()` waits for its observer to have seen everything.
const PATIENCE: Duration = Duration::from_millis(250);

/// One event of a boot or a shutdown.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct BootEvent {
    stamped: Stamped,
}

#[pymethods]
impl BootEvent {
    /// Its own word: `phase-started`, `component-finished`, …
    #[getter]
    fn name(&self) -> &'static str {
        self.stamped.event.name()
    }

    /// Seconds after the call of `boot()`.
    #[getter]
    fn at(&self) -> f64 {
        self.stamped.at
    }

    #[getter]
    fn phase(&self) -> Option<&'static str> {
        self.stamped.event.phase().map(component::Phase::as_str)
    }

    #[getter]
    fn component(&self) -> Option<&str> {
        self.stamped.event.component().map(component::ComponentName::as_str)
    }

    /// How long it took, for an event that ends something.
    #[getter]
    fn seconds(&self) -> Option<f64> {
        self.stamped.event.seconds()
    }

    /// `ready`, `degraded`, `failed`, `stopped` or `skipped`, for an event that ends something.
    #[getter]
    fn status(&self) -> Option<&'static str> {
        self.stamped.event.status().map(boot_orchestrator::Status::as_str)
    }

    /// Why, of what was tried again, failed, was skipped, is not healthy or did not stop.
    #[getter]
    fn reason(&self) -> Option<&str> {
        self.stamped.event.reason()
    }

    /// How much is done and of how much, of a `component-progressed`: bytes that a member reads back.
    #[getter]
    fn progress(&self) -> Option<(u64, u64)> {
        self.stamped.event.progress()
    }

    fn __str__(&self) -> String {
        self.stamped.event.to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "<BootEvent {} at {:.6}: {}>",
            self.stamped.event.name(),
            self.stamped.at,
            self.stamped.event
        )
    }
}

#[derive(Default)]
struct QueueState {
    waiting: std::collections::VecDeque<Stamped>,
    closed: bool,
    followed: bool,
    drained: bool,
}

/// The queue itself; a sink of the engine.
#[derive(Default)]
pub(crate) struct Events {
    /// Whether anybody asked for the queue: most boots have no observer, and nothing is kept for nobody.
    wanted: AtomicBool,
    state: Mutex<QueueState>,
    changed: Condvar,
}

impl EventSink for Events {
    fn event(&self, event: &Stamped) {
        if !self.wanted.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push_back(event.clone());
            self.changed.notify_all();
        }
    }
}

impl Events {
    /// The follower's door; what happens from now on is kept for it.
    pub(crate) fn queue(self: &Arc<Self>) -> EventQueue {
        self.wanted.store(true, Ordering::Release);
        EventQueue { events: Arc::clone(self) }
    }

    /// No event comes any more; waits a moment until the follower has seen what there is.
    pub(crate) fn finish(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        state.closed = true;
        self.changed.notify_all();
        while state.followed && !state.drained {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

/// The queue as the follower's thread sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct EventQueue {
    events: Arc<Events>,
}

#[pymethods]
impl EventQueue {
    /// Starts the thread of Python's that hands the events on to an observer, in order, until the boot has ended.
    fn follow(this: &Bound<'_, Self>, observer: &Bound<'_, PyAny>) -> PyResult<()> {
        start_thread(&this.getattr("hand_on")?, PyTuple::new(this.py(), [observer])?)
    }

    /// The loop of that thread. What the observer raises never changes the boot.
    fn hand_on(&self, py: Python<'_>, observer: &Bound<'_, PyAny>) -> PyResult<()> {
        while let Some(event) = self.take(py) {
            if let Err(error) = observer.call1((event,)) {
                error.write_unraisable(py, Some(observer));
            }
        }
        py.import("symphony._boot.log_lines")?.call_method0("forget_thread")?;
        self.drained();
        Ok(())
    }
}

impl EventQueue {
    /// Waits for the next event, detached and without a timeout; `None` when the boot has ended.
    fn take(&self, py: Python<'_>) -> Option<BootEvent> {
        let events = &self.events;
        py.detach(|| {
            let mut state = events.state.lock();
            state.followed = true;
            loop {
                if let Some(stamped) = state.waiting.pop_front() {
                    return Some(BootEvent { stamped });
                }
                if state.closed {
                    return None;
                }
                events.changed.wait(&mut state);
            }
        })
    }

    /// The follower has seen everything.
    fn drained(&self) {
        self.events.state.lock().drained = true;
        self.events.changed.notify_all();
    }
}
