//! A file's hold on its name, for as long as it is written.
//!
//! Called by the journal at each batch. What is written to a file that was deleted or replaced is not there at the next
//! start, so it must not be acknowledged. Invariant: a name that was lost stays lost, also when a file has it again.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{PitError, PitResult};

/// So long a name that was looked up is trusted, while its file has one. Less than it takes anybody to move the file, or a
/// folder above it, and to write again; more than a record takes where many follow each other.
const TRUSTED: Duration = Duration::from_micros(50);

/// The device and inode that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// A name, and what happened to it.
#[derive(Debug)]
pub(crate) struct KeptName {
    path: PathBuf,
    lost: OnceLock<&'static str>,
    looked_up: Mutex<Instant>,
}

impl Identity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

impl KeptName {
    /// The name of a file that was just opened; an absolute path, as the working directory may change.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, lost: OnceLock::new(), looked_up: Mutex::new(Instant::now()) }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Refuses once the name was found lost; looks at nothing.
    pub(crate) fn check(&self) -> PitResult<()> {
        self.lost.get().map_or(Ok(()), |what| Err(self.error(what)))
    }

    /// Looks whether the name still leads to the file; also before the name is given to another one.
    pub(crate) fn check_leads_to(&self, identity: Identity) -> PitResult<()> {
        self.found(identity).map(drop)
    }

    /// Looks whether the name leads to the file, and that ends where its writer left it. Before a write, which would hide
    /// that it was cut.
    ///
    /// One system call, as each record pays for it. To ask the file takes a third of a look-up of its name, and tells as
    /// well of one that was deleted or replaced, as it has no name then; one that was moved away still has one.
    pub(crate) fn check_file(&self, file: &File, identity: Identity, end: u64) -> PitResult<()> {
        let length =
            if self.is_due() { self.found(identity)? } else { self.named(file, identity)? };
        if length < end {
            return Err(self.lose("cut short"));
        }
        if length > end {
            return Err(self.lose("written to by somebody else"));
        }
        Ok(())
    }

    /// Whether the name was not looked up for a while; from now on it was.
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut looked_up = self.looked_up.lock();
        let due = now.saturating_duration_since(*looked_up) >= TRUSTED;
        if due {
            *looked_up = now;
        }
        due
    }

    /// The length of the file, if it has a name; which one is not asked.
    fn named(&self, file: &File, identity: Identity) -> PitResult<u64> {
        self.check()?;
        match rustix::fs::fstat(file) {
            Ok(found) if found.st_nlink > 0 => Ok(u64::try_from(found.st_size).unwrap_or_default()),
            Ok(_) => self.found(identity),
            Err(error) => Err(PitError::io("look at", &self.path)(error.into())),
        }
    }

    /// The length of the file, if the name still leads to it.
    fn found(&self, identity: Identity) -> PitResult<u64> {
        self.check()?;
        // Not by `fs::metadata`, which asks for more, and takes longer.
        let what = match rustix::fs::stat(&self.path) {
            Ok(found) if Identity(found.st_dev, found.st_ino) == identity => {
                return Ok(u64::try_from(found.st_size).unwrap_or_default());
            }
            Ok(_) => "replaced",
            Err(error) if is_absence(&error.into()) => "deleted",
            Err(error) => return Err(PitError::io("look for", &self.path)(error.into())),
        };
        Err(self.lose(what))
    }

    fn lose(&self, what: &'static str) -> PitError {
        let error = self.error(self.lost.get_or_init(|| what));
        tracing::error!(%error, "a journal was lost while it was in use");
        error
    }

    fn error(&self, what: &'static str) -> PitError {
        PitError::JournalLost { path: self.path.clone(), what }
    }
}

/// Whether a name leads nowhere: it, or a folder above it, is gone.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
