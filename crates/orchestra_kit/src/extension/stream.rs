//! A streamed result of an extension, its errors told in terms of the extension.
//!
//! Made by [`ExtensionHandle::stream`], taken from by Python's iterators. Invariant: dropped before its end, it cancels
//! the call.

use ipc::{CallError, CallOptions, Payload};

use super::ExtensionHandle;
use super::call::told;
use super::life::Current;
use super::trial::Begun;
use crate::error::ExtensionError;
use crate::host::Stream;

/// The values of one call, as they come.
pub struct Values {
    handle: ExtensionHandle,
    current: Current,
    operation: String,
    stream: Box<dyn Stream>,
    /// The call as a trial counts it.
    begun: Option<Begun>,
}

impl ExtensionHandle {
    /// Calls an operation whose values come one by one. Starts the extension where it does not run. An operation that
    /// gives a single value is a stream of one.
    ///
    /// # Errors
    /// [`ExtensionError`] when it was not sent.
    pub fn stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Values, ExtensionError> {
        if let Some((chosen, begun)) = self.chosen(inputs) {
            let mut values = chosen.stream(operation, inputs, options, poll)?;
            values.begun = Some(begun);
            return Ok(values);
        }
        let current = self.ready(operation, options.deadline, poll)?;
        match current.guest.stream(operation, inputs, options) {
            Ok(stream) => {
                let (handle, operation) = (self.clone(), operation.to_owned());
                Ok(Values { handle, current, operation, stream, begun: None })
            }
            Err(error) => Err(self.refusal(&current, operation, error)),
        }
    }

    /// Why a call of that run has no result.
    pub(super) fn refusal(
        &self,
        current: &Current,
        operation: &str,
        error: CallError,
    ) -> ExtensionError {
        match error {
            CallError::Closed { reason, .. } => self.obituary(current.run, &reason),
            error => told(&self.extension, Some(current), operation, error),
        }
    }
}

impl Values {
    /// The next value; `None` at the end. `poll` is asked at least every 50 ms while it waits, and true gives the wait
    /// up; the stream goes on then.
    ///
    /// # Errors
    /// [`ExtensionError`]; the stream is over then.
    pub fn next_value(
        &mut self,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Option<Payload>, ExtensionError> {
        let Self { handle, current, operation, stream, begun } = self;
        let next = stream.next_item(poll);
        if let (Ok(None), Some(begun)) = (&next, begun) {
            begun.went_well();
        }
        next.map_err(|error| handle.refusal(current, operation, error))
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Values").field("operation", &self.operation).finish_non_exhaustive()
    }
}
