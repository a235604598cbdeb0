//! Why a guest, or one operation of it, failed.

use component::{Code, Hint};
use ipc::{CallError, IpcError, LANE_VARIABLE, RemoteFailure, ValueError};

/// An error of a guest. In an operation a text becomes one with `?`, and so do the errors of its own calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The program was not started by Symphony.
    #[error("there is no lane to a host: `{LANE_VARIABLE}` is not set")]
    NotStarted,
    /// The environment names a lane that cannot be one.
    #[error("`{LANE_VARIABLE}` is `{value}`, which is not the number of a descriptor")]
    Variable {
        /// What the variable holds.
        value: String,
    },
    /// Two operations have one name.
    #[error("operation `{name}` is defined twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] IpcError),
    /// A call to the host failed, or the lane did.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A value that cannot be sent or read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// An operation failed for a reason of its own.
    #[error("{message}")]
    Failed {
        /// The stable word of the failure.
        code: Code,
        /// What failed.
        message: String,
        /// Why, outermost cause first.
        causes: Vec<String>,
    },
}

impl GuestError {
    /// A failure of an operation's own.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { code: Code::REMOTE_ERROR, message: message.into(), causes: Vec::new() }
    }

    /// A failure made from any error and the chain of its sources.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self::Failed { code: Code::REMOTE_ERROR, message: error.to_string(), causes }
    }

    /// What the caller of the operation gets.
    pub(crate) fn to_failure(&self) -> RemoteFailure {
        match self {
            Self::Call(CallError::Remote(failure)) => failure.clone(),
            Self::Failed { code, message, causes } => {
                let causes = causes.clone();
                RemoteFailure { causes, ..RemoteFailure::new(*code, message.clone()) }
            }
            error => RemoteFailure::from_hint(error),
        }
    }
}

impl From<&str> for GuestError {
    fn from(message: &str) -> Self {
        Self::failed(message)
    }
}

impl From<String> for GuestError {
    fn from(message: String) -> Self {
        Self::failed(message)
    }
}

impl From<std::io::Error> for GuestError {
    fn from(error: std::io::Error) -> Self {
        Self::from_error(&error)
    }
}

impl Hint for GuestError {
    fn code(&self) -> Code {
        match self {
            Self::NotStarted | Self::Variable { .. } => Code::START_FAILED,
            Self::Duplicate { .. } => Code::DUPLICATE_COMPONENT,
            Self::System(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Value(error) => error.code(),
            Self::Failed { code, .. } => *code,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotStarted | Self::Variable { .. } => vec![
                "this program is an extension: Symphony starts it, as `command` in its `Symphony.toml` says".to_owned(),
            ],
            Self::System(error) => error.hints(),
            Self::Call(error) => error.hints(),
            Self::Value(error) => error.hints(),
            Self::Duplicate { .. } | Self::Failed { .. } => Vec::new(),
        }
    }
}
