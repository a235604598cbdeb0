//! The ways in which one run of an extension ends, as its host reports them.

use std::time::Duration;

use component::{Code, Seconds};
use ipc::{ProtocolError, RemoteFailure};

use crate::supervisor::Status;
use crate::trust::Distrust;

/// How one run ended. Whether that is a failed start or a crash depends on whether it was ready before.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// Its process exited or was ended by a signal.
    Exited(Status),
    /// Its process never was; the reason is a fragment.
    NotStarted(String),
    /// The system that it runs in could not start it: no supervisor, no descriptor, no process. No fault of its own; the
    /// reason is a fragment.
    Refused(String),
    /// It comes with a project, and nobody trusts it as it is.
    Untrusted(Distrust),
    /// Its own code raised while it came up.
    Raised(Box<RemoteFailure>),
    /// It speaks no protocol version of this core, or introduced itself as somebody else.
    Mismatch(String),
    /// It did not say that it is ready.
    NeverReady(Duration),
    /// It answered no ping for so long, and was killed.
    Unresponsive(Duration),
    /// It sent what is no lawful frame, and was killed.
    Violation(ProtocolError),
    /// It closed its lane and lived on, and was killed.
    ClosedLane,
    /// It said that it leaves, and lived on for so long, and was killed.
    NeverLeft(Duration),
    /// The supervisor died, and every extension with it.
    SupervisorLost,
    /// Its library failed, or does not fit.
    Library {
        /// The word of the fault.
        code: Code,
        /// Why, a fragment.
        reason: String,
        /// What to do.
        hints: Vec<String>,
    },
}

impl Ended {
    /// Whether it says something of the system that the extension runs in, and nothing of the extension.
    pub(crate) const fn is_of_the_system(&self) -> bool {
        matches!(self, Self::SupervisorLost | Self::Refused(_))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(out, "{status}"),
            Self::NotStarted(reason)
            | Self::Refused(reason)
            | Self::Mismatch(reason)
            | Self::Library { reason, .. } => out.write_str(reason),
            Self::Untrusted(why) => write!(out, "{why}"),
            Self::Raised(failure) if failure.type_name.is_empty() => {
                out.write_str(&failure.message)
            }
            Self::Raised(failure) => write!(out, "{}: {}", failure.type_name, failure.message),
            Self::NeverReady(limit) => {
                write!(out, "it did not say that it is ready within {}", Seconds::from(*limit))
            }
            Self::Unresponsive(silent) => {
                write!(out, "it did not answer for {} and was killed", Seconds::from(*silent))
            }
            Self::Violation(error) => write!(out, "it broke the protocol: {error}"),
            Self::ClosedLane => out.write_str("it closed its lane"),
            Self::NeverLeft(limit) => write!(
                out,
                "it left by itself, did not come to its end within {}, and was killed",
                Seconds::from(*limit)
            ),
            Self::SupervisorLost => out.write_str("the supervisor died"),
        }
    }
}
