//! Why a server cannot be spoken with at all.

use component::{Code, Hint};

use crate::wire::NoAnswer;

/// What ends a guest before it is ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// What the supervisor says of the server cannot be read.
    #[error("the settings of the server cannot be read: {reason}")]
    Settings {
        /// What is wrong with them.
        reason: String,
    },
    /// The server did not come up.
    #[error("the server did not start: {why}")]
    Start {
        /// Why.
        why: String,
    },
    /// The kernel refuses something.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was to be done.
        doing: &'static str,
        /// What the kernel says.
        source: std::io::Error,
    },
}

impl From<NoAnswer> for BridgeError {
    fn from(why: NoAnswer) -> Self {
        Self::Start { why: why.to_string() }
    }
}

impl Hint for BridgeError {
    fn code(&self) -> Code {
        Code::START_FAILED
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Start { .. } => vec![
                "run its `command` by hand: what it prints there, it prints into the extension's log here".to_owned(),
            ],
            Self::Settings { .. } | Self::System { .. } => Vec::new(),
        }
    }
}
