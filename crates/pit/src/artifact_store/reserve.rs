//! Room on the disk that is kept for deletions: on a full one they need some before they give any back.
//!
//! Called by the store's deletion when its record has no room, and by each flush, which keeps the room anew. Invariant: the
//! room is used for nothing else, and that it cannot be kept costs only what it would have been good for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{self, OpenAs};

/// Enough for a thousand deletions.
const ROOM: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl Reserve {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("reserve"), is_kept: AtomicBool::new(false) }
    }

    /// Keeps room, unless that was done.
    pub(super) fn keep(&self) {
        if !self.is_kept.load(Ordering::Acquire) && self.try_keep().is_ok() {
            self.is_kept.store(true, Ordering::Release);
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
        self.is_kept.store(false, Ordering::Release);
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
