//! A component's place in the engine, in which another object may take the first one's.
//!
//! Callers: the engine sees a [`SwapPlace`] where it would see the component; the bindings put objects in and take them out.
//! Invariant: whatever was put into a place is stopped once, either by whoever took it out or with the place.

use std::sync::Arc;
use std::time::Instant;

use component::{Component, Done, Failure, Health, Step, StepProgress};

use super::component::QueuedComponent;
use super::sync::Mutex;

/// What stands in the registry for a component that can be swapped.
pub struct SwapPlace<T> {
    inner: Mutex<Occupants<T>>,
}

struct Occupants<T> {
    current: Arc<QueuedComponent<T>>,
    /// Taken out, but still held by somebody: stopped together with the current one.
    retired: Vec<Arc<QueuedComponent<T>>>,
    stopping: bool,
}

impl<T: Send + Sync + 'static> SwapPlace<T> {
    /// A place with this component in it.
    pub fn new(current: Arc<QueuedComponent<T>>) -> Arc<Self> {
        let inner = Occupants { current, retired: Vec::new(), stopping: false };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    fn current(&self) -> Arc<QueuedComponent<T>> {
        Arc::clone(&self.inner.lock().current)
    }

    /// Puts another component into the place: gives the one before, none when the place is being stopped.
    pub fn exchange(&self, other: &Arc<QueuedComponent<T>>) -> Option<Arc<QueuedComponent<T>>> {
        let mut inner = self.inner.lock();
        if inner.stopping {
            return None;
        }
        Some(std::mem::replace(&mut inner.current, Arc::clone(other)))
    }

    /// Leaves a component to be stopped with the place; false when that is being stopped already.
    pub fn retire(&self, component: &Arc<QueuedComponent<T>>) -> bool {
        let mut inner = self.inner.lock();
        if !inner.stopping {
            inner.retired.push(Arc::clone(component));
        }
        !inner.stopping
    }

    /// Takes back components that were left; false, and none is, when they are being stopped with the place already.
    pub fn reclaim(&self, components: &[Arc<QueuedComponent<T>>]) -> bool {
        let mut inner = self.inner.lock();
        if !inner.stopping {
            inner.retired.retain(|left| !components.iter().any(|one| Arc::ptr_eq(left, one)));
        }
        !inner.stopping
    }
}

impl<T: Send + Sync + 'static> Component for SwapPlace<T> {
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
        let stops = Arc::new(JointStop {
            left: Mutex::new((retired.len() + 1, Some(done), Ok(Health::Healthy))),
        });
        for component in retired.into_iter().chain([current]) {
            let stops = Arc::clone(&stops);
            component.begin(step, Done::new(move |outcome| stops.add(outcome)));
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

    fn progress(&self, step: Step) -> Option<StepProgress> {
        self.current().progress(step)
    }
}

/// How many have not ended, who is told, and what.
type Left = (usize, Option<Done>, Result<Health, Failure>);

/// The stops of a place that held several: told when the last has ended, with the first failure.
struct JointStop {
    left: Mutex<Left>,
}

impl JointStop {
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
