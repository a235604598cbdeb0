//! What a lane reports of a call, in terms of the extension.

use component::did_you_mean;
use ipc::{CallError, Closed, RemoteFailure};

use super::Extension;
use super::life::Current;
use crate::error::ExtensionError;

/// A lane's refusal, in terms of the extension.
pub(super) fn told(
    extension: &Extension,
    current: Option<&Current>,
    operation: &str,
    error: CallError,
) -> ExtensionError {
    let (name, operation) = (extension.name().to_owned(), operation.to_owned());
    let unknown = |name, operation: String| {
        let known = current.map(|current| current.guest.operations()).unwrap_or_default();
        let meant = did_you_mean(&operation, known.iter().map(|known| known.name.as_str()));
        let meant = meant.map(str::to_owned);
        ExtensionError::UnknownOperation { name, operation, meant }
    };
    match error {
        CallError::TimedOut { after, .. } => ExtensionError::TimedOut { name, operation, after },
        CallError::Remote(failure) if is_unknown(&failure) => unknown(name, operation),
        CallError::UnknownOperation { .. } => unknown(name, operation),
        CallError::Remote(failure) => {
            let refusal = current.and_then(|current| current.guest.refusal_of(&failure));
            ExtensionError::Remote { name, operation, failure: Box::new(failure), refusal }
        }
        CallError::Closed { reason, .. } => unexplained(extension, &reason),
        error => ExtensionError::Call { name, operation, source: Box::new(error) },
    }
}

fn is_unknown(failure: &RemoteFailure) -> bool {
    failure.code == component::Code::UNKNOWN_OPERATION.as_str() && failure.traceback.is_empty()
}

/// The lane is closed and nothing more is known.
pub(super) fn unexplained(extension: &Extension, reason: &Closed) -> ExtensionError {
    let name = extension.name().to_owned();
    let how = match reason {
        Closed::Eof => super::Ended::ClosedLane,
        Closed::Violation(error) => super::Ended::Violation(error.clone()),
        Closed::Local => return ExtensionError::Stopped { name },
    };
    ExtensionError::Crashed { name, how: Box::new(how), lines: Vec::new(), refusal: None }
}
