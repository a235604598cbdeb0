//! What one caller holds of the Pit by number: its grants.
//!
//! Made for each lane by its host, and once for everybody inside this process. Invariant: a grant is released by the
//! caller that was given it or at that caller's end, whichever comes first, and by nobody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pit::arbitration_engine::Grant;

/// Numbers are never used twice in a process, so that a number that is told to another caller means nothing there.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The grants of one caller.
pub struct Holdings {
    /// None: the caller has ended.
    grants: Mutex<Option<HashMap<u64, Grant>>>,
    most: usize,
    /// Bytes of results that are being made for it.
    results: AtomicUsize,
}

/// The most bytes of results that are made for one caller at a time; one alone is always made.
const RESULTS: usize = 64 * 1024 * 1024;

/// Room for a result that is being made.
pub(super) struct Room<'a>(&'a AtomicUsize, usize);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl Default for Holdings {
    fn default() -> Self {
        Self::new()
    }
}

impl Holdings {
    /// Nothing, of a caller that is there.
    pub fn new() -> Self {
        Self::of_at_most(usize::MAX)
    }

    /// Nothing, of a caller that may hold so many grants.
    pub(crate) fn of_at_most(most: usize) -> Self {
        let grants = Mutex::new(Some(HashMap::new()));
        Self { grants, most, results: AtomicUsize::new(0) }
    }

    /// Whether it holds as many grants as it may.
    pub(super) fn is_full(&self) -> bool {
        self.grants.lock().as_ref().is_some_and(|held| held.len() >= self.most)
    }

    /// Room for a result of that size, which is given back when it is dropped. None: too much is being made already.
    pub(super) fn room_for(&self, bytes: usize) -> Option<Room<'_>> {
        let before = self.results.fetch_add(bytes, Ordering::AcqRel);
        let room = Room(&self.results, bytes);
        (before == 0 || before.saturating_add(bytes) <= RESULTS).then_some(room)
    }

    /// Keeps a grant; answers its number. None: the caller has ended, and the grant is released.
    pub(super) fn keep(&self, grant: Grant) -> Option<u64> {
        let mut grants = self.grants.lock();
        let Some(held) = grants.as_mut() else {
            drop(grants);
            grant.release();
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        held.insert(number, grant);
        Some(number)
    }

    /// Releases a grant of this caller. False: it holds none of that number.
    pub(super) fn release(&self, number: u64) -> bool {
        let grant = self.grants.lock().as_mut().and_then(|held| held.remove(&number));
        grant.inspect(Grant::release).is_some()
    }

    /// Whether the caller has ended, and whoever waits for it may stop.
    pub fn has_ended(&self) -> bool {
        self.grants.lock().is_none()
    }

    /// The caller has ended: all that it held is released, and so is what it is given from now on.
    pub fn end(&self) {
        // Released without the lock: others may be served by it at once.
        let held = self.grants.lock().take();
        drop(held);
    }
}
