//! What tells the store's thread that there is something to flush.
//!
//! Called by whatever changes the store; the thread waits for it. Invariant: what is said while the thread looks is seen by
//! its next look.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

/// Whether there is something to flush, and whether the thread is to end.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) dirty: AtomicBool,
    pub(super) stopping: Mutex<bool>,
    pub(super) wake: Condvar,
}

impl Changes {
    /// Says that there is something to flush; nearly free when that is known.
    pub(super) fn changed(&self) {
        if !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::AcqRel) {
            // Under the lock, or the thread could look before and sleep after.
            let _stopping = self.stopping.lock();
            self.wake.notify_one();
        }
    }
}
