//! Who keeps the time of leases where those that wait for their end have no thread.
//!
//! Given by whoever makes such requests, kept by the engine.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Who is told when the leases want to be looked at, for those that wait without a thread.
#[derive(Clone)]
pub(super) struct LeaseAlarm(Arc<dyn Fn(Instant) + Send + Sync>);

impl LeaseAlarm {
    /// `set` is called with the time, under the engine's lock: it must neither block nor ask the engine.
    pub(super) fn new(set: impl Fn(Instant) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    pub(super) fn set(&self, at: Instant) {
        (self.0)(at);
    }
}

impl fmt::Debug for LeaseAlarm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LeaseAlarm")
    }
}
