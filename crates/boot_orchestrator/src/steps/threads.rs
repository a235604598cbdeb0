//! The threads on which one system's steps run: how many there are to be, and what is asked of the one that starts them.
//!
//! Callers: `component` and `awaited` put steps in and give orders; the thread that starts all the others, and alone
//! interrupts, asks for the next order here. Invariants: a step that waits for a shared thread gets one, whatever the others
//! hang in; the orders end with the last step.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Done, Step};

use super::queue::{QueuedStep, StepQueue, Taken, nobody_runs_it};
use super::sync::{Condvar, Mutex, linger};

/// How long a step may hold the shared thread while another one is ready, before a further thread is taken.
const SHARED_PATIENCE: Duration = Duration::from_millis(1);

/// How long a shared thread looks for the next step before it sleeps: what begins it is often under way.
const LINGER: Duration = Duration::from_micros(30);

/// What the thread that starts the others is asked to do.
pub enum ThreadOrder<T> {
    /// Start a thread that works off this queue of one component.
    StartOwn(Arc<StepQueue<T>>),
    /// Start one more of the threads that components share.
    StartShared,
    /// Interrupt the thread that boots, where it is still in what was given up.
    Interrupt,
    /// Cancel this step, where it can be cancelled.
    Cancel(Arc<QueuedStep<T>>),
    /// Say where a step stands.
    Stack(Arc<QueuedStep<T>>, crossbeam_channel::Sender<String>),
}

/// The threads of one system's steps.
pub struct StepThreads<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    shared: Arc<StepQueue<T>>,
    calling: Arc<StepQueue<T>>,
}

struct Inner<T> {
    orders: VecDeque<ThreadOrder<T>>,
    /// The queues of the threads that one component has for itself.
    own: Vec<Weak<StepQueue<T>>>,
    /// How many shared threads there are, those that are about to come too.
    shared: usize,
    /// Steps will come for the shared threads: the first of them is to be there before.
    expected: bool,
    idle: usize,
    starting: usize,
    last_taken: Option<Instant>,
    /// Whoever waits for orders looks again by itself in a moment.
    watching: bool,
    /// Steps that have not ended, those that were given up too.
    open: usize,
    lifecycle: Lifecycle,
}

/// Where the threads stand between their first step and their last.
#[derive(PartialEq)]
enum Lifecycle {
    Open,
    /// They end with the last step.
    Closing,
    Ended,
}

