//! What can go wrong in the Pit, for all members: fields for programs, one lowercase line for people.
//!
//! Every member returns this one type, so that the door to Python and the Orchestra Kit map it once.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use component::{Code, Failure, Hint};

/// An error of a Pit member.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PitError {
    /// The operating system refused something.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried: `open the journal`, `append to`.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A state folder cannot be used as one.
    #[error("the state folder `{}` cannot be used: it is {found}", path.display())]
    NotAFolder {
        /// The path as it was given.
        path: PathBuf,
        /// What stands there: `a file`.
        found: &'static str,
    },
    /// A file of the state holds what this version cannot have written.
    #[error("`{}` is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A journal is not the file any more that its name leads to: the next start would not find what is written to it.
    #[error("the journal `{}` was {what} while it was in use; nothing more is acknowledged", path.display())]
    JournalLost {
        /// The name.
        path: PathBuf,
        /// What happened: `deleted`, `replaced`, `cut short`.
        what: &'static str,
    },
    /// A journal is not there or holds nothing, and another file says that it held something.
    #[error("the journal `{}` is {found}, but `{}` beside it holds what it acknowledged", path.display(), witness.display())]
    JournalMissing {
        /// The journal.
        path: PathBuf,
        /// How it was found: `missing`, `empty`.
        found: &'static str,
        /// What says so.
        witness: PathBuf,
    },
    /// A journal ends before what it is known to have held.
    #[error("the journal `{}` was cut at byte {length}: `{}` beside it says that it went to byte {held}", path.display(), witness.display())]
    JournalCut {
        /// The journal.
        path: PathBuf,
        /// Where it ends now.
        length: u64,
        /// Where it ended.
        held: u64,
        /// What says so.
        witness: PathBuf,
    },
    /// A file of the state was written by another format version.
    #[error("`{}` has format version {found}, this program reads {supported}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        found: u16,
        /// The version that this program reads.
        supported: u16,
    },
    /// The index database failed.
    #[error("the index `{}` failed", path.display())]
    Index {
        /// Its file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Box<redb::Error>,
    },
    /// There is no such artifact, run, node, pool, resource, rule or operation.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// What was looked for: `artifact`, `run`, `pool`.
        kind: &'static str,
        /// Its id or name.
        name: String,
    },
    /// There is one of that name already.
    #[error("the {kind} `{name}` exists already")]
    Duplicate {
        /// What was to be added.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// An argument that is not allowed there.
    #[error("`{value}` is not a lawful {what}: it must be {expected}")]
    Invalid {
        /// What the value was for: `artifact id`, `capacity`.
        what: &'static str,
        /// The value as it was given, shortened.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A move that the state of the thing does not allow.
    #[error("cannot {doing} {kind} `{name}`: it is {state}")]
    WrongState {
        /// What was tried.
        doing: &'static str,
        /// On what kind of thing.
        kind: &'static str,
        /// Which one.
        name: String,
        /// The state it is in.
        state: String,
    },
    /// A graph node needs what is no node of the graph; nothing was submitted.
    #[error("node `{node}` needs `{need}`, which is not a node of the graph")]
    UnknownNeed {
        /// The node.
        node: String,
        /// What it needs.
        need: String,
        /// The node whose name is nearest.
        similar: Option<String>,
    },
    /// Graph nodes need each other in a ring; nothing was submitted.
    #[error("the graph has a cycle: {}", component::ring_text(ring))]
    Cycle {
        /// The names on the ring, each once.
        ring: Vec<String>,
    },
    /// A wait was not over by its deadline.
    #[error("{what} `{name}` was not there after {waited:?}")]
    TimedOut {
        /// What was waited for: `a worker of pool`.
        what: &'static str,
        /// Its name.
        name: String,
        /// How long.
        waited: Duration,
    },
    /// A wait was given up by its caller.
    #[error("the wait for {what} `{name}` was interrupted")]
    Interrupted {
        /// What was waited for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A limit that was set in advance would be exceeded.
    #[error("{what} `{name}` is full: {wanted} wanted, {limit} allowed")]
    OverLimit {
        /// What is limited.
        what: &'static str,
        /// Which one.
        name: String,
        /// What would be needed.
        wanted: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A pool's factory failed.
    #[error("the factory of pool `{pool}` failed")]
    Factory {
        /// The pool.
        pool: String,
        /// What the factory said.
        #[source]
        failure: Box<Failure>,
    },
    /// A pool cannot ask whether a worker is healthy; the worker was dropped.
    #[error("the check of pool `{pool}` failed")]
    PoolCheck {
        /// The pool.
        pool: String,
        /// What the check said.
        #[source]
        failure: Box<Failure>,
    },
    /// The member was closed.
    #[error("`{member}` is stopped")]
    Stopped {
        /// The member's component name.
        member: &'static str,
    },
    /// A Pit library was built for another interface.
    #[error("the library `{}` does not fit: {reason}", path.display())]
    Abi {
        /// The library's file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A Pit library cannot be loaded, or an operation of it failed.
    #[error("the library `{}` failed: {reason}", path.display())]
    Library {
        /// The library's file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The last starts of this very file crashed the process.
    #[error(
        "the library `{}` is quarantined: its last {crashes} starts crashed the process, the last by `{last}`",
        path.display()
    )]
    LibraryQuarantined {
        /// The library's file.
        path: PathBuf,
        /// The mark that the starts left behind.
        mark: PathBuf,
        /// How many starts in a row crashed.
        crashes: usize,
        /// The signal of the last one, or `exit`.
        last: String,
    },
    /// No memory is left for what was asked for.
    #[error(transparent)]
    NoMemory(#[from] component::memory::NoMemory),
    /// Something inside the Pit broke; a bug.
    #[error("internal error in `{member}`: {reason}")]
    Internal {
        /// The member.
        member: &'static str,
        /// What was found.
        reason: String,
    },
}

/// What every fallible call of the Pit returns.
pub type PitResult<T> = Result<T, PitError>;

impl PitError {
    /// An [`PitError::Io`], for `map_err`.
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

impl Hint for PitError {
    fn code(&self) -> Code {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::OutOfMemory => {
                Code::OUT_OF_MEMORY
            }
            Self::NoMemory(error) => error.code(),
            Self::Io { .. }
            | Self::NotAFolder { .. }
            | Self::Corrupt { .. }
            | Self::JournalLost { .. }
            | Self::JournalMissing { .. }
            | Self::JournalCut { .. }
            | Self::Format { .. }
            | Self::Index { .. } => Code::STATE_INVALID,
            Self::NotFound { .. } => Code::NOT_FOUND,
            Self::Duplicate { .. }
            | Self::Invalid { .. }
            | Self::WrongState { .. }
            | Self::UnknownNeed { .. }
            | Self::Cycle { .. } => Code::INVALID_VALUE,
            Self::TimedOut { .. } => Code::CALL_TIMEOUT,
            Self::Interrupted { .. } => Code::INTERRUPTED,
            Self::OverLimit { .. } => Code::OVERLOADED,
            Self::Factory { failure, .. } | Self::PoolCheck { failure, .. } => failure.code,
            Self::Stopped { .. } => Code::STOPPED,
            Self::Abi { .. } => Code::ABI_MISMATCH,
            Self::Library { .. } => Code::PIT_LIBRARY,
            Self::LibraryQuarantined { .. } => Code::QUARANTINED,
            Self::Internal { .. } => Code::INTERNAL,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { source, path, .. } => refused(source, path),
            Self::NotAFolder { .. } => {
                vec![
                    "set `[system] state` to a folder, or to a path that does not exist".to_owned(),
                ]
            }
            Self::Corrupt { path, .. } => vec![format!(
                "move `{}` away to start without it, or restore it from a backup",
                path.display()
            )],
            Self::JournalLost { path, .. } => vec![
                "shut the system down; nobody else may touch its state folder while it runs"
                    .to_owned(),
                format!(
                    "put `{}` back where and as it was, or restore it from a backup",
                    path.display()
                ),
            ],
            Self::JournalMissing { path, .. } => vec![
                format!("put `{}` back, or restore it from a backup", path.display()),
                format!(
                    "or move `{}` away to start with nothing",
                    path.parent().unwrap_or(path).display()
                ),
            ],
            Self::JournalCut { path, witness, .. } => vec![
                format!("restore `{}` from a backup", path.display()),
                format!("or remove `{}` to go on without what is lost", witness.display()),
            ],
            Self::Format { .. } => {
                vec!["use the Symphony version that wrote it, or another state folder".to_owned()]
            }
            Self::Index { path, source } => {
                let refused = match &**source {
                    redb::Error::Io(source) => refused(source, path),
                    _ => Vec::new(),
                };
                if refused.is_empty() {
                    vec![format!("remove `{}`: it is rebuilt at the next start", path.display())]
                } else {
                    refused
                }
            }
            Self::LibraryQuarantined { mark, .. } => vec![
                "install another build of it".to_owned(),
                format!("or remove `{}` to try this one again", mark.display()),
            ],
            Self::UnknownNeed { similar: Some(similar), .. } => {
                vec![format!("did you mean `{similar}`?")]
            }
            Self::Abi { .. } => {
                vec![
                    "build it with the `symphony_pit.h` of this version (`symphony.include()`)"
                        .to_owned(),
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// What to do where the system refuses to write at `path`.
fn refused(source: &io::Error, path: &Path) -> Vec<String> {
    let path = path.display();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => vec![format!(
            "make `{path}` writable for this user, or set `[system] state` to a folder that is"
        )],
        io::ErrorKind::StorageFull => {
            vec![format!("free space on the disk that holds `{path}`")]
        }
        io::ErrorKind::QuotaExceeded => {
            vec![format!(
                "free space of this user on the disk that holds `{path}`, or raise its quota"
            )]
        }
        io::ErrorKind::FileTooLarge => {
            vec![format!(
                "raise this process's limit on file sizes (`ulimit -f`), which `{path}` has met"
            )]
        }
        _ => Vec::new(),
    }
}
