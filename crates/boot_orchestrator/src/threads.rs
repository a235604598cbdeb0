//! A small pool of threads for blocking steps.
//!
//! It starts a thread when a job comes and none is free, up to its size; a step that was given up no longer counts, so a
//! hanging one can never keep another from running. A thread without work for a while ends. Nothing waits for these
//! threads: a process can always exit.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads. Cheap to clone.
#[derive(Clone)]
pub struct Threads(Arc<Shared>);

struct Shared {
    name: String,
    size: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    abandoned: usize,
    closed: bool,
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
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state();
        state.jobs.push_back(Box::new(job));
        if state.idle >= state.jobs.len() {
            self.0.work.notify_one();
        } else if state.threads < self.0.size + state.abandoned {
            state.threads += 1;
            drop(state);
            self.start();
        }
    }

    /// Lets threads end as soon as they have no work, instead of after a while.
    pub fn close(&self) {
        self.0.state().closed = true;
        self.0.work.notify_all();
    }

    /// One of the steps that run was given up: its thread does not count any more.
    pub(crate) fn abandon_one(&self) {
        let mut state = self.0.state();
        state.abandoned += 1;
        let more = !state.jobs.is_empty() && state.idle == 0;
        state.threads += usize::from(more);
        drop(state);
        if more {
            self.start();
        }
    }

    fn start(&self) {
        let shared = Arc::clone(&self.0);
        let started =
            std::thread::Builder::new().name(self.0.name.clone()).spawn(move || shared.serve());
        if let Err(error) = started {
            tracing::error!(target: "symphony.boot", %error, "a thread for blocking steps could not be started");
            let mut state = self.0.state();
            state.threads -= 1;
            let lost =
                if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
            drop(state);
            drop(lost);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A job catches the panics of user code itself; one that still panics must not cost a thread.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                    tracing::error!(target: "symphony.boot", "a job panicked");
                }
                state = self.state();
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
            if waited.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
