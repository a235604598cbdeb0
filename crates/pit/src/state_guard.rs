//! What keeps the state folder for whoever works in it.
//!
//! Given by whoever holds the folder's lock, kept by the members that write files. Invariant: as long as a member may
//! touch its files, also in an open, a flush or a close that everybody else gave up, its guard lives.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;

/// A share of the state folder's lock; nothing by default, for a folder that nobody else knows.
#[derive(Clone, Default)]
pub struct StateGuard(Option<Arc<dyn Any + Send + Sync>>);

impl StateGuard {
    /// Keeps `held` until the last clone is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(held)))
    }
}

impl std::fmt::Debug for StateGuard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("StateGuard").field(&self.0.is_some()).finish()
    }
}

/// A member's guard, until it is closed. Handles of a closed member may live on; its files are free.
#[derive(Debug, Default)]
pub(crate) struct UntilClosed(Mutex<StateGuard>);

impl UntilClosed {
    pub(crate) fn new(guard: StateGuard) -> Self {
        Self(Mutex::new(guard))
    }

    /// Lets go of the guard as the answer is dropped: nothing touches the member's files any more, however the close ended.
    pub(crate) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }
}

/// A close under way.
#[derive(Debug)]
#[must_use = "the guard is let go of as this is dropped"]
pub(crate) struct Closing<'a>(&'a UntilClosed);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let guard = std::mem::take(&mut *self.0.0.lock());
        drop(guard);
    }
}
