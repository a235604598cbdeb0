//! A component's place in the engine, in which another Python object may take the first one's.
//!
//! Callers: the engine sees a [`Place`] where it would see the component; `symphony/_swap/swap.py` runs the steps of the
//! object that comes and of the one that goes through [`Stepper`]. Invariant: whatever was put into a place is stopped
//! once, either by who took it out or with the place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Code, Component, Done, Failure, Health, Step};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::enter::{enter, guard, wait_polling};
use crate::door::error::Fields;
use crate::steps::keeper::KeeperState;
use crate::steps::python_component::{Place as Thread, PythonComponent};
use crate::steps::queue::Queue;
use crate::steps::threads::JobQueue;

/// What stands in the registry for a Python component.
pub(crate) struct Place {
    inner: Mutex<Standing>,
}

struct Standing {
    current: Arc<PythonComponent>,
    /// Taken out, but still held by somebody: stopped together with the current one.
    retired: Vec<Arc<PythonComponent>>,
    stopping: bool,
}

impl Place {
    pub(crate) fn new(current: PythonComponent) -> Arc<Self> {
        Self::of(Arc::new(current))
    }

    fn of(current: Arc<PythonComponent>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Standing { current, retired: Vec::new(), stopping: false }),
        })
    }

    fn current(&self) -> Arc<PythonComponent> {
        Arc::clone(&self.inner.lock().current)
    }
}

impl Component for Place {
    fn begin(&self, step: Step, done: Done) {
        if step != Step::Stop {
            self.current().begin(step, done);
            return;
        }
        let (current, retired) = {
            let mut inner = self.inner.lock();
            inner.stopping = true;
            (Arc::clone(&inner.current), inner.retired.clone())
        };
        if retired.is_empty() {
            current.begin(step, done);
            return;
        }
        let gathered = Arc::new(Gathered {
            left: Mutex::new((retired.len() + 1, Some(done), Ok(Health::Healthy))),
        });
        for component in retired.into_iter().chain([current]) {
            let gathered = Arc::clone(&gathered);
            component.begin(step, Done::new(move |outcome| gathered.add(outcome)));
        }
    }

    fn give_up(&self, step: Step) -> Option<String> {
        let (current, retired) = {
            let inner = self.inner.lock();
            (Arc::clone(&inner.current), inner.retired.clone())
        };
        let stack = current.give_up(step);
        if step != Step::Stop {
            return stack;
        }
        retired.iter().fold(stack, |stack, component| stack.or(component.give_up(step)))
    }

    fn clock_from(&self, step: Step) -> Option<Instant> {
        self.current().clock_from(step)
    }
}

type Left = (usize, Option<Done>, Result<Health, Failure>);

/// The stops of a place that held several: told when the last has ended, with the first failure.
struct Gathered {
    left: Mutex<Left>,
}

impl Gathered {
    fn add(&self, outcome: Result<Health, Failure>) {
        let told = {
            let mut left = self.left.lock();
            left.0 -= 1;
            if left.2.is_ok() {
                left.2 = outcome;
            }
            if left.0 > 0 {
                return;
            }
            let result = std::mem::replace(&mut left.2, Ok(Health::Healthy));
            left.1.take().map(|done| (done, result))
        };
        if let Some((done, result)) = told {
            done.tell(result);
        }
    }
}

/// The place of a component, as `symphony/_swap/swap.py` holds it.
///
/// The engine owns the place: a `Live` that owned its own place would never be freed.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Slot {
    pub(crate) place: Weak<Place>,
    pub(crate) keeper: Arc<KeeperState>,
    pub(crate) shared: Arc<Queue>,
    pub(crate) calling: Arc<Queue>,
}

#[pymethods]
impl Slot {
    /// The steps of an object that may come into this place.
    fn candidate(&self, live: Py<PyAny>, thread: &str) -> Stepper {
        Stepper::new(live, thread, &self.keeper, &self.shared, &self.calling)
    }

