//! What the keeper, a Python daemon thread, watches: it alone starts threads and interrupts.
//!
//! Callers: `python_component` and `swap` give orders, `threads` is the door of the Python thread that carries them out.
//! Invariants: a step that waits for a shared thread gets one, whatever the others hang in; the keeper ends with the last
//! step.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::queue::{Queue, Taken, Ticket};
use super::sync::{Condvar, Mutex, linger};

/// How long a step may hold the shared thread while another one is ready, before a further thread is taken.
const SHARED_PATIENCE: Duration = Duration::from_millis(1);

/// How long a shared thread looks for the next step before it sleeps: what begins it is often under way.
const LINGER: Duration = Duration::from_micros(30);

/// What the keeper thread is asked to do.
pub(crate) enum Order {
    /// Start a daemon thread that works off this queue.
    Spawn(Arc<Queue>),
    /// Interrupt the thread that called `boot()`, where it is still in what was given up.
    Interrupt,
    /// Cancel the async step of this ticket.
    Cancel(Arc<Ticket>),
    /// Say where a step stands.
    Stack(Arc<Ticket>, crossbeam_channel::Sender<String>),
}

/// What the keeper thread (a Python daemon thread) watches: it alone starts threads and interrupts.
pub(crate) struct KeeperState {
    inner: Mutex<KeeperInner>,
    changed: Condvar,
}

#[derive(Default)]
struct KeeperInner {
    orders: VecDeque<Order>,
    /// Those of the threads that one component has for itself.
    own: Vec<Weak<Queue>>,
    shared: Option<Arc<Queue>>,
    threads: usize,
    /// Steps will come for the shared threads: the first of them is to be there before.
    expected: bool,
    idle: usize,
    arriving: usize,
    last_taken: Option<Instant>,
    /// The keeper looks again by itself in a moment.
    watching: bool,
    /// Steps that have not ended, those that were given up too.
    open: usize,
    course: Course,
}

/// Where the keeper stands between its first step and its last.
#[derive(Default, PartialEq)]
enum Course {
    #[default]
    Open,
    /// It ends with the last step.
    Closed,
    Ended,
}

impl KeeperState {
    pub(crate) fn new() -> (Arc<Self>, Arc<Queue>) {
        let state = Arc::new(Self { inner: Mutex::default(), changed: Condvar::default() });
        let shared = Queue::shared(&state);
        state.inner.lock().shared = Some(Arc::clone(&shared));
        (state, shared)
    }

    pub(crate) fn order(&self, order: Order) {
        let mut inner = self.inner.lock();
        // An order holds its step, and that this: one that nobody takes would be kept for ever.
        if inner.course != Course::Ended {
            inner.orders.push_back(order);
            self.changed.notify_one();
        }
    }

    /// Steps will come for the shared threads. To start one takes longer than most constructions, so that is not left until
    /// then.
    pub(crate) fn expect_shared(&self) {
        let mut inner = self.inner.lock();
        if inner.threads == 0 && !inner.expected {
            inner.expected = true;
            self.changed.notify_one();
        }
    }

    /// A queue with a thread of its own.
    pub(crate) fn spawn(&self) -> Arc<Queue> {
        let queue = Queue::new();
        {
            let mut inner = self.inner.lock();
            inner.own.retain(|own| own.strong_count() > 0);
            inner.own.push(Arc::downgrade(&queue));
        }
        self.order(Order::Spawn(Arc::clone(&queue)));
        queue
    }

    /// Lets the keeper and its threads end: those without a step now, the keeper itself with the last step. A start that was
    /// given up may end well at any time, and is stopped then.
    pub(crate) fn close(&self) {
        let queues: Vec<Arc<Queue>> = {
            let mut inner = self.inner.lock();
            if inner.course == Course::Open {
                inner.course = Course::Closed;
            }
            let own = std::mem::take(&mut inner.own);
            own.iter().filter_map(Weak::upgrade).chain(inner.shared.clone()).collect()
        };
        self.changed.notify_all();
        for queue in queues {
            queue.close();
        }
    }

