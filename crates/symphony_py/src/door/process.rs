//! What concerns the whole process: the at-fork guard, and which thread is the main one.

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::enter;

/// The systems of this process, so that a forked child can let go of what is theirs.
static SYSTEMS: Mutex<Vec<std::sync::Weak<boot_orchestrator::system::System>>> =
    Mutex::new(Vec::new());

/// Remembers a system for the at-fork guard.
pub(crate) fn remember(system: &std::sync::Arc<boot_orchestrator::system::System>) {
    let mut systems = SYSTEMS.lock();
    systems.retain(|known| known.strong_count() > 0);
    systems.push(std::sync::Arc::downgrade(system));
}

/// In a forked child: every handle raises from now on. Gives the descriptors that the child must let go of.
#[pyfunction]
pub(crate) fn mark_forked() -> Vec<i32> {
    enter::mark_forked();
    // Another thread of the parent may have held the lock at the fork: then nothing can be said.
    let Some(systems) = SYSTEMS.try_lock() else { return Vec::new() };
    let mut descriptors = Vec::new();
    for system in systems.iter().filter_map(std::sync::Weak::upgrade) {
        descriptors.extend(system.descriptors());
        // It belongs to the parent: the end of this process must not end it, and its threads are not here to do so.
        std::mem::forget(system);
    }
    descriptors
}

/// Whether this is the thread that the process began with, where Python lets signals be handled.
#[pyfunction]
pub(crate) fn is_main_thread() -> bool {
    enter::is_main_thread()
}