    /// Puts another object into the place: gives the steps of the one before, `None` when the place is being stopped.
    fn exchange(&self, stepper: &Stepper) -> Option<Stepper> {
        let place = self.place.upgrade()?;
        let mut inner = place.inner.lock();
        if inner.stopping {
            return None;
        }
        let component = std::mem::replace(&mut inner.current, Arc::clone(&stepper.component));
        Some(Stepper { component, calling: Arc::clone(&self.calling) })
    }

    /// Leaves an object to be stopped with the place; false when that is being stopped already.
    fn retire(&self, stepper: &Stepper) -> bool {
        let Some(place) = self.place.upgrade() else { return false };
        let mut inner = place.inner.lock();
        if !inner.stopping {
            inner.retired.push(Arc::clone(&stepper.component));
        }
        !inner.stopping
    }

    /// Takes back objects that were left; false, and none is, when they are being stopped with the place already.
    #[expect(clippy::needless_pass_by_value, reason = "what the interpreter hands over is owned")]
    fn reclaim(&self, steppers: Vec<PyRef<'_, Stepper>>) -> bool {
        let Some(place) = self.place.upgrade() else { return false };
        let mut inner = place.inner.lock();
        if !inner.stopping {
            inner.retired.retain(|component| {
                !steppers.iter().any(|stepper| Arc::ptr_eq(component, &stepper.component))
            });
        }
        !inner.stopping
    }
}

/// The steps of one object that is not, or not any more, in its place.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Stepper {
    component: Arc<PythonComponent>,
    calling: Arc<Queue>,
}

impl Stepper {
    pub(crate) fn new(
        live: Py<PyAny>,
        thread: &str,
        keeper: &Arc<KeeperState>,
        shared: &Arc<Queue>,
        calling: &Arc<Queue>,
    ) -> Self {
        let thread = Thread::named(thread);
        let component = PythonComponent::new(live, thread, keeper, shared, calling);
        Self { component: Arc::new(component), calling: Arc::clone(calling) }
    }

    /// A place outside of the plan, with these steps; whoever has the place keeps it.
    pub(crate) fn alone(
        &self,
        keeper: &Arc<KeeperState>,
        shared: &Arc<Queue>,
        calling: &Arc<Queue>,
    ) -> (Arc<Place>, Slot) {
        let place = Place::of(Arc::clone(&self.component));
        let slot = Slot {
            place: Arc::downgrade(&place),
            keeper: Arc::clone(keeper),
            shared: Arc::clone(shared),
            calling: Arc::clone(calling),
        };
        (place, slot)
    }
}

/// A step on its way.
struct Begun {
    component: Arc<PythonComponent>,
    step: Step,
    limit: Duration,
    at: Instant,
    outcome: crossbeam_channel::Receiver<Result<Health, Failure>>,
    given_up: Arc<Mutex<bool>>,
}

/// How a step ended.
enum Ended {
    Told(Result<Health, Failure>),
    /// It was given up, and stood there.
    Late(Option<String>),
}

impl Begun {
    /// A step that is not done in time is given up; a start that ends well after that is stopped at once.
    fn new(component: &Arc<PythonComponent>, step: Step, limit: Duration) -> Self {
        let (sender, outcome) = crossbeam_channel::bounded(1);
        let given_up = Arc::new(Mutex::new(false));
        let (late, starting) = (Arc::clone(&given_up), Arc::clone(component));
        let done = Done::new(move |outcome: Result<Health, Failure>| {
            let late = late.lock();
            if !*late {
                // The receiver lives as long as nobody gave the step up.
                let _ = sender.send(outcome);
            } else if step == Step::Start && outcome.is_ok() {
                starting.begin(Step::Stop, Done::new(|_| ()));
            }
        });
        let at = Instant::now();
        component.begin(step, done);
        Self { component: Arc::clone(component), step, limit, at, outcome, given_up }
    }

    /// Waits for so long; `None` when it may take longer.
    fn wait(&self, span: Duration) -> Option<Ended> {
        let left = self.limit.saturating_sub(self.at.elapsed());
        match self.outcome.recv_timeout(span.min(left)) {
            Ok(outcome) => Some(Ended::Told(outcome)),
            Err(_) if left.is_zero() => Some(self.give_up()),
            Err(_) => None,
        }
    }

