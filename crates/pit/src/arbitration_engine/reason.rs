//! Why a decision came out as it did: numbers for programs, one line for people.

use std::sync::Arc;
use std::time::Duration;

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
    /// Taken back, as its holder did not renew it.
    LeaseOver {
        /// How long the lease was.
        lease: Duration,
    },
    /// Given back with all that its owner held.
    OwnerEnded,
    /// Deferred, or told while the wait goes on: each waits for what the next one holds or stands before, the last for
    /// the first.
    Deadlock {
        /// Owner and what it waits for, and whether the next one holds it.
        ring: Vec<(Arc<str>, Arc<str>, bool)>,
    },
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
            Self::LeaseOver { lease } => write!(out, "its lease of {lease:?} was over"),
            Self::OwnerEnded => out.write_str("given back with all that its owner held"),
            Self::Deadlock { ring } => {
                out.write_str("deadlock: ")?;
                for (at, (owner, resource, is_held)) in ring.iter().enumerate() {
                    let which = if at == 0 { "" } else { ", which" };
                    let verb = if *is_held { "held by" } else { "behind" };
                    // The first is named once, and again at the end.
                    if at == 0 {
                        write!(out, "`{owner}`")?;
                    }
                    let (next, _, _) = &ring[(at + 1) % ring.len()];
                    write!(out, "{which} waits for `{resource}`, {verb} `{next}`")?;
                }
                Ok(())
            }
        }
    }
}
