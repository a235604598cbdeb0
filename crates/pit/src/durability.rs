//! What "acknowledged" survives: chosen once per system, kept by every journal and segment.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::disk;

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Written by `write(2)`: survives the death of this process.
    #[default]
    Process,
    /// Flushed to the disk as well, once per batch: survives a power cut.
    Power,
}

/// One `fdatasync` for all writers that wait at the same time.
///
/// A writer that finds its bytes flushed by another's call returns at once. After one failure the file is never
/// flushed again: the kernel tells it once, and lets go of the pages that it could not write.
#[derive(Debug, Default)]
pub(crate) struct BatchedSync {
    written: AtomicU64,
    synced: Mutex<u64>,
    failed: AtomicBool,
}

impl BatchedSync {
    /// Counts a write that has ended; the ticket is for [`Self::settle`].
    pub(crate) fn wrote(&self) -> u64 {
        self.written.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Returns once the write of `ticket` is on the disk.
    pub(crate) fn settle(&self, file: &File, ticket: u64) -> io::Result<()> {
        let mut synced = self.synced.lock();
        if *synced < ticket {
            // Read before the flush: what is written during it may not be covered.
            let covered = self.written.load(Ordering::Acquire);
            if self.has_failed() {
                return Err(broken());
            }
            disk::sync_data(file).inspect_err(|_| self.failed.store(true, Ordering::Release))?;
            *synced = covered;
        }
        Ok(())
    }

    /// Whether a flush failed: what was written since the one before it may be lost, and nothing may follow it.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// As after a flush that failed.
    #[cfg(test)]
    pub(crate) fn fail_now(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Flushes all that has been written so far.
    pub(crate) fn settle_all(&self, file: &File) -> io::Result<()> {
        self.settle(file, self.written.load(Ordering::Acquire))
    }
}

/// Why a file takes nothing more after a failed write or flush.
pub(crate) fn broken() -> io::Error {
    io::Error::other(
        "an earlier write or flush of it failed, and it has not been written anew since",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_that_failed_once_never_succeeds_again() {
        let flushes = BatchedSync::default();
        let kept = tempfile::tempfile().unwrap();
        let first = flushes.wrote();
        flushes.settle(&kept, first).unwrap();
        let second = flushes.wrote();
        // `fdatasync` of such a file is refused.
        assert!(flushes.settle(&File::open("/dev/null").unwrap(), second).is_err());
        assert!(flushes.settle(&kept, second).is_err());
        assert!(flushes.settle_all(&kept).is_err());
        flushes.settle(&kept, first).unwrap();
    }
}
