//! A small pool of threads for blocking steps.
//!
//! It starts a thread when a job comes and none is free, up to its size. The thread of a job that was given up does not count
//! while the job runs, so a hanging one can never keep another from running; once the job has ended, a thread beyond the size
//! ends too. A thread without work for a while ends. Nothing waits for these threads: a process can always exit.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sync::{Condvar, Mutex, MutexGuard, thread};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(2);

type Closure = Box<dyn FnOnce() + Send>;

/// A job of a pool, for who may give it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job(u64);

/// A pool of threads. Cheap to clone.
#[derive(Clone)]
pub struct Threads(Arc<Shared>);

struct Shared {
    name: String,
    size: usize,
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    waiting: VecDeque<(Job, Closure)>,
    running: Vec<Job>,
    /// Those of `running` that were given up.
    given_up: Vec<Job>,
    idle: usize,
    threads: usize,
    last: u64,
    closed: bool,
}

impl PoolState {
    /// How many threads there may be.
    fn limit(&self, size: usize) -> usize {
        size + self.given_up.len()
    }

    fn ended(&mut self, job: Job) {
        self.running.retain(|other| *other != job);
        self.given_up.retain(|other| *other != job);
    }
}

impl Threads {
    /// A pool of at most `size` threads of this name; none is started yet.
    pub fn new(name: impl Into<String>, size: usize) -> Self {
        let shared = Shared {
            name: name.into(),
            size: size.max(1),
            state: Mutex::default(),
            work: Condvar::new(),
        };
        Self(Arc::new(shared))
    }

    /// Runs a job as soon as a thread is free. Where no thread at all can be started the job is dropped, and so is what it
    /// holds: a step's `Done` tells that.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) -> Job {
        let mut state = self.0.state();
        state.last += 1;
        let job = Job(state.last);
        state.waiting.push_back((job, Box::new(work)));
        if state.idle >= state.waiting.len() {
            self.0.work.notify_one();
        } else if state.threads < state.limit(self.0.size) {
            state.threads += 1;
            drop(state);
            self.start();
        }
        job
    }

    /// Lets threads end as soon as they have no work, instead of after a while.
    pub fn close(&self) {
        self.0.state().closed = true;
        self.0.work.notify_all();
    }

    /// Whether a job waits or runs.
    pub fn has(&self, job: Job) -> bool {
        let state = self.0.state();
        state.running.contains(&job) || state.waiting.iter().any(|(other, _)| *other == job)
    }

    /// Nobody waits for a job any more: while it runs its thread does not count, and one that has not begun never does. False
    /// when it has ended or was given up before.
    pub fn give_up(&self, job: Job) -> bool {
        let mut state = self.0.state();
        if let Some(place) = state.waiting.iter().position(|(other, _)| *other == job) {
            let dropped = state.waiting.remove(place);
            drop(state);
            drop(dropped);
            return true;
        }
        if !state.running.contains(&job) || state.given_up.contains(&job) {
            return false;
        }
        state.given_up.push(job);
        // One that is idle may have been woken for another job already.
        let more = state.waiting.len() > state.idle;
        state.threads += usize::from(more);
        drop(state);
        if more {
            self.start();
        }
        true
    }

    fn start(&self) {
        let shared = Arc::clone(&self.0);
        let started =
            thread::Builder::new().name(self.0.name.clone()).spawn(move || shared.serve());
        if let Err(error) = started {
            tracing::error!(target: "symphony.boot", %error, "a thread for blocking steps could not be started");
            let mut state = self.0.state();
            state.threads -= 1;
            let none = state.threads == 0;
            let lost = if none { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
            drop(state);
            drop(lost);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            // The rest of a time in which one hung: there are enough others.
            if state.threads > state.limit(self.size) {
                state.threads -= 1;
                return;
            }
            if let Some((job, work)) = state.waiting.pop_front() {
                state.running.push(job);
                drop(state);
                // A job catches the panics of user code itself; one that still panics must not cost a thread.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                    tracing::error!(target: "symphony.boot", "a job panicked");
                }
                state = self.state();
                state.ended(job);
                continue;
            }
            if state.closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let (next, waited) =
                self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
