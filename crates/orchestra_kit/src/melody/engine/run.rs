//! A run, as its submitter holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use component::{Code, Hint as _};
use crossbeam_channel::Sender;
use ipc::{Hook, Hooks, Payload};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::failure::RunFailure;
use super::node::{NodeEnds, NodeRecord};
use super::scheduler::Message;
use crate::KitError;

/// How often a waiting caller's hook is asked whether to go on.
const POLL: Duration = Duration::from_millis(50);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It runs, or waits for slots.
    Running,
    /// Every node is done.
    Done,
    /// A node failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunState {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The values of a run's nodes in the Melody's order; none for a skipped one.
pub type Results = Vec<(Arc<str>, Option<Payload>)>;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Nodes of the Melody that a run without failures calls.
    pub total: u32,
    /// Nodes that have their value.
    pub done: u32,
    /// Nodes that were skipped.
    pub skipped: u32,
    /// Calls on their way now.
    pub running: u32,
    /// Calls that were tried again.
    pub retried: u32,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) total: AtomicU32,
    pub(super) done: AtomicU32,
    pub(super) skipped: AtomicU32,
    pub(super) running: AtomicU32,
    pub(super) retried: AtomicU32,
}

type Listener = Box<dyn FnOnce() + Send>;

enum Ending {
    Open(Vec<Listener>, Hooks),
    Ended { outcome: Result<Arc<Results>, RunFailure>, took: Duration, nodes: Option<NodeEnds> },
}

/// What the handle and the scheduler share.
pub(super) struct Shared {
    pub(super) id: u64,
    pub(super) melody: Arc<str>,
    pub(super) counters: Counters,
    pub(super) submitted: Instant,
    ending: Mutex<Ending>,
    ended: Condvar,
}

impl Shared {
    pub(super) fn new(id: u64, melody: Arc<str>, total: u32) -> Self {
        let counters = Counters { total: AtomicU32::new(total), ..Counters::default() };
        Self {
            id,
            melody,
            counters,
            submitted: Instant::now(),
            ending: Mutex::new(Ending::Open(Vec::new(), Hooks::default())),
            ended: Condvar::new(),
        }
    }

    /// Ends the run; the first ending counts.
    pub(super) fn end(&self, outcome: Result<Arc<Results>, RunFailure>, nodes: Option<NodeEnds>) {
        let listeners = {
            let mut ending = self.ending.lock();
            let Ending::Open(listeners, hooks) = &mut *ending else { return };
            let mut listeners = std::mem::take(listeners);
            listeners.extend(hooks.take());
            *ending = Ending::Ended { outcome, took: self.submitted.elapsed(), nodes };
            self.ended.notify_all();
            listeners
        };
        // Outside the lock: a listener is its submitter's code.
        for listener in listeners {
            listener();
        }
    }
}

/// A Melody that was submitted. Dropping the handle does not stop the run.
#[derive(Clone)]
pub struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) engine: Sender<Message>,
}

impl Run {
    /// Its number: later runs have larger ones.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// The name of its Melody.
    pub fn melody(&self) -> &Arc<str> {
        &self.shared.melody
    }

