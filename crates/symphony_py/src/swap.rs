//! A component's place in the engine, in which another Python object may take the first one's.
//!
//! Callers: the engine sees a [`Place`] where it would see the component; `symphony/_swap.py` runs the steps of the
//! object that comes and of the one that goes through [`Stepper`]. Invariant: whatever was put into a place is stopped
//! once, either by who took it out or with the place.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Code, Component, Done, Failure, Health, Step};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::enter::{guard, wait_polling};
use crate::error::Fields;
use crate::python_component::{Place as Thread, PythonComponent};
use crate::threads::{KeeperState, Queue};

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
        let current = Arc::new(current);
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

/// The place of a component, as `symphony/_swap.py` holds it.
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
        let component = PythonComponent::new(
            live,
            Thread::named(thread),
            &self.keeper,
            &self.shared,
            &self.calling,
        );
        Stepper { component: Arc::new(component) }
    }

    /// Puts another object into the place: gives the steps of the one before, `None` when the place is being stopped.
    fn exchange(&self, stepper: &Stepper) -> Option<Stepper> {
        let place = self.place.upgrade()?;
        let mut inner = place.inner.lock();
        if inner.stopping {
            return None;
        }
        let component = std::mem::replace(&mut inner.current, Arc::clone(&stepper.component));
        Some(Stepper { component })
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
}

#[pymethods]
impl Stepper {
    /// Runs a step where it belongs and waits for it: state and reason of the object after it.
    ///
    /// A step that is not done in time is given up; a start that ends well after that is stopped at once.
    fn run(
        &self,
        py: Python<'_>,
        step: &str,
        seconds: f64,
    ) -> PyResult<(&'static str, Option<String>)> {
        guard(py)?;
        let step = match step {
            "start" => Step::Start,
            "health" => Step::Health,
            _ => Step::Stop,
        };
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let given_up = Arc::new(Mutex::new(false));
        let (late, component) = (Arc::clone(&given_up), Arc::clone(&self.component));
        let done = Done::new(move |outcome: Result<Health, Failure>| {
            let late = late.lock();
            if !*late {
                // The receiver lives as long as nobody gave the step up.
                let _ = sender.send(outcome);
            } else if step == Step::Start && outcome.is_ok() {
                component.begin(Step::Stop, Done::new(|_| ()));
            }
        });
        let begun = Instant::now();
        py.detach(|| self.component.begin(step, done));
        let waited = wait_polling(py, |span| {
            let left = limit.saturating_sub(begun.elapsed());
            match receiver.recv_timeout(span.min(left)) {
                Ok(outcome) => Some(Some(outcome)),
                Err(_) if left.is_zero() => Some(None),
                Err(_) => None,
            }
        });
        if let Ok(Some(outcome)) = waited {
            return told(py, outcome);
        }
        let stack = py.detach(|| {
            *given_up.lock() = true;
            self.component.give_up(step)
        });
        if let Ok(outcome) = receiver.try_recv() {
            return told(py, outcome);
        }
        waited?;
        let code = if step == Step::Stop { Code::STOP_TIMEOUT } else { Code::START_TIMEOUT };
        let mut fields = Fields::new(code, format!("its {step} was not done after {seconds} s"));
        fields.stack = stack;
        fields.boot = true;
        Err(fields.raise(py))
    }
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
