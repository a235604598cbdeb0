//! Steps that wait for Python's threads, and what became of each.
//!
//! Callers: `python_component` puts steps in, `threads` is the door through which `symphony/_boot/threads.py` takes them out.
//! Nothing of Python is known here beyond what a step belongs to, so that `tests/interleavings` can step through it.
//! Invariants: a step's outcome is told once; whoever puts a step into a queue that is over is told so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use component::{Code, Done, Failure, Health, Step};

use super::keeper::KeeperState;
use super::live::Live;
use super::sync::{Condvar, Mutex};

/// A step that waits for, or is in, a Python thread.
pub(crate) struct Ticket {
    pub(crate) live: Live,
    pub(crate) step: Step,
    state: Mutex<TicketState>,
    keeper: Arc<KeeperState>,
}

struct TicketState {
    done: Option<Done>,
    thread: Option<u64>,
    taken: Option<Instant>,
    given_up: bool,
    ended: bool,
}

impl Ticket {
    /// A step for the threads of this keeper; none, and its outcome is told, where they have ended.
    pub(crate) fn new(
        live: Live,
        step: Step,
        done: Done,
        keeper: &Arc<KeeperState>,
    ) -> Option<Arc<Self>> {
        if !keeper.enter() {
            done.tell(Err(nobody_runs_it()));
            return None;
        }
        let state = TicketState {
            done: Some(done),
            thread: None,
            taken: None,
            given_up: false,
            ended: false,
        };
        Some(Arc::new(Self { live, step, state: Mutex::new(state), keeper: Arc::clone(keeper) }))
    }

    /// Marks the step as given up; false when it has ended.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        state.given_up = true;
        !state.ended
    }

    /// For how long it has been in a step that was given up and has not come back.
    pub(crate) fn hangs_for(&self) -> Option<Duration> {
        let state = self.state.lock();
        let hangs = state.given_up && !state.ended;
        state.taken.filter(|_| hangs).map(|taken| taken.elapsed())
    }

    /// When a thread took the step; none while it waits for one.
    pub(crate) fn taken(&self) -> Option<Instant> {
        self.state.lock().taken
    }

    /// Remembers which Python thread runs the step; false when it was given up before its turn came.
    pub(crate) fn begun(&self, thread: u64) -> bool {
        let mut state = self.state.lock();
        if !state.given_up {
            state.thread = Some(thread);
            state.taken.get_or_insert_with(Instant::now);
        }
        !state.given_up
    }

    /// Whether it was given up.
    pub(crate) fn given_up(&self) -> bool {
        self.state.lock().given_up
    }

    /// The Python thread that it runs on; none while it waits for one.
    pub(crate) fn thread(&self) -> Option<u64> {
        self.state.lock().thread
    }

    /// Tells the outcome; `false` when the step had been given up, so that its thread must not be used again.
    pub(crate) fn tell(&self, outcome: Result<Health, Failure>) -> bool {
        let (done, given_up) = {
            let mut state = self.state.lock();
            state.ended = true;
            (state.done.take(), state.given_up)
        };
        if let Some(done) = done {
            done.tell(outcome);
            // After it: what the outcome begins, as the stop of a late start, still finds the threads.
            self.keeper.leave();
        }
        !given_up
    }
}

fn nobody_runs_it() -> Failure {
    Failure::new(Code::STOPPED, "the threads of its system have ended")
}

/// A queue of steps for one Python thread, or for the thread that called `boot()`.
pub(crate) struct Queue {
    inner: Mutex<QueueState>,
    changed: Condvar,
    pub(crate) keeper: Option<Arc<KeeperState>>,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<Arc<Ticket>>,
    closed: bool,
    /// Nobody takes steps from here any more.
    over: bool,
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), changed: Condvar::default(), keeper: None })
    }

    /// The queue that all threads of a keeper work off.
    pub(crate) fn shared(keeper: &Arc<KeeperState>) -> Arc<Self> {
        let keeper = Some(Arc::clone(keeper));
        Arc::new(Self { inner: Mutex::default(), changed: Condvar::default(), keeper })
    }

    pub(crate) fn put(&self, ticket: Arc<Ticket>) {
        {
            let mut inner = self.inner.lock();
            if inner.over {
                drop(inner);
                ticket.tell(Err(nobody_runs_it()));
                return;
            }
            inner.waiting.push_back(ticket);
        }
        if let Some(keeper) = &self.keeper {
            keeper.shared_changed();
        }
        self.changed.notify_one();
    }

    /// Puts a step in for the one thread that waits here; false when that was told to end.
    pub(crate) fn offer(&self, ticket: &Arc<Ticket>) -> bool {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.waiting.push_back(Arc::clone(ticket));
            self.changed.notify_one();
        }
        !inner.closed
    }

    /// Lets the thread that waits here end.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    pub(crate) fn end(&self) {
        let left = {
            let mut inner = self.inner.lock();
            (inner.closed, inner.over) = (true, true);
            std::mem::take(&mut inner.waiting)
        };
        for ticket in left {
            ticket.tell(Err(nobody_runs_it()));
        }
    }

    /// One that works off steps for a question of its own looks whether that has ended.
    pub(crate) fn wake(&self) {
        // Under the lock: it looks and goes to sleep under the same.
        let _inner = self.inner.lock();
        self.changed.notify_all();
    }

    /// The next step. `ended` is of one that serves until its own question has ended, whatever became of the queue.
    pub(crate) fn take(&self, timeout: Option<Duration>, ended: Option<&AtomicBool>) -> Taken {
        let mut inner = self.inner.lock();
        loop {
            if let Some(ticket) = inner.waiting.pop_front() {
                return Taken::Ticket(ticket);
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

    /// The thread for it could not be started: the step that it was for. A shared one may have been started early, for no
    /// step; one of a component's own is started for a step that is put in right after.
    pub(crate) fn without_thread(&self) -> Option<Arc<Ticket>> {
        let Some(keeper) = &self.keeper else {
            let mut inner = self.inner.lock();
            while inner.waiting.is_empty() && !inner.closed {
                self.changed.wait(&mut inner);
            }
            // Nobody waits here for the next step, which asks for a thread again.
            inner.closed = true;
            return inner.waiting.pop_front();
        };
        keeper.not_started();
        self.take_ready()
    }

    /// A step that is there already.
    pub(crate) fn take_ready(&self) -> Option<Arc<Ticket>> {
        self.inner.lock().waiting.pop_front()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.inner.lock().waiting.is_empty()
    }
}

pub(crate) enum Taken {
    Ticket(Arc<Ticket>),
    Nothing,
    Closed,
}
