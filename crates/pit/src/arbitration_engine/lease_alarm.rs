//! Who keeps the time of leases where those that wait for their end have no thread.
//!
//! Given by whoever makes such requests, kept by the engine. Invariant: at most one alarm is set, and none when nobody
//! waits for it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Takes an alarm back that was set; one that has rung is nothing to take back. It must neither block nor ask the engine.
pub type TakeBack = Box<dyn FnOnce() + Send>;

/// Who is told when the leases want to be looked at, for those that wait without a thread.
pub(super) struct LeaseAlarm {
    set: Arc<dyn Fn(Instant) -> TakeBack + Send + Sync>,
    current: Option<(Instant, TakeBack)>,
}

impl LeaseAlarm {
    /// `set` is called with the time, under the engine's lock: it must neither block nor ask the engine.
    pub(super) fn new(set: impl Fn(Instant) -> TakeBack + Send + Sync + 'static) -> Self {
        Self { set: Arc::new(set), current: None }
    }

    /// Has the leases looked at by then; one that is set for earlier stays, one for later is taken back.
    pub(super) fn ring_by(&mut self, first: Instant) {
        let stands = self.current.as_ref().map(|(at, _)| *at);
        if stands.is_some_and(|at| at <= first && at > Instant::now()) {
            return;
        }
        self.take_back();
        self.current = Some((first, (self.set)(first)));
    }

    /// Nobody waits for it any more.
    pub(super) fn take_back(&mut self) {
        if let Some((_, take_back)) = self.current.take() {
            take_back();
        }
    }

    /// It rang.
    pub(super) fn has_rung(&mut self) {
        self.current = None;
    }

    pub(super) const fn is_set(&self) -> bool {
        self.current.is_some()
    }
}

impl Drop for LeaseAlarm {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl fmt::Debug for LeaseAlarm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LeaseAlarm")
    }
}
