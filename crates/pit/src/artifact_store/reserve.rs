//! Room on the disk that is kept for deletions: on a full one they need some before they give any back.
//!
//! Called by the store's deletion when its record has no room, and by each flush, which keeps the room anew. Invariant: the
//! room is used for nothing else, what is said of it is what the file is, and that it cannot be kept costs only what it would
//! have been good for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::disk::{self, OpenAs};

/// Enough for a thousand deletions.
const ROOM: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Whether the file has the room; held while that changes.
    is_kept: Mutex<bool>,
}

impl Reserve {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("reserve"), is_kept: Mutex::new(false) }
    }

    /// Keeps room, unless that was done.
    pub(super) fn keep(&self) {
        let mut is_kept = self.is_kept.lock();
        if !*is_kept {
            *is_kept = self.try_keep().is_ok();
        }
    }

    fn try_keep(&self) -> io::Result<()> {
        let file = self.open()?;
        disk::allocate(&file, ROOM).inspect_err(|_| {
            // A part of it is of no use to anybody.
            drop(disk::set_len(&file, 0));
        })?;
        Ok(())
    }

    /// Gives the room to whoever writes next; answers whether there was any.
    pub(super) fn release(&self) -> bool {
        let mut is_kept = self.is_kept.lock();
        *is_kept = false;
        let released = self.open().and_then(|file| {
            let had = file.metadata()?.len() > 0;
            disk::set_len(&file, 0)?;
            Ok(had)
        });
        released.unwrap_or(false)
    }

    fn open(&self) -> io::Result<File> {
        disk::open(&self.path, OpenAs::Made)
    }
}

/// Whether a disk has no room, or a user may not have more of it.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_keeps_and_releases_side_by_side_it_says_what_the_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(folder.path());
        for _ in 0..200 {
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| reserve.keep());
                    scope.spawn(|| reserve.release());
                }
            });
            let length = std::fs::metadata(&reserve.path).unwrap().len();
            assert_eq!(*reserve.is_kept.lock(), length == ROOM, "{length} bytes");
            reserve.keep();
            assert!(reserve.release(), "what was kept is there");
        }
    }
}
