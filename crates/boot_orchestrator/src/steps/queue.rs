//! Steps that wait for a thread, and what became of each.
//!
//! Callers: `component` puts steps in, `receiver` takes them out for the thread that runs them. Invariants: a step's outcome
//! is told once; whoever puts a step into a queue that is over is told so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use component::{Code, Done, Failure, Health, Step};

use super::sync::{Condvar, Mutex};

/// A step that waits for, or is in, a thread.
pub struct QueuedStep<T> {
    subject: Arc<T>,
    step: Step,
    progress: Mutex<Progress>,
}

struct Progress {
    done: Option<Done>,
    thread: Option<u64>,
    taken: Option<Instant>,
    given_up: bool,
    ended: bool,
}

impl<T> QueuedStep<T> {
    pub(super) fn new(subject: Arc<T>, step: Step, done: Done) -> Arc<Self> {
        let progress =
            Progress { done: Some(done), thread: None, taken: None, given_up: false, ended: false };
        Arc::new(Self { subject, step, progress: Mutex::new(progress) })
    }

    /// What it is a step of.
    pub fn subject(&self) -> &T {
        &self.subject
    }

    /// Which step it is.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Marks the step as given up; false when it has ended.
    pub fn give_up(&self) -> bool {
        let mut progress = self.progress.lock();
        progress.given_up = true;
        !progress.ended
    }

    /// For how long it has been in a step that was given up and has not come back.
    pub fn hangs_for(&self) -> Option<Duration> {
        let progress = self.progress.lock();
        let hangs = progress.given_up && !progress.ended;
        progress.taken.filter(|_| hangs).map(|taken| taken.elapsed())
    }

    /// When a thread took the step; none while it waits for one.
    pub fn taken(&self) -> Option<Instant> {
        self.progress.lock().taken
    }

    /// Remembers which thread runs the step; false when it was given up before its turn came.
    pub fn begun(&self, thread: u64) -> bool {
        let mut progress = self.progress.lock();
        if !progress.given_up {
            progress.thread = Some(thread);
            progress.taken.get_or_insert_with(Instant::now);
        }
        !progress.given_up
    }

    /// Whether it was given up.
    pub fn given_up(&self) -> bool {
        self.progress.lock().given_up
    }

    /// The thread that it runs on; none while it waits for one.
    pub fn thread(&self) -> Option<u64> {
        self.progress.lock().thread
    }

    /// Tells that it is not run, because it was given up before its turn came.
    pub fn skip(&self) {
        self.tell(Err(Failure::new(Code::STOPPED, "it was given up before its turn came")));
    }

    /// Tells the outcome; `false` when the step had been given up, so that its thread must not be used again.
    pub fn tell(&self, outcome: Result<Health, Failure>) -> bool {
        let (done, given_up) = {
            let mut progress = self.progress.lock();
            progress.ended = true;
            (progress.done.take(), progress.given_up)
        };
        // Outside of the lock: what the outcome begins may ask about this step.
        if let Some(done) = done {
            done.tell(outcome);
        }
        !given_up
    }
}

/// The outcome of a step that came when its threads had ended.
pub(super) fn nobody_runs_it() -> Failure {
    Failure::new(Code::STOPPED, "the threads of its system have ended")
}

/// A queue of steps for one thread, for the threads that components share, or for the thread that boots.
pub struct StepQueue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

struct Inner<T> {
    waiting: VecDeque<Arc<QueuedStep<T>>>,
    closed: bool,
    /// Nobody takes steps from here any more.
    over: bool,
}

impl<T> StepQueue<T> {
    pub(super) fn new() -> Arc<Self> {
        let inner = Inner { waiting: VecDeque::new(), closed: false, over: false };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::default() })
    }

    /// Puts a step in; where nobody takes steps from here any more, it is told so.
    pub(super) fn put(&self, step: Arc<QueuedStep<T>>) {
        {
            let mut inner = self.inner.lock();
            if inner.over {
                drop(inner);
                step.tell(Err(nobody_runs_it()));
                return;
            }
            inner.waiting.push_back(step);
        }
        self.changed.notify_one();
    }

    /// Puts a step in for the one thread that waits here; false when that was told to end.
    pub(super) fn offer(&self, step: &Arc<QueuedStep<T>>) -> bool {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.waiting.push_back(Arc::clone(step));
            self.changed.notify_one();
        }
        !inner.closed
    }

    /// Lets the thread that waits here end.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    pub(super) fn end(&self) {
        let left = {
            let mut inner = self.inner.lock();
            (inner.closed, inner.over) = (true, true);
            std::mem::take(&mut inner.waiting)
        };
        for step in left {
            step.tell(Err(nobody_runs_it()));
        }
    }

    /// One that works off steps for a question of its own looks whether that has ended.
    pub(super) fn wake(&self) {
        // Under the lock: it looks and goes to sleep under the same.
        let _inner = self.inner.lock();
        self.changed.notify_all();
    }

    /// The next step. `ended` is of one that serves until its own question has ended, whatever became of the queue.
    pub(super) fn take(&self, timeout: Option<Duration>, ended: Option<&AtomicBool>) -> Taken<T> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(step) = inner.waiting.pop_front() {
                return Taken::Step(step);
            }
            if ended.map_or(inner.closed, |ended| ended.load(Ordering::Acquire)) {
                return Taken::Closed;
            }
            match timeout {
                None => self.changed.wait(&mut inner),
                Some(span) => {
                    if self.changed.wait_for(&mut inner, span).timed_out() {
                        return Taken::Nothing;
                    }
                }
            }
        }
    }

    /// The thread for it could not be started: the step that it was for, which is put in right after the thread was asked
    /// for.
    pub(super) fn without_thread(&self) -> Option<Arc<QueuedStep<T>>> {
        let mut inner = self.inner.lock();
        while inner.waiting.is_empty() && !inner.closed {
            self.changed.wait(&mut inner);
        }
        // Nobody waits here for the next step, which asks for a thread again.
        inner.closed = true;
        inner.waiting.pop_front()
    }

    /// A step that is there already.
    pub(super) fn take_ready(&self) -> Option<Arc<QueuedStep<T>>> {
        self.inner.lock().waiting.pop_front()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.inner.lock().waiting.is_empty()
    }
}

/// What came of waiting for a step.
pub enum Taken<T> {
    /// This step.
    Step(Arc<QueuedStep<T>>),
    /// None in the time that was given.
    Nothing,
    /// The thread may end.
    Closed,
}

impl<T> Taken<T> {
    /// The step, if there is one.
    pub(super) fn step(self) -> Option<Arc<QueuedStep<T>>> {
        match self {
            Self::Step(step) => Some(step),
            Self::Nothing | Self::Closed => None,
        }
    }
}
