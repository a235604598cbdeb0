//! How far the opening of a member is, for whoever waits for it.
//!
//! Written by the journal as it is read back and by the store's work on it, read by the boot. Invariant: what is done only
//! grows, so that whoever sees it grow knows that the opening does not hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shared count, in bytes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RecoveryProgress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    total: AtomicU64,
}

impl RecoveryProgress {
    /// How much is done, and of how much, by now; none before there is anything to do.
    pub fn read(&self) -> Option<(u64, u64)> {
        let total = self.0.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.0.done.load(Ordering::Relaxed).min(total), total))
    }

    /// There is so much more to do.
    pub(crate) fn expect(&self, more: u64) {
        self.0.total.fetch_add(more, Ordering::Relaxed);
    }

    /// So much more is done.
    pub(crate) fn add(&self, more: u64) {
        self.0.done.fetch_add(more, Ordering::Relaxed);
    }
}
