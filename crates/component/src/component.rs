//! What the engine can start, ask for its health, and stop.

use std::time::Instant;

use crate::{Failure, Health};

/// One step of a component's life, asked for by the executor, the gate or the rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Build it and bring it up.
    Start,
    /// Ask how it is.
    Health,
    /// Take it down. Asked for once, and only after a start that ended well (or ended after it was given up).
    Stop,
}

impl Step {
    /// The step's name in events, errors and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Health => "health",
            Self::Stop => "stop",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How a step tells its outcome: called once, from any thread, at any time.
///
/// Dropped uncalled, it reports an internal failure, so that a lost step can never hang a boot.
pub struct Done(Option<Receiver>);

type Receiver = Box<dyn FnOnce(Result<Health, Failure>) + Send>;

impl Done {
    /// Wraps the function that receives the outcome.
    pub fn new(receive: impl FnOnce(Result<Health, Failure>) + Send + 'static) -> Self {
        Self(Some(Box::new(receive)))
    }

    /// Tells the outcome: for `Start` and `Health` how the component is, for `Stop` anything healthy.
    pub fn tell(mut self, outcome: Result<Health, Failure>) {
        if let Some(receive) = self.0.take() {
            receive(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(receive) = self.0.take() {
            receive(Err(Failure::new(
                crate::Code::INTERNAL,
                "the step was dropped without an outcome",
            )));
        }
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Done").field("told", &self.0.is_none()).finish()
    }
}

/// How far a step has come whose work is counted, as what a member reads back after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepProgress {
    /// How much is done; it only grows.
    pub done: u64,
    /// How much there is to do, as far as is known by now.
    pub total: u64,
}

/// A thing with a life: a Rust member, a Python object, an extension's process.
///
/// The engine knows components by this trait and their [`crate::Descriptor`] only. `begin` starts a step wherever the
/// component lives (a worker thread, the calling thread's queue, another process) and returns at once; the outcome
/// comes through [`Done`].
pub trait Component: Send + Sync {
    /// Begins `step`. Must not block: the executor's one thread calls it.
    fn begin(&self, step: Step, done: Done);

    /// The executor gave `step` up (its deadline passed, or the boot is being rolled back). The component may
    /// interrupt it, and returns what it knows of where the step hangs (a Python stack, a child's last lines).
    /// Its `Done` may still be called later; a late successful start is then stopped at once.
    fn give_up(&self, step: Step) -> Option<String> {
        let _ = step;
        None
    }

    /// From when the deadline of `step` counts, where that is later than its begin: the step waited for a thread that was
    /// busy with what is not this component's (the present moment while it still waits). None: from its begin.
    fn clock_from(&self, step: Step) -> Option<Instant> {
        let _ = step;
        None
    }

    /// How far a step has come, where that is counted. Asked for while the step is in flight, and its deadline counts from
    /// when it last came further.
    fn progress(&self, step: Step) -> Option<StepProgress> {
        let _ = step;
        None
    }
}