    /// Counts a step in; false where the keeper has ended.
    pub(crate) fn enter(&self) -> bool {
        let mut inner = self.inner.lock();
        let runs = inner.course != Course::Ended;
        inner.open += usize::from(runs);
        runs
    }

    /// A step has ended.
    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.open -= 1;
        if inner.course != Course::Open {
            self.changed.notify_all();
        }
    }

    /// A step waits for the shared threads. The keeper is woken only where it has to do something about it: a wake for each
    /// step would cost more than most constructions.
    pub(crate) fn shared_changed(&self) {
        let inner = self.inner.lock();
        self.wake_for_shared(&inner);
    }

    /// One that is idle, or arrives, takes what waits, and asks once more; a keeper that watches asks by itself.
    fn wake_for_shared(&self, inner: &KeeperInner) {
        if inner.idle == 0 && inner.arriving == 0 && !inner.watching {
            self.changed.notify_one();
        }
    }

    /// What waits for a shared thread already, for one that is at hand. What waits behind it is watched: this thread was not
    /// idle, so the keeper was woken when it came.
    pub(crate) fn take_ready(&self, queue: &Queue) -> Option<Arc<Ticket>> {
        let mut inner = self.inner.lock();
        let ticket = queue.take_ready()?;
        inner.last_taken = Some(Instant::now());
        Some(ticket)
    }

    pub(crate) fn next(&self) -> Option<Order> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(order) = inner.orders.pop_front() {
                return Some(order);
            }
            if inner.course != Course::Open && inner.open == 0 {
                inner.course = Course::Ended;
                // The queue holds this in turn.
                let shared = inner.shared.take();
                drop(inner);
                drop(shared);
                return None;
            }
            let early = inner.expected && inner.threads == 0 && inner.course == Course::Open;
            let waiting = inner.shared.as_ref().is_some_and(|queue| queue.has_waiting());
            if !(early || waiting) || inner.idle > 0 || inner.arriving > 0 {
                self.changed.wait(&mut inner);
                continue;
            }
            let held = inner.last_taken.map_or(SHARED_PATIENCE, |at| at.elapsed());
            if inner.threads == 0 || held >= SHARED_PATIENCE {
                inner.expected = false;
                inner.arriving += 1;
                inner.threads += 1;
                return inner.shared.clone().map(Order::Spawn);
            }
            inner.watching = true;
            self.changed.wait_for(&mut inner, SHARED_PATIENCE.saturating_sub(held));
            inner.watching = false;
        }
    }

    pub(crate) fn take_shared(&self, queue: &Queue, arriving: &mut bool) -> Taken {
        {
            let mut inner = self.inner.lock();
            if std::mem::take(arriving) {
                inner.arriving -= 1;
            }
            inner.idle += 1;
        }
        linger(LINGER, || queue.has_waiting());
        let taken = queue.take(None, None);
        {
            let mut inner = self.inner.lock();
            inner.idle -= 1;
            match &taken {
                Taken::Ticket(_) => {
                    inner.last_taken = Some(Instant::now());
                    if queue.has_waiting() {
                        self.wake_for_shared(&inner);
                    }
                }
                // It ends.
                Taken::Nothing | Taken::Closed => {
                    inner.threads -= 1;
                    self.changed.notify_one();
                }
            }
        }
        taken
    }

    /// A shared thread that was asked for could not be started.
    pub(crate) fn not_started(&self) {
        let mut inner = self.inner.lock();
        inner.arriving = inner.arriving.saturating_sub(1);
        inner.threads = inner.threads.saturating_sub(1);
    }

    /// A shared thread will not come back.
    pub(crate) fn left(&self) {
        let mut inner = self.inner.lock();
        inner.threads = inner.threads.saturating_sub(1);
    }
}
