//! One call of the host, until it is answered.
//!
//! Made by [`crate::guest`], ended by the protocol on whichever thread has the answer. Invariant: [`Call::finish`] takes the
//! call, so that it has one end.

use component::Code;
use ipc::{CallError, Lane, Payload, RemoteFailure, Resume, Value};

use crate::wire::{NoAnswer, ServerFailure, json};

/// A call that somebody waits for.
pub(crate) struct Call {
    pub(crate) lane: Lane,
    pub(crate) correlation: u64,
    pub(crate) operation: String,
    pub(crate) inputs: Value,
    /// Whether its caller takes items.
    pub(crate) stream: bool,
}

/// Why a call has no result.
pub(crate) type Failed = RemoteFailure;

impl Call {
    /// Gives the result, or says why there is none. Never waits.
    pub(crate) fn finish(self, end: Result<Value, Failed>) {
        let Self { lane, correlation, stream, .. } = self;
        let end = end.and_then(|value| {
            Payload::from_value(&value).map_err(|error| RemoteFailure::from_hint(&error))
        });
        match end {
            Ok(result) if stream => last_item(&lane, correlation, result),
            // A lane that closed has nobody to tell, and what is too long was told.
            end => drop(lane.reply(correlation, end)),
        }
    }

    /// Says that there is no result.
    pub(crate) fn fail(self, failure: Failed) {
        self.finish(Err(failure));
    }
}

/// The result of a call whose caller takes items, behind those that it got: it waits for room, where the others are not read.
fn last_item(lane: &Lane, correlation: u64, result: Payload) {
    if let Ok(true) = lane.has_room(correlation, Resume::Hook(Box::new(|| ()))) {
        // Who gave it up is told of the end alone.
        let _ = lane.item(correlation, &result, None);
        let _ = lane.end(correlation);
        return;
    }
    let name = "symphony-item".to_owned();
    let waiting = std::thread::Builder::new().name(name).stack_size(128 * 1024);
    let other = lane.clone();
    let begun = waiting.spawn(move || {
        let _ = other.item(correlation, &result, None);
        let _ = other.end(correlation);
    });
    if begun.is_err() {
        let failure = RemoteFailure::new(Code::REMOTE_ERROR, "no thread waits for its reader");
        let _ = lane.reply(correlation, Err(failure));
    }
}

/// An item of a call whose caller takes them; dropped where it has no room for it.
pub(crate) fn progress(lane: &Lane, correlation: u64, item: &Value) {
    let Ok(item) = Payload::from_value(item) else { return };
    if let Ok(true) = lane.has_room(correlation, Resume::Hook(Box::new(|| ()))) {
        let sent: Result<(), CallError> = lane.item(correlation, &item, None);
        // It was given up meanwhile.
        let _ = sent;
    }
}

/// A failure of this side.
pub(crate) fn refused(code: Code, message: impl Into<String>) -> Failed {
    RemoteFailure::new(code, message)
}

/// What the caller gets where the server has no answer.
pub(crate) fn unanswered(why: NoAnswer) -> Failed {
    match why {
        NoAnswer::Failed(failure) => failed(failure),
        NoAnswer::Unsayable { .. } => refused(Code::INVALID_VALUE, why.to_string()),
        why => refused(Code::REMOTE_ERROR, why.to_string()),
    }
}

/// The server's own failure, with its code and its data.
fn failed(failure: ServerFailure) -> Failed {
    let mut causes = vec![format!("code {}", failure.code)];
    causes.extend(failure.data.map(|data| format!("data {}", json::text(&data))));
    let type_name = "ServerError".to_owned();
    RemoteFailure { type_name, causes, ..RemoteFailure::new(Code::REMOTE_ERROR, failure.message) }
}
