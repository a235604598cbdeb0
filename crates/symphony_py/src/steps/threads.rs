//! What Python's own threads ask the queues of steps, and whoever starts those threads asks for orders.
//!
//! Caller: `symphony/_boot/threads.py`. Python steps never run on a Rust thread: a step abandoned there would turn the
//! interpreter's exit into an abort. Invariant: a Python daemon thread that waits here for a step waits without a timeout,
//! detached from the interpreter, so that nothing wakes it while the interpreter ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::steps::{StepReceiver, Taken, ThreadOrder};
use component::{Code, Health, Step};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::door::enter::{guard, wait_polling};
use crate::door::error::failure_of;
use crate::door::span::{deadline, limit};
use crate::steps::live::{Live, LiveStep, LiveThreads};
use crate::steps::told_health::health_of;

/// One step, as the Python thread that runs it sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Job {
    step: Arc<LiveStep>,
}

impl Job {
    fn of(step: Arc<LiveStep>) -> Self {
        Self { step }
    }
}

#[pymethods]
impl Job {
    /// Whether it is the same step: a component may have two under way, one of them given up.
    fn __eq__(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.step, &other.step)
    }

    fn __hash__(&self) -> u64 {
        Arc::as_ptr(&self.step).addr() as u64
    }

    /// The component that the step belongs to (a `symphony._boot.container.Live`).
    #[getter]
    fn live(&self, py: Python<'_>) -> Live {
        self.step.subject().clone_ref(py)
    }

    /// `start`, `health` or `stop`: the interpreter's one text of it, by which an attribute is found soonest.
    #[getter]
    fn step<'py>(&self, py: Python<'py>) -> &'py Bound<'py, PyString> {
        match self.step.step() {
            Step::Start => intern!(py, "start"),
            Step::Health => intern!(py, "health"),
            Step::Stop => intern!(py, "stop"),
        }
    }

    /// Whether the step was given up while it ran.
    #[getter]
    fn given_up(&self) -> bool {
        self.step.given_up()
    }

    /// Remembers which Python thread runs the step; false when it was given up before its turn came.
    fn begun(&self, thread: u64) -> bool {
        self.step.begun(thread)
    }

    /// The step is not run: it was given up before its turn came.
    fn skip(&self, py: Python<'_>) {
        py.detach(|| self.step.skip());
    }

    /// The step raised nothing; only the result of `health()` says how the component is. False when it had been given up.
    #[pyo3(signature = (outcome = None))]
    fn finish(&self, py: Python<'_>, outcome: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let health = match outcome.filter(|_| self.step.step() == Step::Health) {
            Some(outcome) => health_of(outcome)?,
            None => Health::Healthy,
        };
        Ok(py.detach(|| self.step.tell(Ok(health))))
    }

    /// The step raised; false when it had been given up.
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> bool {
        let mut failure = failure_of(self.step.step(), error);
        // What is no `Exception` is how a step is ended from outside: a task is cancelled, the calling thread interrupted.
        if self.step.given_up() && !error.is_instance_of::<PyException>() {
            failure.code = Code::CANCELLED;
        }
        py.detach(|| self.step.tell(Err(failure)))
    }
}

/// A queue of steps as the thread sees it that works it off.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct JobQueue {
    steps: StepReceiver<Live>,
}

impl JobQueue {
    pub(crate) fn of(steps: StepReceiver<Live>) -> Self {
        Self { steps }
    }

    /// The steps of the thread that boots.
    pub(crate) fn calling(threads: &LiveThreads) -> Self {
        Self::of(StepReceiver::of(Arc::clone(threads.calling())))
    }
}

#[pymethods]
impl JobQueue {
    /// Waits for the next step, detached and without a timeout; `None` when the thread may end.
    fn take(&self, py: Python<'_>) -> Option<Job> {
        // What is there already is taken at once: letting the interpreter go and getting it back takes longer.
        let step = self.steps.ready().or_else(|| py.detach(|| self.steps.next()));
        step.map(Job::of)
    }

    /// Waits for the next step on the thread that called `boot()`, letting signals through; `None` when it may end, or
    /// when nothing came in `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn take_polling(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Job>> {
        let deadline = deadline(limit(py, "timeout", timeout)?);
        wait_polling(py, |span| match self.steps.next_within(span) {
            Taken::Step(step) => Some(Some(Job::of(step))),
            Taken::Closed => Some(None),
            Taken::Nothing if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                Some(None)
            }
            Taken::Nothing => None,
        })
    }

    /// The step that waits already; `False` where none does, `None` when none comes any more.
    fn take_now(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py)?;
        match py.detach(|| self.steps.next_within(Duration::ZERO)) {
            Taken::Step(step) => Ok(Py::new(py, Job::of(step))?.into_any()),
            Taken::Closed => Ok(py.None()),
            Taken::Nothing => Ok(false.into_pyobject(py)?.to_owned().into_any().unbind()),
        }
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    fn end(&self, py: Python<'_>) {
        py.detach(|| self.steps.end());
    }

    /// The thread for this queue could not be started: the step that it was for, if any.
    fn not_started(&self, py: Python<'_>) -> Option<Job> {
        py.detach(|| self.steps.without_thread()).map(Job::of)
    }

    /// A thread that works off this shared queue will not come back.
    fn left(&self) {
        self.steps.left();
    }
}

/// What the Python thread that starts the others asks.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Keeper {
    pub(crate) threads: Arc<LiveThreads>,
}

#[pymethods]
impl Keeper {
    /// Lets the keeper end with the last step, and the shared threads.
    fn close(&self) {
        self.threads.close();
    }

    /// Waits for the next order: `("spawn", JobQueue)`, `("interrupt", None)`, `("cancel", Job)`,
    /// `("stack", StackRequest)`; `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<(&'static str, Py<PyAny>)>> {
        let Some(order) = py.detach(|| self.threads.next()) else { return Ok(None) };
        let spawn = |steps| Py::new(py, JobQueue::of(steps)).map(Py::into_any);
        Ok(Some(match order {
            ThreadOrder::StartOwn(queue) => ("spawn", spawn(StepReceiver::of(queue))?),
            ThreadOrder::StartShared => {
                ("spawn", spawn(StepReceiver::shared(Arc::clone(&self.threads)))?)
            }
            ThreadOrder::Interrupt => ("interrupt", py.None()),
            ThreadOrder::Cancel(step) => ("cancel", Py::new(py, Job::of(step))?.into_any()),
            ThreadOrder::Stack(step, reply) => {
                ("stack", Py::new(py, StackRequest { step, reply })?.into_any())
            }
        }))
    }
}

/// A question for the Python stack of a step.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct StackRequest {
    step: Arc<LiveStep>,
    reply: crossbeam_channel::Sender<String>,
}

#[pymethods]
impl StackRequest {
    /// The thread that the step runs on; `None` while it waits for one.
    #[getter]
    fn thread(&self) -> Option<u64> {
        self.step.thread()
    }

    /// The step.
    #[getter]
    fn job(&self) -> Job {
        Job::of(Arc::clone(&self.step))
    }

    /// Answers; nobody may be listening any more.
    fn answer(&self, stack: String) {
        // The asker waits a tenth of a second at most; that it left is no fault.
        let _ = self.reply.send(stack);
    }
}
