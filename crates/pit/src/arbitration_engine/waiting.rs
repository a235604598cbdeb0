//! A request that waits without a thread: who is told of its answer, and how it is given up.
//!
//! Made by the engine, kept by whoever asked. Invariant: it is answered exactly once, whoever comes first: the line, its
//! deadline, its withdrawal or the engine's end.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Condvar;

use super::{ArbitrationEngine, Grant};
use crate::PitResult;

/// What is told the answer, once.
pub type Answered = Box<dyn FnOnce(PitResult<Grant>) + Send>;

/// How somebody who waits hears that it was served.
pub(super) enum Wake {
    /// A thread waits for this.
    Bell(Arc<Condvar>),
    /// Nobody waits: this is called.
    Answer(Answered),
}

impl fmt::Debug for Wake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bell(_) => "Bell",
            Self::Answer(_) => "Answer",
        })
    }
}

impl Wake {
    /// Wakes the thread that waits, where one does.
    pub(super) fn ring(&self) {
        if let Self::Bell(bell) = self {
            bell.notify_one();
        }
    }
}

/// Who is told when the leases want to be looked at, for those that wait without a thread.
#[derive(Clone)]
pub(super) struct LeaseAlarm(Arc<dyn Fn(Instant) + Send + Sync>);

impl LeaseAlarm {
    /// `set` is called with the time, under the engine's lock: it must neither block nor ask the engine.
    pub(super) fn new(set: impl Fn(Instant) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    pub(super) fn set(&self, at: Instant) {
        (self.0)(at);
    }
}

impl fmt::Debug for LeaseAlarm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LeaseAlarm")
    }
}

/// An answer on its way.
pub(super) struct Due {
    pub(super) answered: Answered,
    pub(super) outcome: PitResult<Grant>,
}

impl fmt::Debug for Due {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Due").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    TimedOut,
    Withdrawn,
}

/// A place in a line. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Waiting {
    engine: Weak<ArbitrationEngine>,
    resource: usize,
    ticket: u64,
}

impl Waiting {
    pub(super) fn new(engine: &Arc<ArbitrationEngine>, resource: usize, ticket: u64) -> Self {
        Self { engine: Arc::downgrade(engine), resource, ticket }
    }

    /// Has `set` told when a lease ends for which this waits, and given what looks at it then.
    pub fn keep_time_by(
        &self,
        set: impl Fn(Instant, Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    ) {
        let Some(engine) = self.engine.upgrade() else { return };
        let waiting = self.engine.clone();
        engine.keep_time_by(LeaseAlarm::new(move |at| {
            let engine = waiting.clone();
            set(
                at,
                Box::new(move || {
                    if let Some(engine) = engine.upgrade() {
                        engine.look_at_leases();
                    }
                }),
            );
        }));
    }

    /// Its time is over: the answer is that it was deferred, unless there is another.
    pub fn time_out(&self) {
        self.end(GivenUp::TimedOut);
    }

    /// Whoever asked wants it no more: the answer is that it was interrupted, unless there is another.
    pub fn withdraw(&self) {
        self.end(GivenUp::Withdrawn);
    }

    fn end(&self, why: GivenUp) {
        if let Some(engine) = self.engine.upgrade() {
            engine.end_waiting(self.resource, self.ticket, why);
        }
    }
}
