//! The errors of this crate: one enum, fields and not strings.

use std::time::Duration;

use component::{Code, Diagnostic, Hint};
use ipc::{CallError, RemoteFailure};

use crate::extension::Ended;

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
    /// A call was lost on its way: a bug of Symphony.
    #[error("the call of `{call}` was dropped without an outcome")]
    Lost {
        /// The call.
        call: String,
    },
    /// A Pit member refused.
    #[error(transparent)]
    Pit(#[from] PitRefusal),
    /// An extension did not answer as it was asked.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// More calls wait than may.
    #[error("too many calls of `{what}` are waiting")]
    Overloaded {
        /// Who is called.
        what: &'static str,
    },
    /// The result is longer than one answer may be; it was not read.
    #[error(
        "the result of `{call}` has {bytes} bytes, which do not fit a frame; at most {limit} do"
    )]
    TooLarge {
        /// The call.
        call: String,
        /// How long it is.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The system gives no thread.
    #[error("no thread can be started")]
    Thread {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
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
            Self::InvalidValue { .. } | Self::TooLarge { .. } => Code::INVALID_VALUE,
            Self::Cancelled { .. } => Code::CANCELLED,
            Self::TimedOut { .. } => Code::CALL_TIMEOUT,
            Self::Stopped { .. } => Code::STOPPED,
            Self::Pit(refusal) => match refusal.source.downcast_ref::<pit::PitError>() {
                Some(error) => error.code(),
                None => Code::INTERNAL,
            },
            Self::Extension(error) => error.code(),
            Self::Overloaded { .. } => Code::OVERLOADED,
            Self::Lost { .. } | Self::Thread { .. } => Code::INTERNAL,
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
            Self::Extension(error) => error.hints(),
            Self::Pit(refusal) => match refusal.source.downcast_ref::<pit::PitError>() {
                Some(error) => error.hints(),
                None => Vec::new(),
            },
            Self::TooLarge { .. } => {
                vec!["what is that large is read by the root, or kept in pieces".to_owned()]
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
    /// A guest cannot be confined to what its manifest grants, and so does not run.
    #[error("the extension cannot be confined to its permissions")]
    Sandbox {
        /// The step that was refused.
        #[source]
        source: Box<crate::sandbox::SandboxError>,
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
                "give `SystemConfig(python=…)` an interpreter; a packaged program calls `symphony.freeze_support()`"
                    .to_owned(),
            ],
            Self::Lost { lines, .. } if !lines.is_empty() => {
                vec![format!("its last lines were:\n{}", lines.join("\n"))]
            }
            _ => Vec::new(),
        }
    }
}

/// What can go wrong with an extension, as its caller meets it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// No extension has that name.
    #[error("there is no extension `{name}`")]
    NotFound {
        /// The name as it was asked for.
        name: String,
        /// The nearest known one.
        meant: Option<String>,
    },
    /// It could not be brought up.
    #[error("extension `{name}` did not start: {how}{}", places(how))]
    StartFailed {
        /// The extension.
        name: String,
        /// How its start ended.
        how: Box<Ended>,
        /// The last lines of its standard error.
        lines: Vec<String>,
        /// The edit of its manifest, where the sandbox refused what it needs.
        refusal: Option<String>,
    },
    /// It ended by itself while it was in use.
    #[error("extension `{name}` crashed: {how}")]
    Crashed {
        /// The extension.
        name: String,
        /// How it ended.
        how: Box<Ended>,
        /// The last lines of its standard error.
        lines: Vec<String>,
        /// The edit of its manifest, where the sandbox refused what it needs.
        refusal: Option<String>,
    },
    /// It failed too often and is left alone.
    #[error(
        "extension `{name}` is quarantined: it failed {} within {}, last: {last}",
        times(*failures),
        component::Seconds::from(*window)
    )]
    Quarantined {
        /// The extension.
        name: String,
        /// How often it failed.
        failures: usize,
        /// Within which time.
        window: Duration,
        /// How it ended last.
        last: Box<Ended>,
        /// The last lines of its standard error.
        lines: Vec<String>,
        /// The edit of its manifest, where the sandbox refused what it needs.
        refusal: Option<String>,
    },
    /// It did not answer in time.
    #[error("`{name}.{operation}` did not answer within {}", component::Seconds::from(*after))]
    TimedOut {
        /// The extension.
        name: String,
        /// The operation.
        operation: String,
        /// How long was waited.
        after: Duration,
    },
    /// The operation raised.
    #[error("`{name}.{operation}` failed: {failure}")]
    Remote {
        /// The extension.
        name: String,
        /// The operation.
        operation: String,
        /// What it told.
        failure: Box<RemoteFailure>,
        /// The edit of its manifest, where the sandbox refused what it needs.
        refusal: Option<String>,
    },
    /// It has no such operation.
    #[error("extension `{name}` has no operation `{operation}`")]
    UnknownOperation {
        /// The extension.
        name: String,
        /// The operation.
        operation: String,
        /// The nearest known one.
        meant: Option<String>,
    },
    /// Its call could never be answered.
    #[error("extension `{name}` cannot call `{}`: {}", ring[0], endless(ring))]
    Cycle {
        /// The extension.
        name: String,
        /// The calls that wait for each other, the new one first.
        ring: Box<[String]>,
    },
    /// Its manifest does not grant the call.
    #[error("extension `{name}` may not call `{call}`")]
    NotGranted {
        /// The caller.
        name: String,
        /// What it wanted to call.
        call: String,
    },
    /// It was stopped, or the whole system is.
    #[error("extension `{name}` is stopped")]
    Stopped {
        /// The extension.
        name: String,
    },
    /// The lane refused: overloaded, cancelled, a value that cannot cross.
    #[error("`{name}.{operation}` was not called: {source}")]
    Call {
        /// The extension.
        name: String,
        /// The operation.
        operation: String,
        /// Why.
        #[source]
        source: Box<CallError>,
    },
}

