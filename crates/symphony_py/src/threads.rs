//! The queues from which Python's own threads take the steps of Python components.
//!
//! Caller: `python_component` puts steps in, `symphony/_threads.py` takes them out. Python steps never run on a Rust
//! thread: a step abandoned there would turn the interpreter's exit into an abort. Invariant: a Python daemon thread
//! that waits here waits without a timeout, detached from the interpreter, so that nothing wakes it while the
//! interpreter ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use component::{Code, Done, Failure, Health, Step};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use crate::enter::wait_polling;
use crate::error::failure_of;

/// How long a step may hold the shared thread while another one is ready, before a further thread is taken.
const SHARED_PATIENCE: Duration = Duration::from_millis(1);

/// A step that waits for, or is in, a Python thread.
pub(crate) struct Ticket {
    pub(crate) live: Arc<Py<PyAny>>,
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
        live: Arc<Py<PyAny>>,
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

    /// Tells the outcome; `false` when the step had been given up, so that its thread must not be used again.
    fn tell(&self, outcome: Result<Health, Failure>) -> bool {
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
    keeper: Option<Arc<KeeperState>>,
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
        Arc::new(Self { inner: Mutex::default(), changed: Condvar::new(), keeper: None })
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
    fn take(&self, timeout: Option<Duration>, ended: Option<&AtomicBool>) -> Taken {
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
}

enum Taken {
    Ticket(Arc<Ticket>),
    Nothing,
    Closed,
}

/// One step, as the Python thread that runs it sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Job {
    ticket: Arc<Ticket>,
}

#[pymethods]
impl Job {
    /// The component that the step belongs to (a `symphony._live.Live`).
    #[getter]
    fn live(&self, py: Python<'_>) -> Py<PyAny> {
        self.ticket.live.clone_ref(py)
    }

    /// `start`, `health` or `stop`.
    #[getter]
    fn step(&self) -> &'static str {
        self.ticket.step.as_str()
    }

    /// Whether the step was given up while it ran.
    #[getter]
    fn given_up(&self) -> bool {
        self.ticket.state.lock().given_up
    }

    /// Remembers which Python thread runs the step.
    fn begun(&self, thread: u64) {
        let mut state = self.ticket.state.lock();
        state.thread = Some(thread);
        state.taken.get_or_insert_with(Instant::now);
    }

    /// The step is not run: it was given up before its turn came.
    fn skip(&self, py: Python<'_>) {
        let failure = Failure::new(Code::STOPPED, "it was given up before its turn came");
        py.detach(|| self.ticket.tell(Err(failure)));
    }

    /// The step ended well. `state` is `healthy`, `degraded` or `unhealthy`; false when it had been given up.
    #[pyo3(signature = (state = "healthy", reason = None))]
    fn finish(&self, py: Python<'_>, state: &str, reason: Option<String>) -> bool {
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        let health = match state {
            "degraded" => Health::Degraded(reason),
            "unhealthy" => Health::Unhealthy(reason),
            _ => Health::Healthy,
        };
        py.detach(|| self.ticket.tell(Ok(health)))
    }

    /// The step raised; false when it had been given up.
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> bool {
        let failure = failure_of(self.ticket.step, error);
        py.detach(|| self.ticket.tell(Err(failure)))
    }
}

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
    idle: usize,
    arriving: usize,
    last_taken: Option<Instant>,
    /// The keeper looks again by itself in a moment.
    watching: bool,
    /// Steps that have not ended, those that were given up too.
    open: usize,
    closed: bool,
    ended: bool,
}

impl KeeperState {
    pub(crate) fn new() -> (Arc<Self>, Arc<Queue>) {
        let state = Arc::new(Self { inner: Mutex::default(), changed: Condvar::new() });
        let shared = Arc::new(Queue {
            inner: Mutex::default(),
            changed: Condvar::new(),
            keeper: Some(Arc::clone(&state)),
        });
        state.inner.lock().shared = Some(Arc::clone(&shared));
        (state, shared)
    }

    pub(crate) fn order(&self, order: Order) {
        let mut inner = self.inner.lock();
        // An order holds its step, and that this: one that nobody takes would be kept for ever.
        if !inner.ended {
            inner.orders.push_back(order);
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
            inner.closed = true;
            let own = std::mem::take(&mut inner.own);
            own.iter().filter_map(Weak::upgrade).chain(inner.shared.clone()).collect()
        };
        self.changed.notify_all();
        for queue in queues {
            queue.close();
        }
    }

    /// Counts a step in; false where the keeper has ended.
    fn enter(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.open += usize::from(!inner.ended);
        !inner.ended
    }

