//! The answer to a request; what was granted is given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// The answer to a request. What was granted is held until [`Self::release`] or drop.
#[derive(Debug)]
#[must_use = "what was granted is given back when the grant is dropped"]
pub struct Grant {
    pub(super) engine: Arc<ArbitrationEngine>,
    pub(super) resource: usize,
    pub(super) owner: Arc<str>,
    pub(super) amount: u64,
    pub(super) priority: i64,
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
