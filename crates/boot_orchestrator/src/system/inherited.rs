//! What a forked child of the root inherits of a system, and must let go of.
//!
//! Kept by the at-fork guard. Invariant: as long as anything works for a system, also work that was given up after its
//! boot failed, its descriptors are known here.

use std::sync::{Arc, Weak};

use super::parts::Parts;
use super::safe_mode::BootRecord;

/// The descriptors of one system.
pub struct Inherited(Weak<Parts>);

impl Inherited {
    pub(super) fn new(parts: &Arc<Parts>) -> Self {
        Self(Arc::downgrade(parts))
    }

    /// Whether nothing works for the system any more.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// The descriptors. To be asked in the forked child: what another thread of the parent held locked is left out.
    pub fn descriptors(&self) -> Vec<i32> {
        let Some(parts) = self.0.upgrade() else { return Vec::new() };
        let mut found: Vec<i32> = parts.state.descriptors().into_iter().flatten().collect();
        found.extend(parts.record.as_ref().and_then(BootRecord::descriptor));
        if let Some(bus) = parts.bus.try_lock().as_deref().and_then(Option::as_ref) {
            found.extend(bus.reader().descriptors());
        }
        if let Some(supervisor) = parts.supervisor.try_lock().as_deref().and_then(Option::as_ref) {
            found.extend(supervisor.descriptors());
        }
        // It belongs to the parent: the end of this process must not end it, and its threads are not here to do so.
        std::mem::forget(parts);
        found
    }
}
