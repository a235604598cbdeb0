//! What else in the store's folder says that its journal held something.
//!
//! Called once at open, before anything is made or rebuilt. Invariant: a journal that is not there, or holds nothing, is
//! a new store only where nothing in the folder says otherwise; what says so is left as it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kept_name::is_absence;
use crate::{PitError, PitResult};

/// Folders whose files only a record names; the journal is there before the first of them.
const BLOBS: [&str; 3] = ["segments", "blobs", "archive"];

/// Refuses a folder without a journal, or with one of no byte, in which there are an index or blobs.
///
/// # Errors
/// [`PitError::JournalMissing`], [`PitError::Io`].
pub(super) fn refuse_missing_journal(folder: &Path) -> PitResult<()> {
    let path = folder.join("journal");
    let found = match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => "empty",
        Err(error) if is_absence(&error) => "missing",
        Err(error) => return Err(PitError::io("look for", path)(error)),
    };
    match witness_in(folder)? {
        Some(witness) => Err(PitError::JournalMissing { path, found, witness }),
        None => Ok(()),
    }
}

fn witness_in(folder: &Path) -> PitResult<Option<PathBuf>> {
    let index = folder.join("index.redb");
    if fs::metadata(&index).is_ok_and(|found| found.len() > 0) {
        return Ok(Some(index));
    }
    for name in BLOBS {
        if let Some(witness) = first_file(&folder.join(name))? {
            return Ok(Some(witness));
        }
    }
    Ok(None)
}

/// The first file that is not empty in a folder or below it.
fn first_file(folder: &Path) -> PitResult<Option<PathBuf>> {
    let listing = match fs::read_dir(folder) {
        Err(error) if is_absence(&error) => return Ok(None),
        other => other.map_err(PitError::io("list the folder", folder))?,
    };
    for entry in listing {
        let entry = entry.map_err(PitError::io("list the folder", folder))?;
        let found = entry.metadata().map_err(PitError::io("look at", entry.path()))?;
        if found.is_dir() {
            if let Some(file) = first_file(&entry.path())? {
                return Ok(Some(file));
            }
        } else if found.len() > 0 {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
