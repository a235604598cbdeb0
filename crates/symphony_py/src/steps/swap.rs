//! The places in which Python objects are swapped, and the steps of the object that comes and of the one that goes.
//!
//! Caller: `symphony/_swap/swap.py`. Invariant: a wait here lets signals through, and one that ends with an exception gives
//! its step up.

use std::sync::{Arc, Weak};
use std::time::Duration;

use boot_orchestrator::default_deadlines;
use boot_orchestrator::steps::{AwaitedStep, CallingStep, StepEnd, ThreadKind};
use component::{Code, Failure, Health, Step};
use pyo3::prelude::*;

use crate::door::enter::{enter, guard, wait_polling};
use crate::door::error::Fields;
use crate::door::span::span;
use crate::door::words::Word;
use crate::steps::live::{Live, LiveComponent, LivePlace, LiveThreads};
use crate::steps::threads::JobQueue;

/// The place of a component, as `symphony/_swap/swap.py` holds it.
///
/// The engine owns the place: a `Live` that owned its own place would never be freed.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Slot {
    place: Weak<LivePlace>,
    threads: Arc<LiveThreads>,
}

impl Slot {
    pub(crate) fn new(place: &Arc<LivePlace>, threads: &Arc<LiveThreads>) -> Self {
        Self { place: Arc::downgrade(place), threads: Arc::clone(threads) }
    }
}

#[pymethods]
impl Slot {
    /// The steps of an object that may come into this place.
    fn candidate(&self, live: Live, thread: Word<ThreadKind>) -> Stepper {
        Stepper::new(live, thread, &self.threads)
    }

    /// Puts another object into the place: gives the steps of the one before, `None` when the place is being stopped.
    pub(crate) fn exchange(&self, stepper: &Stepper) -> Option<Stepper> {
        let component = self.place.upgrade()?.exchange(&stepper.component)?;
        Some(Stepper { component })
    }

    /// Leaves an object to be stopped with the place; false when that is being stopped already.
    pub(crate) fn retire(&self, stepper: &Stepper) -> bool {
        self.place.upgrade().is_some_and(|place| place.retire(&stepper.component))
    }

    /// Takes back objects that were left; false, and none is, when they are being stopped with the place already.
    pub(crate) fn reclaim(&self, steppers: Vec<PyRef<'_, Stepper>>) -> bool {
        let components: Vec<_> =
            steppers.iter().map(|stepper| Arc::clone(&stepper.component)).collect();
        self.place.upgrade().is_some_and(|place| place.reclaim(&components))
    }
}

/// The steps of one object that is not, or not any more, in its place.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Stepper {
    component: Arc<LiveComponent>,
}

impl Stepper {
    pub(crate) fn new(live: Live, thread: Word<ThreadKind>, threads: &Arc<LiveThreads>) -> Self {
        Self { component: LiveComponent::new(live, thread.0, threads) }
    }

    /// The same steps, for somebody else to hold.
    pub(crate) fn again(&self) -> Self {
        Self { component: Arc::clone(&self.component) }
    }

    /// Whether they are the same steps.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.component, &other.component)
    }

    /// A place outside of the plan, with these steps; whoever has the place keeps it.
    pub(crate) fn alone(&self, threads: &Arc<LiveThreads>) -> (Arc<LivePlace>, Slot) {
        let place = LivePlace::new(Arc::clone(&self.component));
        let slot = Slot::new(&place, threads);
        (place, slot)
    }
}

/// How long a step has: as said, else as in a boot, and a stop as long as a rollback.
fn time_of(py: Python<'_>, step: Step, seconds: Option<f64>) -> PyResult<Duration> {
    match (seconds, step) {
        (Some(seconds), _) => span(py, "seconds", seconds),
        (None, Step::Start | Step::Health) => Ok(default_deadlines::COMPONENT),
        (None, Step::Stop) => Ok(default_deadlines::ROLLBACK),
    }
}

/// State and reason of an object after a step.
type Answer = (&'static str, Option<String>);

#[pymethods]
impl Stepper {
    /// Runs a step where it belongs and waits for it: state and reason of the object after it.
    ///
    /// A step that is not done in time is given up; a start that ends well after that is stopped at once.
    #[pyo3(signature = (step, seconds=None))]
    fn run(&self, py: Python<'_>, step: Word<Step>, seconds: Option<f64>) -> PyResult<Answer> {
        guard(py)?;
        let limit = time_of(py, step.0, seconds)?;
        let begun = py.detach(|| AwaitedStep::begin(&self.component, step.0, limit));
        match wait_polling(py, |span| begun.wait(span)) {
            Ok(end) => answer(py, end),
            Err(error) => {
                // Ctrl-C: nobody waits for it any more.
                py.detach(|| begun.give_up());
                Err(error)
            }
        }
    }

    /// Begins a step that belongs to the thread that calls, which then has to work it off.
    #[pyo3(signature = (step, seconds=None))]
    fn begin(
        &self,
        py: Python<'_>,
        step: Word<Step>,
        seconds: Option<f64>,
    ) -> PyResult<PendingStep> {
        guard(py)?;
        let limit = time_of(py, step.0, seconds)?;
        let begun = CallingStep::begin(&self.component, step.0, limit);
        let begun = begun.map_err(|error| {
            let fields = Fields::new(Code::INTERNAL, "a thread cannot be started");
            fields.because(&error).raise(py)
        })?;
        Ok(PendingStep { begun })
    }
}

/// A step of the calling thread's on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingStep {
    begun: CallingStep<Live>,
}

#[pymethods]
impl PendingStep {
    /// The queue to work off until it has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        JobQueue::of(self.begun.steps())
    }

    /// State and reason of the object after it.
    fn result(&self, py: Python<'_>) -> PyResult<Answer> {
        let end = enter(py, || self.begun.end())?;
        answer(py, end)
    }
}

fn answer(py: Python<'_>, end: StepEnd) -> PyResult<Answer> {
    let fields = match end {
        StepEnd::Told(Ok(health)) => return Ok(words(&health)),
        StepEnd::Told(Err(failure)) => Fields::of_failure(&failure),
        StepEnd::Late(failure, stack) => late(&failure, stack),
    };
    Err(fields.raise(py))
}

fn words(health: &Health) -> Answer {
    (health.as_str(), health.reason().map(str::to_owned))
}

fn late(failure: &Failure, stack: Option<String>) -> Fields {
    let mut fields = Fields::of_failure(failure);
    (fields.stack, fields.boot) = (stack, true);
    fields
}
