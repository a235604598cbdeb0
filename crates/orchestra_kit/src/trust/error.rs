//! What can go wrong with pins and their lock file.

use std::path::PathBuf;
use std::time::Duration;

use component::{Code, Hint};

/// What can go wrong with pins and their lock file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file or folder cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What cannot be pinned.
    #[error("`{}` {why}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The lock file is none.
    #[error("the lock file `{}` cannot be understood: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The lock file cannot be written.
    #[error("the lock file `{}` cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else changes the lock file, and goes on doing so.
    #[error("the lock file `{}` has been held by another process for {} s", path.display(), waited.as_secs())]
    Busy {
        /// The file.
        path: PathBuf,
        /// So long it was waited for.
        waited: Duration,
    },
    /// There is no place for a lock file.
    #[error("there is no data folder for a lock file")]
    NoPlace,
    /// The lock file would lie in what it speaks of.
    #[error("the lock file `{}` would lie in the folder that it speaks of", path.display())]
    Inside {
        /// The file.
        path: PathBuf,
    },
}

impl Hint for TrustError {
    fn code(&self) -> Code {
        Code::INVALID_VALUE
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoPlace => vec!["set `HOME` or `XDG_DATA_HOME`".to_owned()],
            Self::Inside { .. } => {
                vec!["let `XDG_DATA_HOME` name a folder outside of it".to_owned()]
            }
            Self::Invalid { path, .. } => {
                vec![format!("delete `{}`, and trust anew what you know", path.display())]
            }
            Self::Busy { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                vec![format!("`fuser -v {}` names it: end it, and try again", folder.display())]
            }
            _ => Vec::new(),
        }
    }
}
