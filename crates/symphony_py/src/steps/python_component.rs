//! A Python component as the engine sees it: every step becomes a ticket in a queue that a Python thread works off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Component, Done, Health, Seconds, Step};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::steps::keeper::{KeeperState, Order};
use crate::steps::queue::{Queue, Ticket};

/// How long the executor waits for the stack of a step that hangs.
const STACK_PATIENCE: Duration = Duration::from_millis(150);

/// Where the steps of a component run.
pub(crate) enum Place {
    /// On the thread that called `boot()` (later `shutdown`, `health` or `swap`).
    Calling,
    /// On a thread of its own, parked between its steps.
    Own,
    /// On the threads that constructions share.
    Shared,
}

impl Place {
    /// The place of that name, as `_registration.py` writes it.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "calling" => Self::Calling,
            "own" => Self::Own,
            _ => Self::Shared,
        }
    }
}

/// The adapter.
pub(crate) struct PythonComponent {
    live: Arc<Py<PyAny>>,
    place: Place,
    keeper: Arc<KeeperState>,
    shared: Arc<Queue>,
    calling: Arc<Queue>,
    own: Arc<Mutex<Option<Arc<Queue>>>>,
    current: Mutex<Option<Arc<Ticket>>>,
}

impl PythonComponent {
    pub(crate) fn new(
        live: Py<PyAny>,
        place: Place,
        keeper: &Arc<KeeperState>,
        shared: &Arc<Queue>,
        calling: &Arc<Queue>,
    ) -> Self {
        if matches!(place, Place::Shared) {
            keeper.expect_shared();
        }
        Self {
            live: Arc::new(live),
            place,
            keeper: Arc::clone(keeper),
            shared: Arc::clone(shared),
            calling: Arc::clone(calling),
            own: Arc::default(),
            current: Mutex::new(None),
        }
    }

    /// For how long an earlier question after its health has hung.
    fn hanging_health(&self) -> Option<Duration> {
        let earlier = self.current.lock().clone()?;
        earlier.hangs_for().filter(|_| earlier.step == Step::Health)
    }

    /// The outcome of a start. After one that failed no stop comes, so its thread ends.
    fn started(&self, done: Done) -> Done {
        let own = Arc::clone(&self.own);
        Done::new(move |outcome| {
            let failed = outcome.is_err();
            let queue = own.lock().take_if(|_| failed);
            if let Some(queue) = queue {
                queue.close();
            }
            done.tell(outcome);
        })
    }

    /// Puts a step in for the thread of its own, or for a fresh one where that was told to end.
    fn put(&self, ticket: &Arc<Ticket>) -> Arc<Queue> {
        let mut own = self.own.lock();
        if let Some(queue) = own.as_ref().filter(|queue| queue.offer(ticket)) {
            return Arc::clone(queue);
        }
        let queue = self.keeper.spawn();
        queue.put(Arc::clone(ticket));
        *own = Some(Arc::clone(&queue));
        queue
    }
}

impl Drop for PythonComponent {
    /// One that nobody stopped, as after a swap: its thread ends with it.
    fn drop(&mut self) {
        if let Some(queue) = self.own.lock().take() {
            queue.close();
        }
    }
}

impl Component for PythonComponent {
    fn begin(&self, step: Step, done: Done) {
        if step == Step::Health && matches!(self.place, Place::Shared) {
            // It has no step of its own but its construction.
            done.tell(Ok(Health::Healthy));
            return;
        }
        if step == Step::Health
            && let Some(span) = self.hanging_health()
        {
            // A thread for each question would be lost to one that never answers.
            let text = format!("its `health()` of {} ago has not come back", Seconds::from(span));
            done.tell(Ok(Health::Unhealthy(text)));
            return;
        }
        let done = if step == Step::Start { self.started(done) } else { done };
        let Some(ticket) = Ticket::new(Arc::clone(&self.live), step, done, &self.keeper) else {
            return;
        };
        *self.current.lock() = Some(Arc::clone(&ticket));
        match self.place {
            Place::Calling => self.calling.put(ticket),
            Place::Shared => self.shared.put(ticket),
            Place::Own => {
                let queue = self.put(&ticket);
                if step == Step::Stop {
                    queue.close();
                }
            }
        }
    }

    fn give_up(&self, _step: Step) -> Option<String> {
        let ticket = self.current.lock().clone()?;
        let hangs = ticket.give_up();
        // The thread that hangs is never used again: a later step of this component gets a fresh one.
        if let Some(queue) = self.own.lock().take() {
            queue.close();
        }
        if !hangs {
            return None;
        }
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.keeper.order(Order::Stack(Arc::clone(&ticket), reply));
        let stack = answer.recv_timeout(STACK_PATIENCE).ok().filter(|stack| !stack.is_empty());
        match self.place {
            Place::Calling => self.keeper.order(Order::Interrupt),
            Place::Own | Place::Shared => self.keeper.order(Order::Cancel(ticket)),
        }
        stack
    }

    fn clock_from(&self, _step: Step) -> Option<Instant> {
        let ticket = self.current.lock().clone()?;
        Some(ticket.taken().unwrap_or_else(Instant::now))
    }
}
