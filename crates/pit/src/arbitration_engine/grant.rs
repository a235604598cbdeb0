//! The answer to a request; what was granted is given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
