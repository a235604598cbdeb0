//! What handles of a Pit member count: themselves, and the calls that go through them.
//!
//! Counted by whoever makes handles, read by a swap that waits until the last call has ended. Invariant: those who count
//! exclude each other, as threads do that have the interpreter; so a call costs no locked instruction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use orchestra_kit::manifest::Member;

/// The handles of one member of one system.
#[derive(Debug, Default)]
pub struct HandleUse {
    handles: AtomicUsize,
    calls: AtomicUsize,
    gone: AtomicBool,
}

impl HandleUse {
    /// A handle was made, which refers to the member for as long as it lives.
    pub fn made(&self) {
        add(&self.handles);
    }

    /// A handle is gone.
    pub fn dropped(&self) {
        subtract(&self.handles);
    }

    /// A call begins.
    #[inline]
    pub fn begins(&self) {
        add(&self.calls);
    }

    /// A call has ended.
    #[inline]
    pub fn ends(&self) {
        subtract(&self.calls);
    }

    /// Whether the member was closed when another took its place.
    #[inline]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// How many of a member's references are no use of it, and how many calls are counted here instead.
    pub(super) fn read(&self) -> (usize, usize) {
        (self.handles.load(Ordering::Relaxed), self.calls.load(Ordering::Relaxed))
    }
}

/// Those of all members.
#[derive(Debug, Default)]
pub(super) struct HandleUses([Arc<HandleUse>; Member::ALL.len()]);

impl HandleUses {
    pub(super) const fn of(&self, member: Member) -> &Arc<HandleUse> {
        let [pool, dag, artifacts, arbitration, stale] = &self.0;
        match member {
            Member::PoolManager => pool,
            Member::DagTracker => dag,
            Member::ArtifactStore => artifacts,
            Member::ArbitrationEngine => arbitration,
            Member::StaleManager => stale,
        }
    }
}

/// Those who count exclude each other.
#[inline]
fn add(count: &AtomicUsize) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

#[inline]
fn subtract(count: &AtomicUsize) {
    count.store(count.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
}