impl ExtensionError {
    /// Whether it says something of the system that the extension runs in, as a shortage does, and nothing of the extension.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, Self::StartFailed { how, .. } | Self::Crashed { how, .. } if how.is_of_the_system())
    }
}

impl Hint for ExtensionError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::COMPONENT_NOT_FOUND,
            Self::StartFailed { how, .. } => match &**how {
                Ended::NeverReady(_) => Code::START_TIMEOUT,
                Ended::Untrusted(_) => Code::UNTRUSTED,
                Ended::Mismatch(_) => Code::PROTOCOL_MISMATCH,
                Ended::Violation(error) => error.code(),
                Ended::Library { code, .. } => *code,
                _ => Code::START_FAILED,
            },
            Self::Crashed { .. } => Code::EXTENSION_CRASHED,
            Self::Quarantined { .. } => Code::QUARANTINED,
            Self::TimedOut { .. } => Code::CALL_TIMEOUT,
            Self::Remote { failure, .. } => {
                Code::parse(&failure.code).unwrap_or(Code::REMOTE_ERROR)
            }
            Self::UnknownOperation { .. } => Code::UNKNOWN_OPERATION,
            Self::NotGranted { .. } => Code::NOT_GRANTED,
            Self::Cycle { .. } => Code::CALL_CYCLE,
            Self::Stopped { .. } => Code::STOPPED,
            Self::Call { source, .. } => source.code(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { meant: Some(meant), .. }
            | Self::UnknownOperation { meant: Some(meant), .. } => {
                vec![format!("did you mean `{meant}`?")]
            }
            Self::StartFailed { how, lines, refusal, .. } => {
                // Who raised has written to its stderr what it raised.
                let raised = matches!(**how, Ended::Raised(_));
                let mut hints = if raised { Vec::new() } else { last_lines(lines) };
                match &**how {
                    Ended::NeverReady(_) => hints
                        .push("raise `limits.start` in its manifest if it needs longer".to_owned()),
                    Ended::Refused(_) => hints.push(
                        "nothing is wrong with it: start it again later (where open files are short, `ulimit -n` is their limit)"
                            .to_owned(),
                    ),
                    Ended::Untrusted(why) => hints.push(why.hint()),
                    Ended::Library { hints: more, .. } => hints.extend(more.iter().cloned()),
                    _ => {}
                }
                hints.extend(refusal.clone());
                hints
            }
            Self::Crashed { lines, refusal, .. } => {
                last_lines(lines).into_iter().chain(refusal.clone()).collect()
            }
            Self::Remote { refusal, .. } => refusal.iter().cloned().collect(),
            Self::Quarantined { name, lines, refusal, .. } => {
                let mut hints = last_lines(lines);
                hints.extend(refusal.clone());
                hints.push(format!("mend it, then `kit.extension(\"{name}\").restart()`"));
                hints
            }
            Self::NotGranted { call, .. } => {
                vec![format!("add `calls = [\"{call}\"]` under `[extension.permissions]`")]
            }
            Self::Cycle { .. } => vec![
                "make one of these operations `async def` and await `call_async` in it, or hand in what is asked for"
                    .to_owned(),
            ],
            Self::Call { source, .. } => source.hints(),
            Self::TimedOut { .. } => vec![
                "give it longer (`options(timeout=…)`, a node's `timeout`), or have it ask `extension.cancelled()`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

/// Why a ring of calls would never be answered.
fn endless(ring: &[String]) -> String {
    let owner = |call: &String| call.split_once('.').map_or("", |(owner, _)| owner).to_owned();
    let waits = ring.iter().zip(ring.iter().skip(1));
    let waits: Vec<_> =
        waits.map(|(call, next)| format!("`{}` waits for `{next}`", owner(call))).collect();
    if waits.is_empty() {
        return "it would wait for itself".to_owned();
    }
    format!("{}, and none of them would ever go on", waits.join(", "))
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Where its own code raised: a line for each frame of a traceback as Python writes it, the innermost last.
fn places(how: &Ended) -> String {
    let Ended::Raised(failure) = how else { return String::new() };
    let place = |line: &str| {
        let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once('"')?;
        let mut parts = rest.splitn(3, ", ").skip(1);
        let line = parts.next()?.strip_prefix("line ")?;
        let within = parts.next().map(|within| format!("  {within}")).unwrap_or_default();
        Some(format!("\n  {file}:{line}{within}"))
    };
    failure.traceback.lines().filter_map(place).collect()
}

fn last_lines(lines: &[String]) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    vec![format!("its last lines were:\n  {}", lines.join("\n  "))]
}
