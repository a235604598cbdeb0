//! The lock file: which folders a user trusts, with what each held then.
//!
//! Invariant: it is replaced whole, by one writer at a time; what cannot be read is an error and never "nothing is trusted"
//! to a writer, who would lose it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::TrustError;
use super::pins::{Pins, pins_of};

/// The form of the file.
const SCHEMA: u32 = 1;
/// A change takes milliseconds: who waits longer for a turn is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often it is looked whether the turn has come.
const LOOK: Duration = Duration::from_millis(20);

/// What a user trusts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TrustLock {
    schema: u32,
    folders: BTreeMap<PathBuf, Pins>,
}

impl Default for TrustLock {
    fn default() -> Self {
        Self { schema: SCHEMA, folders: BTreeMap::new() }
    }
}

impl TrustLock {
    /// Reads the file; one that is not there holds nothing.
    ///
    /// # Errors
    /// It cannot be read, or is of another form.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(TrustError::Read { path: path.to_owned(), source }),
        };
        let invalid = |why: String| TrustError::Invalid { path: path.to_owned(), why };
        let lock: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if lock.schema != SCHEMA {
            return Err(invalid(format!("its schema is {}, and {SCHEMA} is known", lock.schema)));
        }
        Ok(lock)
    }

    /// What that folder held when it was trusted.
    pub fn pins(&self, folder: &Path) -> Option<&Pins> {
        self.folders.get(folder)
    }

    /// The folders that are trusted.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.keys().map(PathBuf::as_path)
    }

    /// Pins what a folder holds now; how many files that are.
    ///
    /// # Errors
    /// The folder cannot be pinned, or the file not be written.
    pub fn trust(path: &Path, folder: &Path) -> Result<usize, TrustError> {
        let read = |source| TrustError::Read { path: folder.to_owned(), source };
        let folder = folder.canonicalize().map_err(read)?;
        if path.starts_with(&folder) {
            return Err(TrustError::Inside { path: path.to_owned() });
        }
        let pins = pins_of(&folder)?;
        let count = pins.len();
        Self::change(path, |lock| lock.folders.insert(folder, pins))?;
        Ok(count)
    }

    /// Takes the trust back; whether there was any.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn distrust(path: &Path, folder: &Path) -> Result<bool, TrustError> {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Self::change(path, |lock| lock.folders.remove(&folder).is_some())
    }

    fn change<T>(path: &Path, edit: impl FnOnce(&mut Self) -> T) -> Result<T, TrustError> {
        let failed = |source| TrustError::Write { path: path.to_owned(), source };
        let parent = path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let _turn = turn(path, parent, PATIENCE)?;
        let mut lock = Self::read(path)?;
        let given = edit(&mut lock);
        let temporary = path.with_extension("new");
        let mut text = serde_json::to_vec_pretty(&lock).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)?;
        Ok(given)
    }
}

/// Waits for the turn to change the lock file, which ends with what is given.
pub(super) fn turn(path: &Path, parent: &Path, patience: Duration) -> Result<File, TrustError> {
    let failed = |source| TrustError::Write { path: path.to_owned(), source };
    let turn = File::open(parent).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match flock(&turn, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(turn),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        if begun.elapsed() >= patience {
            return Err(TrustError::Busy { path: path.to_owned(), waited: patience });
        }
        std::thread::sleep(LOOK);
    }
}
