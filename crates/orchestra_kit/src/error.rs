//! The errors of this crate: one enum, fields and not strings.

use component::{Code, Diagnostic, Hint};

/// What can go wrong in the Orchestra Kit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// Manifests or a Melody have faults; each is a diagnostic of its own.
    #[error("{}", first_message(diagnostics))]
    Invalid {
        /// The word of the whole: `manifest-invalid` or `melody-invalid`.
        code: Code,
        /// Every fault, sorted by place.
        diagnostics: Vec<Diagnostic>,
    },
    /// A call names an extension, a member or an operation that does not exist.
    #[error("nobody answers `{call}`")]
    UnknownOperation {
        /// The call as it was written.
        call: String,
    },
    /// A value that is not allowed where it stands.
    #[error("{what}")]
    InvalidValue {
        /// Which value, and why not.
        what: String,
    },
    /// It was cancelled before it ended.
    #[error("`{what}` was cancelled")]
    Cancelled {
        /// The run or call.
        what: String,
    },
    /// It did not end in time.
    #[error("`{what}` did not end in {}", component::Seconds(*seconds))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: f64,
    },
    /// It was asked of something that was shut down.
    #[error("{what} was stopped")]
    Stopped {
        /// What was stopped.
        what: &'static str,
    },
    /// A Pit member refused.
    #[error(transparent)]
    Pit(#[from] PitRefusal),
}

/// A Pit member's refusal, as the engine meets it.
#[derive(Debug, thiserror::Error)]
#[error("`{member}` refused to {step}")]
pub struct PitRefusal {
    /// The member.
    pub member: &'static str,
    /// What it was asked.
    pub step: &'static str,
    /// Its own error.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

fn first_message(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [] => "invalid".to_owned(),
        [one] => one.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}

impl Hint for KitError {
    fn code(&self) -> Code {
        match self {
            Self::Invalid { code, .. } => *code,
            Self::UnknownOperation { .. } => Code::UNKNOWN_OPERATION,
            Self::InvalidValue { .. } => Code::INVALID_VALUE,
            Self::Cancelled { .. } => Code::CANCELLED,
            Self::TimedOut { .. } => Code::CALL_TIMEOUT,
            Self::Stopped { .. } => Code::STOPPED,
            Self::Pit(_) => Code::INTERNAL,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Invalid { diagnostics, .. } => {
                diagnostics.iter().filter_map(|fault| fault.hint.clone()).collect()
            }
            Self::UnknownOperation { .. } => {
                vec!["`symphony check` lists every call that nobody answers".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// What can go wrong between the root and its supervisor, at either end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The supervisor's program could not be started.
    #[error("cannot start the supervisor with `{}`", program.display())]
    NotStarted {
        /// The interpreter or program.
        program: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended, or did not say that it is up in time.
    #[error("the supervisor {how}")]
    Lost {
        /// How, as `ended with exit code 1`.
        how: String,
        /// The last lines of its standard error.
        lines: Vec<String>,
    },
    /// The kernel refused a step.
    #[error("the supervisor's link cannot {doing}")]
    Link {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        #[source]
        source: rustix::io::Errno,
    },
    /// The open descriptors cannot be listed.
    #[error("the open descriptors cannot be listed")]
    Descriptors {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A guest's folder cannot be entered.
    #[error("cannot enter `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A message cannot be written.
    #[error("a supervisor's message cannot be written: {reason}")]
    Encode {
        /// What the encoder said; a path that is not UTF-8, for one.
        reason: String,
    },
    /// A message is no message.
    #[error("a supervisor's message cannot be read: {reason}")]
    Decode {
        /// What is wrong with it.
        reason: String,
    },
    /// A message would not fit into one packet.
    #[error("a supervisor's message of {length} bytes is longer than {longest}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The most.
        longest: usize,
    },
    /// The two ends come from different installations.
    #[error("the supervisor speaks version {ours}, the root version {theirs}")]
    Version {
        /// The supervisor's.
        ours: u16,
        /// The root's.
        theirs: u16,
    },
    /// The supervisor died while it was making a guest.
    #[error("the supervisor is gone")]
    Orphaned,
}

impl Hint for SupervisorError {
    fn code(&self) -> Code {
        Code::INTERNAL
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotStarted { .. } => vec![
                "set `python` under `[system]` to an interpreter that can be executed".to_owned(),
            ],
            Self::Lost { lines, .. } if !lines.is_empty() => {
                vec![format!("its last lines were:\n{}", lines.join("\n"))]
            }
            _ => Vec::new(),
        }
    }
}
