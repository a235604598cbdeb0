//! The primitives that the sources are over, here: `parking_lot`'s shapes over `shuttle`'s; and the schedules that step through a model.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::thread;

#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { mutex: self, held: Some(held) }
    }

    /// The lock, of which the sources say that nobody else can hold it.
    pub(crate) fn lock_free(&self) -> MutexGuard<'_, T> {
        let held = self.0.try_lock().expect("two threads read at once");
        MutexGuard { mutex: self, held: Some(held) }
    }
}

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Nothing only while a condition is waited for.
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("held")
    }
}

/// How a wait ended.
pub(crate) struct Waited(bool);

impl Waited {
    pub(crate) const fn timed_out(&self) -> bool {
        self.0
    }
}

/// Time passes or does not, as the scheduler likes: `shuttle`'s own waits never time out.
#[derive(Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect("held");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits, or finds its time over at once. A short wait always ends: who waits so briefly looks by itself.
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, span: Duration) -> Waited {
        let over = span < Duration::from_millis(10) || shuttle::rand::thread_rng().gen_bool(0.3);
        if over {
            drop(guard.held.take());
            thread::yield_now();
            *guard = guard.mutex.lock();
        } else {
            self.wait(guard);
        }
        Waited(over)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Looks a few times.
pub(crate) fn linger(_span: Duration, found: impl Fn() -> bool) {
    for _ in 0..2 {
        if found() {
            return;
        }
        thread::yield_now();
    }
}

/// Runs a model under schedules that are random, and under those in which few changes of hands do the harm.
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
pub(crate) fn step_through(model: impl Fn() + Send + Sync + 'static) {
    let asked = std::env::var("SYMPHONY_CASES").ok();
    let schedules = asked.map_or(1_000, |asked| asked.parse().expect("SYMPHONY_CASES is a number"));
    let model = Arc::new(model);
    let again = Arc::clone(&model);
    shuttle::check_random(move || model(), schedules);
    shuttle::check_pct(move || again(), schedules, 3);
}
