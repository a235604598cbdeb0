//! Calls that are made while a request of the peer is served: they end with it.
//!
//! Called by guests. Invariant: the deadline of the served request and its cancel reach whatever is asked for its sake, so
//! over every hop.

use std::cell::Cell;

use super::Lane;
use super::call::CallOptions;
use super::inbound::Blocks;
use crate::error::CallError;
use crate::payload::Payload;

impl Lane {
    /// As [`Lane::request_blocking`], for the sake of that request of the peer: it ends at its deadline at the latest, and
    /// when its caller gives it up. Of a request that is not pending there is neither.
    ///
    /// # Errors
    /// [`CallError::Cancelled`] when the request was given up; else as [`Lane::request_blocking`].
    pub fn request_under(
        &self,
        served: u64,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        blocks: Option<Blocks>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        let deadline = options.deadline.into_iter().chain(self.deadline_of(served)).min();
        let given_up = Cell::new(false);
        let asks = || {
            given_up.set(self.0.book.lock().is_given_up(served));
            given_up.get() || poll.is_some_and(|poll| poll())
        };
        let options = CallOptions { deadline, ..*options };
        match self.request_blocking(operation, inputs, &options, blocks, Some(&asks)) {
            Err(CallError::Interrupted) if given_up.get() => Err(CallError::Cancelled),
            result => result,
        }
    }
}