impl<T: Send + Sync + 'static> StepThreads<T> {
    /// None yet.
    pub fn new() -> Arc<Self> {
        let inner = Inner {
            orders: VecDeque::new(),
            own: Vec::new(),
            shared: 0,
            expected: false,
            idle: 0,
            starting: 0,
            last_taken: None,
            watching: false,
            open: 0,
            lifecycle: Lifecycle::Open,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            changed: Condvar::default(),
            shared: StepQueue::new(),
            calling: StepQueue::new(),
        })
    }

    /// The queue of the thread that boots.
    pub const fn calling(&self) -> &Arc<StepQueue<T>> {
        &self.calling
    }

    /// Gives an order. Once the last was taken, nobody carries it out, and it is dropped.
    pub fn order(&self, order: ThreadOrder<T>) {
        let mut inner = self.inner.lock();
        // An order holds its step, and that these threads: one that nobody takes would be kept for ever.
        if inner.lifecycle != Lifecycle::Ended {
            inner.orders.push_back(order);
            self.changed.notify_one();
        }
    }

    /// Steps will come for the shared threads. To start one takes longer than most constructions, so that is not left until
    /// then.
    pub fn expect_shared(&self) {
        let mut inner = self.inner.lock();
        if inner.shared == 0 && !inner.expected {
            inner.expected = true;
            self.changed.notify_one();
        }
    }

    /// A queue with a thread of its own.
    pub(super) fn own_queue(&self) -> Arc<StepQueue<T>> {
        let queue = StepQueue::new();
        {
            let mut inner = self.inner.lock();
            inner.own.retain(|own| own.strong_count() > 0);
            inner.own.push(Arc::downgrade(&queue));
        }
        self.order(ThreadOrder::StartOwn(Arc::clone(&queue)));
        queue
    }

    /// Lets the threads end: those without a step now, whoever waits for orders with the last step. A start that was given
    /// up may end well at any time, and is stopped then.
    pub fn close(&self) {
        let own = {
            let mut inner = self.inner.lock();
            if inner.lifecycle == Lifecycle::Open {
                inner.lifecycle = Lifecycle::Closing;
            }
            std::mem::take(&mut inner.own)
        };
        self.changed.notify_all();
        for queue in own.iter().filter_map(Weak::upgrade) {
            queue.close();
        }
        self.shared.close();
    }

    /// A step for these threads; none, and its outcome is told, where they have ended.
    pub(super) fn admit(
        self: &Arc<Self>,
        subject: &Arc<T>,
        step: Step,
        done: Done,
    ) -> Option<Arc<QueuedStep<T>>> {
        if !self.enter() {
            done.tell(Err(nobody_runs_it()));
            return None;
        }
        let threads = Arc::clone(self);
        let done = Done::new(move |outcome| {
            done.tell(outcome);
            // After it: what the outcome begins, as the stop of a late start, still finds the threads.
            threads.leave();
        });
        Some(QueuedStep::new(Arc::clone(subject), step, done))
    }

    /// Counts a step in; false where the threads have ended.
    fn enter(&self) -> bool {
        let mut inner = self.inner.lock();
        let runs = inner.lifecycle != Lifecycle::Ended;
        inner.open += usize::from(runs);
        runs
    }

    /// A step has ended.
    fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.open -= 1;
        if inner.lifecycle != Lifecycle::Open {
            self.changed.notify_all();
        }
    }

    /// Puts a step in for the shared threads. Whoever waits for orders is woken only where there is something to do about it:
    /// a wake for each step would cost more than most constructions.
    pub(super) fn put_shared(&self, step: Arc<QueuedStep<T>>) {
        self.shared.put(step);
        self.wake_for_shared(&self.inner.lock());
    }

    /// One that is idle, or about to come, takes what waits, and asks once more; whoever watches asks by itself.
    fn wake_for_shared(&self, inner: &Inner<T>) {
        if inner.idle == 0 && inner.starting == 0 && !inner.watching {
            self.changed.notify_one();
        }
    }

    /// What waits for a shared thread already, for one that is at hand. What waits behind it is watched: this thread was not
    /// idle, so whoever waits for orders was woken when it came.
    pub(super) fn take_ready(&self) -> Option<Arc<QueuedStep<T>>> {
        let mut inner = self.inner.lock();
        let step = self.shared.take_ready()?;
        inner.last_taken = Some(Instant::now());
        Some(step)
    }

    /// Waits for the next order; none after the last.
    pub fn next(&self) -> Option<ThreadOrder<T>> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(order) = inner.orders.pop_front() {
                return Some(order);
            }
            if inner.lifecycle != Lifecycle::Open && inner.open == 0 {
                inner.lifecycle = Lifecycle::Ended;
                return None;
            }
            let early = inner.expected && inner.shared == 0 && inner.lifecycle == Lifecycle::Open;
            if !(early || self.shared.has_waiting()) || inner.idle > 0 || inner.starting > 0 {
                self.changed.wait(&mut inner);
                continue;
            }
            let held = inner.last_taken.map_or(SHARED_PATIENCE, |at| at.elapsed());
            if inner.shared == 0 || held >= SHARED_PATIENCE {
                inner.expected = false;
                inner.starting += 1;
                inner.shared += 1;
                return Some(ThreadOrder::StartShared);
            }
            inner.watching = true;
            self.changed.wait_for(&mut inner, SHARED_PATIENCE.saturating_sub(held));
            inner.watching = false;
        }
    }

    /// Waits for a step on a shared thread; `arrives` is of its first.
    pub(super) fn take_shared(&self, arrives: bool) -> Taken<T> {
        {
            let mut inner = self.inner.lock();
            inner.starting -= usize::from(arrives);
            inner.idle += 1;
        }
        linger(LINGER, || self.shared.has_waiting());
        let taken = self.shared.take(None, None);
        {
            let mut inner = self.inner.lock();
            inner.idle -= 1;
            match &taken {
                Taken::Step(_) => {
                    inner.last_taken = Some(Instant::now());
                    if self.shared.has_waiting() {
                        self.wake_for_shared(&inner);
                    }
                }
                // It ends.
                Taken::Nothing | Taken::Closed => {
                    inner.shared -= 1;
                    self.changed.notify_one();
                }
            }
        }
        taken
    }

    /// A shared thread that was asked for could not be started: a step that it could have run. There may be none, because
    /// it was asked for early.
    pub(super) fn without_thread(&self) -> Option<Arc<QueuedStep<T>>> {
        {
            let mut inner = self.inner.lock();
            inner.starting = inner.starting.saturating_sub(1);
            inner.shared = inner.shared.saturating_sub(1);
        }
        self.shared.take_ready()
    }

    /// A shared thread will not come back.
    pub(super) fn left(&self) {
        let mut inner = self.inner.lock();
        inner.shared = inner.shared.saturating_sub(1);
    }

    /// Ends the shared queue, as if nobody took steps from it any more.
    pub(super) fn end_shared(&self) {
        self.shared.end();
    }
}
