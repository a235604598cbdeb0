//! Why a decision came out as it did: numbers for programs, one line for people.

use std::sync::Arc;

/// The reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Granted: it was free and nobody stood before.
    Free {
        /// What was wanted.
        amount: u64,
        /// What was free before.
        free: u64,
    },
    /// Granted after a wait: it stood first and there was enough.
    Turn {
        /// How many grants to others came between.
        passed: u64,
    },
    /// Denied: more than there can ever be.
    AboveCapacity {
        /// What was wanted.
        amount: u64,
        /// What there is.
        capacity: u64,
    },
    /// Deferred: it stands first, but not enough is free.
    Busy {
        /// What was wanted.
        amount: u64,
        /// What is free.
        free: u64,
        /// What there is.
        capacity: u64,
    },
    /// Deferred: somebody else stands before it.
    Behind {
        /// Who.
        owner: Arc<str>,
    },
    /// Given back by its holder.
    Released,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Free { amount, free } => write!(out, "{amount} of {free} free were taken"),
            Self::Turn { passed } => write!(out, "its turn came after {passed} grants to others"),
            Self::AboveCapacity { amount, capacity } => {
                write!(out, "{amount} wanted, there are only {capacity}")
            }
            Self::Busy { amount, free, capacity } => {
                write!(out, "{amount} wanted, {free} of {capacity} free")
            }
            Self::Behind { owner } => write!(out, "`{owner}` stands before it"),
            Self::Released => out.write_str("given back"),
        }
    }
}
