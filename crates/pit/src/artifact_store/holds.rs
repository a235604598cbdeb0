//! Which segments somebody reads, or has written to and not yet named in the journal.
//!
//! Callers: readers and writers of large content take a hold, whatever removes a segment asks. Invariant: a hold is
//! taken under the lock of the index, under which segments are removed too, so none goes between a look at the index
//! and the hold on what was found there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::changes::Changes;

#[derive(Debug)]
pub(super) struct Holds {
    counts: Mutex<HashMap<u32, usize>>,
    /// A segment in which nothing lives stayed because of a hold.
    kept: AtomicBool,
    /// The store's thread takes away what was kept.
    changes: Arc<Changes>,
}

impl Holds {
    pub(super) fn new(changes: Arc<Changes>) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), kept: AtomicBool::new(false), changes })
    }

    /// Whether the segment must stay; if so, its last hold wakes who can take it away.
    pub(super) fn keep(&self, segment: u32) -> bool {
        let counts = self.counts.lock();
        let is_held = counts.contains_key(&segment);
        if is_held {
            // Under the lock, so that the hold that is let go of next knows it.
            self.kept.store(true, Ordering::Release);
        }
        is_held
    }

    /// Whether something stayed since this was asked last.
    pub(super) fn take_kept(&self) -> bool {
        self.kept.swap(false, Ordering::AcqRel)
    }
}

/// Keeps segments where they are as long as it lives.
#[derive(Debug)]
pub(super) struct Hold {
    holds: Arc<Holds>,
    segments: Mutex<BTreeSet<u32>>,
}

impl Hold {
    /// On nothing yet.
    pub(super) fn new(holds: &Arc<Holds>) -> Self {
        Self { holds: Arc::clone(holds), segments: Mutex::default() }
    }

    /// On one more segment. The index is locked by the caller, or the segment is not yet known to anybody else.
    pub(super) fn add(&self, segment: u32) {
        if self.segments.lock().insert(segment) {
            *self.holds.counts.lock().entry(segment).or_default() += 1;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut counts = self.holds.counts.lock();
        for segment in self.segments.get_mut().iter() {
            if let Some(count) = counts.get_mut(segment) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(segment);
                }
            }
        }
        drop(counts);
        if self.holds.kept.load(Ordering::Acquire) {
            self.holds.changes.changed();
        }
    }
}
