//! What was decided, kept in a ring: the newest entries, each with its reason.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Reason;

/// What an audit entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was given.
    Granted,
    /// It can never be given.
    Denied,
    /// It was not given by the end of its wait.
    Deferred,
    /// It was given back.
    Released,
    /// Its lease was over, and it was taken back.
    Expired,
    /// Owners wait for each other; the wait goes on, as an owner may have threads that do not wait.
    Deadlock,
}

impl Decision {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Deferred => "deferred",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Deadlock => "deadlock",
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Counts all decisions, also those that the ring has dropped.
    pub sequence: u64,
    /// When, since the engine was made.
    pub at: Duration,
    /// About what.
    pub resource: Arc<str>,
    /// Who asked.
    pub owner: Arc<str>,
    /// How much.
    pub amount: u64,
    /// With which priority.
    pub priority: i64,
    /// What came out.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// How long the asker waited for it.
    pub waited: Duration,
}

#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<AuditEntry>,
    limit: usize,
    sequence: u64,
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit, sequence: 0 }
    }

    /// Adds an entry and gives it its number.
    pub(super) fn push(&mut self, mut entry: AuditEntry) {
        self.sequence += 1;
        entry.sequence = self.sequence;
        if self.limit == 0 {
            return;
        }
        if self.entries.len() == self.limit {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn entries(&self) -> Vec<AuditEntry> {
        self.entries.iter().cloned().collect()
    }
}