    /// A step has ended.
    fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.open -= 1;
        if inner.closed {
            self.changed.notify_all();
        }
    }

    /// A step waits for the shared threads. The keeper is woken only where it has to do something about it: a wake for each
    /// step would cost more than most constructions.
    fn shared_changed(&self) {
        let inner = self.inner.lock();
        self.wake_for_shared(&inner);
    }

    /// One that is idle, or arrives, takes what waits, and asks once more; a keeper that watches asks by itself.
    fn wake_for_shared(&self, inner: &KeeperInner) {
        if inner.idle == 0 && inner.arriving == 0 && !inner.watching {
            self.changed.notify_one();
        }
    }

    /// What waits for a shared thread already, for one that is at hand.
    fn take_ready(&self, queue: &Queue) -> Option<Arc<Ticket>> {
        let mut inner = self.inner.lock();
        let (ticket, more) = {
            let mut steps = queue.inner.lock();
            (steps.waiting.pop_front()?, !steps.waiting.is_empty())
        };
        inner.last_taken = Some(Instant::now());
        if more {
            self.wake_for_shared(&inner);
        }
        Some(ticket)
    }

    fn next(&self) -> Option<Order> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(order) = inner.orders.pop_front() {
                return Some(order);
            }
            if inner.closed && inner.open == 0 {
                inner.ended = true;
                // The queue holds this in turn.
                let shared = inner.shared.take();
                drop(inner);
                drop(shared);
                return None;
            }
            let waiting =
                inner.shared.as_ref().is_some_and(|queue| !queue.inner.lock().waiting.is_empty());
            if !waiting || inner.idle > 0 || inner.arriving > 0 {
                self.changed.wait(&mut inner);
                continue;
            }
            let held = inner.last_taken.map_or(SHARED_PATIENCE, |at| at.elapsed());
            if inner.threads == 0 || held >= SHARED_PATIENCE {
                inner.arriving += 1;
                inner.threads += 1;
                return inner.shared.clone().map(Order::Spawn);
            }
            inner.watching = true;
            self.changed.wait_for(&mut inner, SHARED_PATIENCE.saturating_sub(held));
            inner.watching = false;
        }
    }

    fn take_shared(&self, queue: &Queue, arriving: &mut bool) -> Taken {
        {
            let mut inner = self.inner.lock();
            if std::mem::take(arriving) {
                inner.arriving -= 1;
            }
            inner.idle += 1;
        }
        let taken = queue.take(None, None);
        {
            let mut inner = self.inner.lock();
            inner.idle -= 1;
            match &taken {
                Taken::Ticket(_) => {
                    inner.last_taken = Some(Instant::now());
                    if !queue.inner.lock().waiting.is_empty() {
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
}

/// A queue as Python sees it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct JobQueue {
    queue: Arc<Queue>,
    arriving: Mutex<bool>,
    ended: Option<Arc<AtomicBool>>,
}

impl JobQueue {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        let arriving = queue.keeper.is_some();
        Self { queue, arriving: Mutex::new(arriving), ended: None }
    }

    /// The calling thread's queue for as long as one question of it has not ended.
    pub(crate) fn until(queue: Arc<Queue>, ended: Arc<AtomicBool>) -> Self {
        Self { queue, arriving: Mutex::new(false), ended: Some(ended) }
    }
}

#[pymethods]
impl JobQueue {
    /// Waits for the next step, detached and without a timeout; `None` when the thread may end.
    fn take(&self, py: Python<'_>) -> Option<Job> {
        // What is there already is taken at once: letting the interpreter go and getting it back takes longer.
        if let Some(keeper) = self.queue.keeper.as_ref().filter(|_| !*self.arriving.lock())
            && let Some(ticket) = keeper.take_ready(&self.queue)
        {
            return Some(Job { ticket });
        }
        let taken = py.detach(|| match &self.queue.keeper {
            Some(keeper) => keeper.take_shared(&self.queue, &mut self.arriving.lock()),
            None => self.queue.take(None, None),
        });
        match taken {
            Taken::Ticket(ticket) => Some(Job { ticket }),
            Taken::Nothing | Taken::Closed => None,
        }
    }

    /// Waits for the next step on the thread that called `boot()`, letting signals through.
    fn take_polling(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        wait_polling(py, |span| match self.queue.take(Some(span), self.ended.as_deref()) {
            Taken::Ticket(ticket) => Some(Some(Job { ticket })),
            Taken::Closed => Some(None),
            Taken::Nothing => None,
        })
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    fn end(&self, py: Python<'_>) {
        py.detach(|| self.queue.end());
    }

    /// A thread that works off this shared queue will not come back.
    fn left(&self) {
        if let Some(keeper) = &self.queue.keeper {
            let mut inner = keeper.inner.lock();
            inner.threads = inner.threads.saturating_sub(1);
        }
    }
}

/// The keeper thread's door.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Keeper {
    pub(crate) state: Arc<KeeperState>,
}

#[pymethods]
impl Keeper {
    /// Lets the keeper end with the last step, and the shared threads.
    fn close(&self) {
        self.state.close();
    }

    /// Waits for the next order: `("spawn", JobQueue)`, `("interrupt", None)`, `("cancel", Job)`,
    /// `("stack", (thread, reply))`; `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<(&'static str, Py<PyAny>)>> {
        let order = py.detach(|| self.state.next());
        Ok(match order {
            None => None,
            Some(Order::Spawn(queue)) => {
                Some(("spawn", Py::new(py, JobQueue::new(queue))?.into_any()))
            }
            Some(Order::Interrupt) => Some(("interrupt", py.None())),
            Some(Order::Cancel(ticket)) => {
                Some(("cancel", Py::new(py, Job { ticket })?.into_any()))
            }
            Some(Order::Stack(ticket, reply)) => {
                Some(("stack", Py::new(py, StackRequest { ticket, reply })?.into_any()))
            }
        })
    }
}

/// A question for the Python stack of a step.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct StackRequest {
    ticket: Arc<Ticket>,
    reply: crossbeam_channel::Sender<String>,
}

#[pymethods]
impl StackRequest {
    /// The thread that the step runs on; `None` while it waits for one.
    #[getter]
    fn thread(&self) -> Option<u64> {
        self.ticket.state.lock().thread
    }

    /// The step's component.
    #[getter]
    fn live(&self, py: Python<'_>) -> Py<PyAny> {
        self.ticket.live.clone_ref(py)
    }

    /// Answers; nobody may be listening any more.
    fn answer(&self, stack: String) {
        // The asker waits a tenth of a second at most; that it left is no fault.
        let _ = self.reply.send(stack);
    }
}
