//! A call that waits for others without a thread: it is answered later, by whoever ends its wait.
//!
//! Begun by [`Members::begin`], kept by the kit until it is answered. Invariant: it is answered exactly once.
//!
//! [`Members::begin`]: super::Members::begin

use std::time::Instant;

use ipc::Payload;
use pit::arbitration_engine::{self, TakeBack};

use crate::KitError;

/// What is told the outcome, once, on whichever thread ends the wait. It must not block.
pub type Answer = Box<dyn FnOnce(Result<Payload, KitError>) + Send>;

/// A call that waits.
#[derive(Debug, Clone)]
pub struct WaitingCall {
    pub(super) place: arbitration_engine::Waiting,
    /// When [`Self::time_out`] is due.
    pub until: Option<Instant>,
}

impl WaitingCall {
    /// Its time is over: it is answered with what there is.
    pub fn time_out(&self) {
        self.place.time_out();
    }

    /// Has `set` told when a lease ends for which this waits, and given what looks at it then; it gives what takes that
    /// back. Neither may block.
    pub fn keep_time_by(
        &self,
        set: impl Fn(Instant, Box<dyn FnOnce() + Send>) -> TakeBack + Send + Sync + 'static,
    ) {
        self.place.keep_time_by(set);
    }

    /// Its caller wants it no more: it is answered that it was interrupted.
    pub fn cancel(&self) {
        self.place.withdraw();
    }
}