    fn give_up(&self) -> Ended {
        *self.given_up.lock() = true;
        let stack = self.component.give_up(self.step);
        self.outcome.try_recv().map_or(Ended::Late(stack), Ended::Told)
    }

    fn told(&self, py: Python<'_>, ended: Ended) -> PyResult<Answer> {
        let stack = match ended {
            Ended::Told(outcome) => return told(py, outcome),
            Ended::Late(stack) => stack,
        };
        let stops = self.step == Step::Stop;
        let code = if stops { Code::STOP_TIMEOUT } else { Code::START_TIMEOUT };
        let seconds = self.limit.as_secs_f64();
        let text = format!("its {} was not done after {seconds} s", self.step.as_str());
        let mut fields = Fields::new(code, text);
        fields.stack = stack;
        fields.boot = true;
        Err(fields.raise(py))
    }
}

/// State and reason of an object after a step.
type Answer = (&'static str, Option<String>);

fn step_of(step: &str) -> Step {
    match step {
        "start" => Step::Start,
        "health" => Step::Health,
        _ => Step::Stop,
    }
}

#[pymethods]
impl Stepper {
    /// Runs a step where it belongs and waits for it: state and reason of the object after it.
    ///
    /// A step that is not done in time is given up; a start that ends well after that is stopped at once.
    fn run(&self, py: Python<'_>, step: &str, seconds: f64) -> PyResult<Answer> {
        guard(py)?;
        let (step, limit) = (step_of(step), span(seconds));
        let begun = py.detach(|| Begun::new(&self.component, step, limit));
        match wait_polling(py, |span| begun.wait(span)) {
            Ok(ended) => begun.told(py, ended),
            Err(error) => {
                // Ctrl-C: nobody waits for it any more.
                py.detach(|| begun.give_up());
                Err(error)
            }
        }
    }

    /// Begins a step that belongs to the thread that calls, which then has to work it off.
    fn begin(&self, py: Python<'_>, step: &str, seconds: f64) -> PyResult<PendingStep> {
        guard(py)?;
        let (step, limit) = (step_of(step), span(seconds));
        let begun = Arc::new(Begun::new(&self.component, step, limit));
        let ended = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let (waits, over) = (Arc::clone(&begun), Arc::clone(&ended));
        let calling = Arc::clone(&self.calling);
        std::thread::Builder::new()
            .name("symphony-swap".to_owned())
            .spawn(move || {
                let outcome = loop {
                    if let Some(outcome) = waits.wait(limit) {
                        break outcome;
                    }
                };
                // Nobody waits for it any more only when the interpreter ends.
                let _ = sender.send(outcome);
                over.store(true, Ordering::Release);
                calling.wake();
            })
            .map_err(|error| {
                let fields = Fields::new(Code::INTERNAL, "a thread cannot be started");
                fields.because(&error).raise(py)
            })?;
        let calling = Arc::clone(&self.calling);
        Ok(PendingStep { begun, calling, ended, receiver: Mutex::new(Some(receiver)) })
    }
}

/// A step of the calling thread's on its way.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingStep {
    begun: Arc<Begun>,
    calling: Arc<Queue>,
    ended: Arc<AtomicBool>,
    receiver: Mutex<Option<crossbeam_channel::Receiver<Ended>>>,
}

#[pymethods]
impl PendingStep {
    /// The queue to work off until it has ended.
    #[getter]
    fn calling(&self) -> JobQueue {
        JobQueue::until(Arc::clone(&self.calling), Arc::clone(&self.ended))
    }

    /// State and reason of the object after it.
    fn result(&self, py: Python<'_>) -> PyResult<Answer> {
        let receiver = self.receiver.lock().take();
        let ended = enter(py, || receiver.and_then(|receiver| receiver.recv().ok()))?;
        self.begun.told(py, ended.unwrap_or(Ended::Late(None)))
    }
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn told(
    py: Python<'_>,
    outcome: Result<Health, Failure>,
) -> PyResult<(&'static str, Option<String>)> {
    match outcome {
        Ok(health) => Ok((health.as_str(), health.reason().map(str::to_owned))),
        Err(failure) => Err(Fields::of_failure(&failure).raise(py)),
    }
}
