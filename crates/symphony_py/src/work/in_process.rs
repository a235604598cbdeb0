//! Extensions that Python serves in this process, for `symphony.testing.extension`.
//!
//! The host puts a run here and goes on; a thread of Python's takes it and serves its lane. Invariant: no thread of the
//! core ever attaches for it, and none waits for that thread.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use orchestra_kit::host::{InProcess, InProcessRun as Run};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use crate::door::enter::enter;
use crate::door::error::Fields;
use crate::work::guest::GuestLane;

#[derive(Default)]
struct Waiting {
    /// A run, and whether it begins; else it is to be interrupted.
    orders: VecDeque<(Arc<Run>, bool)>,
    closed: bool,
}

/// The queue between the host and the thread of Python's.
#[derive(Default)]
struct Queue {
    extension: String,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn put(&self, run: Arc<Run>, begins: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            // Nobody serves it any more.
            return run.ended(1);
        }
        waiting.orders.push_back((run, begins));
        drop(waiting);
        self.changed.notify_one();
    }
}

impl Debug for Queue {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue").field("extension", &self.extension).finish_non_exhaustive()
    }
}

impl InProcess for Queue {
    fn serves(&self, extension: &str) -> bool {
        self.extension == extension
    }

    fn begin(&self, run: Arc<Run>) {
        self.put(run, true);
    }

    fn interrupt(&self, run: Arc<Run>) {
        self.put(run, false);
    }
}

/// The extension of a boot that is served in this process.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct InProcessRuns(Arc<Queue>);

impl InProcessRuns {
    pub(crate) fn server(&self) -> Arc<dyn InProcess> {
        Arc::<Queue>::clone(&self.0)
    }
}

#[pymethods]
impl InProcessRuns {
    #[new]
    fn new(extension: String) -> Self {
        Self(Arc::new(Queue { extension, ..Queue::default() }))
    }

    /// Waits for the next run that begins, or that is to be interrupted; `None` when none comes any more.
    fn next(&self, py: Python<'_>) -> PyResult<Option<(InProcessRun, bool)>> {
        let queue = &self.0;
        enter(py, || {
            let mut waiting = queue.waiting.lock();
            loop {
                if let Some((run, begins)) = waiting.orders.pop_front() {
                    return Some((InProcessRun(run), begins));
                }
                if waiting.closed {
                    return None;
                }
                queue.changed.wait(&mut waiting);
            }
        })
    }

    /// No run is taken any more.
    fn close(&self) {
        self.0.waiting.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// One run of an extension in this process.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct InProcessRun(Arc<Run>);

#[pymethods]
impl InProcessRun {
    /// The guest's end of its lane; once.
    fn lane(&self, py: Python<'_>) -> PyResult<GuestLane> {
        let Some(socket) = self.0.take_lane() else {
            let message = format!("the lane of `{}` was taken already", self.0.extension());
            return Err(Fields::new(component::Code::INTERNAL, message).raise(py));
        };
        GuestLane::open(py, socket)
    }

    /// Has the host ask it to stop.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.0.leave())
    }

    /// Tells the host that it has ended, by that exit code; it may have given it up before.
    fn ended(&self, py: Python<'_>, code: i32) -> PyResult<()> {
        enter(py, || self.0.ended(code))
    }

    /// Whether it is the same run.
    fn __eq__(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn __hash__(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
