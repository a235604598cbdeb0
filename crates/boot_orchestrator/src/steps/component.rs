//! A component whose steps wait in a queue for the thread that they belong to.
//!
//! Callers: the bindings make one of each object of theirs; the engine sees a component like any other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Component, Done, Health, Seconds, Step};

use super::queue::{QueuedStep, StepQueue};
use super::sync::Mutex;
use super::threads::{StepThreads, ThreadOrder};

/// How long the executor waits for the stack of a step that hangs.
const STACK_PATIENCE: Duration = Duration::from_millis(150);

/// On which threads the steps of a component run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadKind {
    /// On the thread that boots (later the one that shuts down, asks for health or swaps).
    Calling,
    /// On a thread of its own, parked between its steps.
    Own,
    /// On the threads that constructions share.
    Shared,
}

/// The component of one object.
pub struct QueuedComponent<T> {
    subject: Arc<T>,
    kind: ThreadKind,
    threads: Arc<StepThreads<T>>,
    own: Arc<Mutex<Option<Arc<StepQueue<T>>>>>,
    current: Mutex<Option<Arc<QueuedStep<T>>>>,
}

impl<T: Send + Sync + 'static> QueuedComponent<T> {
    /// Its steps run on those of the threads.
    pub fn new(subject: T, kind: ThreadKind, threads: &Arc<StepThreads<T>>) -> Arc<Self> {
        if kind == ThreadKind::Shared {
            threads.expect_shared();
        }
        Arc::new(Self {
            subject: Arc::new(subject),
            kind,
            threads: Arc::clone(threads),
            own: Arc::default(),
            current: Mutex::new(None),
        })
    }

    /// The threads of its system.
    pub(super) const fn threads(&self) -> &Arc<StepThreads<T>> {
        &self.threads
    }

    /// For how long an earlier question after its health has hung.
    fn hanging_health(&self) -> Option<Duration> {
        let earlier = self.current.lock().clone()?;
        earlier.hangs_for().filter(|_| earlier.step() == Step::Health)
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
    fn put_own(&self, step: &Arc<QueuedStep<T>>) -> Arc<StepQueue<T>> {
        let mut own = self.own.lock();
        if let Some(queue) = own.as_ref().filter(|queue| queue.offer(step)) {
            return Arc::clone(queue);
        }
        let queue = self.threads.own_queue();
        queue.put(Arc::clone(step));
        *own = Some(Arc::clone(&queue));
        queue
    }
}

impl<T> Drop for QueuedComponent<T> {
    /// One that nobody stopped, as after a swap: its thread ends with it.
    fn drop(&mut self) {
        if let Some(queue) = self.own.lock().take() {
            queue.close();
        }
    }
}

impl<T: Send + Sync + 'static> Component for QueuedComponent<T> {
    fn begin(&self, step: Step, done: Done) {
        if step == Step::Health && self.kind == ThreadKind::Shared {
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
        let Some(queued) = self.threads.admit(&self.subject, step, done) else {
            return;
        };
        *self.current.lock() = Some(Arc::clone(&queued));
        match self.kind {
            ThreadKind::Calling => self.threads.calling().put(queued),
            ThreadKind::Shared => self.threads.put_shared(queued),
            ThreadKind::Own => {
                let queue = self.put_own(&queued);
                if step == Step::Stop {
                    queue.close();
                }
            }
        }
    }

    fn give_up(&self, _step: Step) -> Option<String> {
        let queued = self.current.lock().clone()?;
        let hangs = queued.give_up();
        // The thread that hangs is never used again: a later step of this component gets a fresh one.
        if let Some(queue) = self.own.lock().take() {
            queue.close();
        }
        if !hangs {
            return None;
        }
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.threads.order(ThreadOrder::Stack(Arc::clone(&queued), reply));
        let stack = answer.recv_timeout(STACK_PATIENCE).ok().filter(|stack| !stack.is_empty());
        match self.kind {
            ThreadKind::Calling => self.threads.order(ThreadOrder::Interrupt),
            ThreadKind::Own | ThreadKind::Shared => {
                self.threads.order(ThreadOrder::Cancel(queued));
            }
        }
        stack
    }

    fn clock_from(&self, _step: Step) -> Option<Instant> {
        let queued = self.current.lock().clone()?;
        Some(queued.taken().unwrap_or_else(Instant::now))
    }
}
