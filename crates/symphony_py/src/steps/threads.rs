//! The queues from which Python's own threads take the steps of Python components.
//!
//! Caller: `symphony/_boot/threads.py` takes steps out of a `queue` here, and asks the `keeper` what to do. Python steps never
//! run on a Rust thread: a step abandoned there would turn the interpreter's exit into an abort. Invariant: a Python daemon
//! thread that waits here for a step waits without a timeout, detached from the interpreter, so that nothing wakes it while
//! the interpreter ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use component::{Code, Failure, Health, Step};
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::door::enter::wait_polling;
use crate::door::error::failure_of;
use crate::steps::keeper::{KeeperState, Order};
use crate::steps::queue::{Queue, Taken, Ticket};

/// One step, as the Python thread that runs it sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Job {
    ticket: Arc<Ticket>,
}

#[pymethods]
impl Job {
    /// The component that the step belongs to (a `symphony._live.Live`).
    #[getter]
    fn live(&self, py: Python<'_>) -> Py<PyAny> {
        self.ticket.live.clone_ref(py)
    }

    /// `start`, `health` or `stop`: the interpreter's one text of it, by which an attribute is found soonest.
    #[getter]
    fn step<'py>(&self, py: Python<'py>) -> &'py Bound<'py, PyString> {
        match self.ticket.step {
            Step::Start => intern!(py, "start"),
            Step::Health => intern!(py, "health"),
            Step::Stop => intern!(py, "stop"),
        }
    }

    /// Whether the step was given up while it ran.
    #[getter]
    fn given_up(&self) -> bool {
        self.ticket.given_up()
    }

    /// Remembers which Python thread runs the step; false when it was given up before its turn came.
    fn begun(&self, thread: u64) -> bool {
        self.ticket.begun(thread)
    }

    /// The step is not run: it was given up before its turn came.
    fn skip(&self, py: Python<'_>) {
        let failure = Failure::new(Code::STOPPED, "it was given up before its turn came");
        py.detach(|| self.ticket.tell(Err(failure)));
    }

    /// The step ended well. `state` is `healthy`, `degraded` or `unhealthy`; false when it had been given up.
    #[pyo3(signature = (state = "healthy", reason = None))]
    fn finish(&self, py: Python<'_>, state: &str, reason: Option<String>) -> bool {
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        let health = match state {
            "degraded" => Health::Degraded(reason),
            "unhealthy" => Health::Unhealthy(reason),
            _ => Health::Healthy,
        };
        py.detach(|| self.ticket.tell(Ok(health)))
    }

    /// The step raised; false when it had been given up.
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> bool {
        let failure = failure_of(self.ticket.step, error);
        py.detach(|| self.ticket.tell(Err(failure)))
    }
}

/// A queue as Python sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct JobQueue {
    queue: Arc<Queue>,
    arriving: Mutex<bool>,
    ended: Option<Arc<AtomicBool>>,
}

impl JobQueue {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        let arriving = queue.keeper.is_some();
        Self { queue, arriving: Mutex::new(arriving), ended: None }
    }

    /// The calling thread's queue for as long as one question of it has not ended.
    pub(crate) fn until(queue: Arc<Queue>, ended: Arc<AtomicBool>) -> Self {
        Self { queue, arriving: Mutex::new(false), ended: Some(ended) }
    }
}

#[pymethods]
impl JobQueue {
    /// Waits for the next step, detached and without a timeout; `None` when the thread may end.
    fn take(&self, py: Python<'_>) -> Option<Job> {
        // What is there already is taken at once: letting the interpreter go and getting it back takes longer.
        if let Some(keeper) = self.queue.keeper.as_ref().filter(|_| !*self.arriving.lock())
            && let Some(ticket) = keeper.take_ready(&self.queue)
        {
            return Some(Job { ticket });
        }
        let taken = py.detach(|| match &self.queue.keeper {
            Some(keeper) => keeper.take_shared(&self.queue, &mut self.arriving.lock()),
            None => self.queue.take(None, None),
        });
        match taken {
            Taken::Ticket(ticket) => Some(Job { ticket }),
            Taken::Nothing | Taken::Closed => None,
        }
    }

    /// Waits for the next step on the thread that called `boot()`, letting signals through.
    fn take_polling(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        wait_polling(py, |span| match self.queue.take(Some(span), self.ended.as_deref()) {
            Taken::Ticket(ticket) => Some(Some(Job { ticket })),
            Taken::Closed => Some(None),
            Taken::Nothing => None,
        })
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    fn end(&self, py: Python<'_>) {
        py.detach(|| self.queue.end());
    }

    /// The thread for this queue could not be started: the step that it was for, if any.
    fn not_started(&self, py: Python<'_>) -> Option<Job> {
        let taken = py.detach(|| self.queue.without_thread());
        taken.map(|ticket| Job { ticket })
    }

    /// A thread that works off this shared queue will not come back.
    fn left(&self) {
        if let Some(keeper) = &self.queue.keeper {
            keeper.left();
        }
    }
}

/// The keeper thread's door.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Keeper {
    pub(crate) state: Arc<KeeperState>,
}

#[pymethods]
impl Keeper {
    /// Lets the keeper end with the last step, and the shared threads.
    fn close(&self) {
        self.state.close();
    }

    /// Waits for the next order: `("spawn", JobQueue)`, `("interrupt", None)`, `("cancel", Job)`,
    /// `("stack", (thread, reply))`; `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<(&'static str, Py<PyAny>)>> {
        let order = py.detach(|| self.state.next());
        Ok(match order {
            None => None,
            Some(Order::Spawn(queue)) => {
                Some(("spawn", Py::new(py, JobQueue::new(queue))?.into_any()))
            }
            Some(Order::Interrupt) => Some(("interrupt", py.None())),
            Some(Order::Cancel(ticket)) => {
                Some(("cancel", Py::new(py, Job { ticket })?.into_any()))
            }
            Some(Order::Stack(ticket, reply)) => {
                Some(("stack", Py::new(py, StackRequest { ticket, reply })?.into_any()))
            }
        })
    }
}

/// A question for the Python stack of a step.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct StackRequest {
    ticket: Arc<Ticket>,
    reply: crossbeam_channel::Sender<String>,
}

#[pymethods]
impl StackRequest {
    /// The thread that the step runs on; `None` while it waits for one.
    #[getter]
    fn thread(&self) -> Option<u64> {
        self.ticket.thread()
    }

    /// The step's component.
    #[getter]
    fn live(&self, py: Python<'_>) -> Py<PyAny> {
        self.ticket.live.clone_ref(py)
    }

    /// Answers; nobody may be listening any more.
    fn answer(&self, stack: String) {
        // The asker waits a tenth of a second at most; that it left is no fault.
        let _ = self.reply.send(stack);
    }
}
