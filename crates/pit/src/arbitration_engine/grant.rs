//! The answer to a request, and how it is told; what was granted is given back when it is dropped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Condvar;

use crate::PitResult;

use super::{ArbitrationEngine, Reason};

/// What came out of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was given.
    Granted,
    /// It can never be given: more is asked than there is.
    Denied,
    /// It was not given by the end of its wait; asking again later may help.
    Deferred,
}

impl Outcome {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Deferred => "deferred",
        }
    }
}

/// The answer to a request. What was granted is held until [`Self::release`] or drop, or the end of its lease.
#[derive(Debug)]
#[must_use = "what was granted is given back when the grant is dropped"]
pub struct Grant {
    pub(super) engine: Arc<ArbitrationEngine>,
    pub(super) ticket: u64,
    pub(super) resource: Arc<str>,
    pub(super) owner: Arc<str>,
    pub(super) amount: u64,
    pub(super) lease: Option<Duration>,
    pub(super) outcome: Outcome,
    pub(super) reason: Reason,
    pub(super) released: AtomicBool,
}

impl Grant {
    /// What came out.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether it was given.
    pub fn is_granted(&self) -> bool {
        self.outcome == Outcome::Granted
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Of what.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether it is held now: it was granted, and neither released nor taken back at the end of its lease.
    pub fn is_held(&self) -> bool {
        self.is_granted()
            && !self.released.load(Ordering::Acquire)
            && self.engine.holds(self.ticket)
    }

    /// Begins the lease anew, from now on; with another length where one is given.
    ///
    /// # Errors
    /// It is not held any more.
    pub fn renew(&self, lease: Option<Duration>) -> PitResult<()> {
        self.engine.renew(self, lease.or(self.lease))
    }

    /// Who asked.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How much was asked.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Gives back what was granted; a second time, or where nothing was granted, it does nothing.
    pub fn release(&self) {
        if self.is_granted() && !self.released.swap(true, Ordering::AcqRel) {
            self.engine.release(self);
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.release();
    }
}

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