    /// Where it stands.
    pub fn state(&self) -> RunState {
        match &*self.shared.ending.lock() {
            Ending::Open(..) => RunState::Running,
            Ending::Ended { outcome: Ok(_), .. } => RunState::Done,
            Ending::Ended { outcome: Err(failure), .. } if failure.code() == Code::CANCELLED => {
                RunState::Cancelled
            }
            Ending::Ended { outcome: Err(_), .. } => RunState::Failed,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        Progress {
            total: read(&counters.total),
            done: read(&counters.done),
            skipped: read(&counters.skipped),
            running: read(&counters.running),
            retried: read(&counters.retried),
        }
    }

    /// How long it took, or has been running.
    pub fn elapsed(&self) -> Duration {
        match &*self.shared.ending.lock() {
            Ending::Open(..) => self.shared.submitted.elapsed(),
            Ending::Ended { took, .. } => *took,
        }
    }

    /// What became of each node, in the Melody's order; empty while it runs.
    pub fn nodes(&self) -> Vec<NodeRecord> {
        match &*self.shared.ending.lock() {
            Ending::Ended { outcome, nodes: Some(nodes), .. } => {
                nodes.records(outcome.as_deref().ok().map(Vec::as_slice))
            }
            _ => Vec::new(),
        }
    }

    /// Waits for its end; no timeout waits for ever.
    ///
    /// # Errors
    /// The failure of the first node that failed; a cancelled run; [`KitError::TimedOut`], after which the run goes on.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Arc<Results>, RunFailure> {
        self.wait_polling(timeout, None)
    }

    /// As [`Run::wait`]; `poll` is asked every 50 ms, and true gives the wait up as if the time were over.
    ///
    /// # Errors
    /// As [`Run::wait`].
    pub fn wait_polling(
        &self,
        timeout: Option<Duration>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Arc<Results>, RunFailure> {
        let begun = Instant::now();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut ending = self.shared.ending.lock();
        loop {
            if let Ending::Ended { outcome, .. } = &*ending {
                return outcome.clone();
            }
            let look = poll.map(|_| Instant::now() + POLL);
            let Some(until) = deadline.into_iter().chain(look).min() else {
                self.shared.ended.wait(&mut ending);
                continue;
            };
            if !self.shared.ended.wait_until(&mut ending, until).timed_out()
                || !matches!(*ending, Ending::Open(..))
            {
                continue;
            }
            let what = || self.shared.melody.to_string();
            if let (Some(timeout), Some(deadline)) = (timeout, deadline)
                && Instant::now() >= deadline
            {
                let seconds = timeout.as_secs_f64();
                return Err(self.failure(KitError::TimedOut { what: what(), seconds }));
            }
            if poll.is_some_and(|poll| MutexGuard::unlocked(&mut ending, poll)) {
                let seconds = begun.elapsed().as_secs_f64();
                return Err(self.failure(KitError::TimedOut { what: what(), seconds }));
            }
        }
    }

    /// Calls `listener` at its end, on the engine's thread, or at once when it has ended: it must not block.
    pub fn when_ended(&self, listener: impl FnOnce() + Send + 'static) {
        {
            let mut ending = self.shared.ending.lock();
            if let Ending::Open(listeners, _) = &mut *ending {
                listeners.push(Box::new(listener));
                return;
            }
        }
        listener();
    }

    /// As [`Run::when_ended`], until the hook is taken back. False: it has ended, and `hook` is not kept.
    pub fn watch(&self, key: u64, hook: Hook) -> bool {
        match &mut *self.shared.ending.lock() {
            Ending::Open(_, hooks) => {
                hooks.put(key, hook);
                true
            }
            Ending::Ended { .. } => false,
        }
    }

    /// Takes a hook back.
    pub fn unwatch(&self, key: u64) {
        if let Ending::Open(_, hooks) = &mut *self.shared.ending.lock() {
            hooks.remove(key);
        }
    }

    /// Cancels it: nothing of it starts any more, and what runs is told. A run that has ended is left as it is.
    pub fn cancel(&self) {
        if self.engine.send(Message::Cancel(self.shared.id)).is_err() {
            let failure = self.failure(KitError::Stopped { what: "the Melody engine" });
            self.shared.end(Err(failure), None);
        }
    }

    fn failure(&self, error: KitError) -> RunFailure {
        RunFailure {
            melody: Arc::clone(&self.shared.melody),
            node: None,
            call: None,
            attempts: 0,
            error: Arc::new(error),
            stand_ins: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Run")
            .field("id", &self.id())
            .field("melody", self.melody())
            .field("state", &self.state())
            .finish()
    }
}
