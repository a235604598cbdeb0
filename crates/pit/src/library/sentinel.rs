//! The mark that a library is being started. Found at the next start, that library took the process down: the file with
//! that hash is quarantined, and a mended file is free.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::{PitError, PitResult};

/// Marks of this very process, with how many starts stand behind each: they are no sign of a crash.
static OWN: Mutex<Option<HashMap<PathBuf, u32>>> = Mutex::new(None);

/// A mark on disk, from before the first instruction of a library until its `init` has returned.
#[derive(Debug)]
pub(super) struct Sentinel(PathBuf);

impl Sentinel {
    /// Sets the mark, or refuses a library whose mark an earlier process left behind.
    pub(super) fn set(folder: &Path, library: &Path, sha256: &str) -> PitResult<Self> {
        fs::create_dir_all(folder).map_err(PitError::io("create the folder", folder))?;
        let mark = folder.join(format!("{sha256}.starting"));
        let mut own = OWN.lock();
        let own = own.get_or_insert_default();
        if let Some(starts) = own.get_mut(&mark) {
            *starts += 1;
            return Ok(Self(mark));
        }
        match fs::OpenOptions::new().write(true).create_new(true).open(&mark) {
            Ok(_) => {
                own.insert(mark.clone(), 1);
                Ok(Self(mark))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(PitError::LibraryQuarantined { path: library.to_owned(), mark })
            }
            Err(error) => Err(PitError::io("write the mark", &mark)(error)),
        }
    }

    /// Takes the mark away: the library came back from its start, well or not.
    pub(super) fn clear(self) -> PitResult<()> {
        let mut own = OWN.lock();
        let own = own.get_or_insert_default();
        if let Some(starts) = own.get_mut(&self.0) {
            *starts -= 1;
            if *starts > 0 {
                return Ok(());
            }
            own.remove(&self.0);
        }
        fs::remove_file(&self.0).map_err(PitError::io("remove the mark", &self.0))
    }
}
