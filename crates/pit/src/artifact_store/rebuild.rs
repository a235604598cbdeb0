//! The index checked before it is read, and made anew from the journal when it fails.
//!
//! Called by the store's reads, its flush and its thread. Invariants: the journal is the truth, so an index that cannot
//! be read or written is dropped, and its rows are in memory until the disk takes them again; a journal is never written
//! anew from an index whose checksums nobody looked at.

use std::sync::atomic::Ordering;

use component::chain;

use super::database;
use super::index::Index;
use super::replay::Replay;
use super::store::Core;
use crate::{PitError, PitResult, RecoveryProgress};

impl Core {
    /// Looks at the checksums of an index that was there at the open, unless it is large. Once: by the store's thread
    /// beside the rest of a boot, or by the first who reads before that.
    pub(super) fn check_index(&self) -> PitResult<()> {
        if self.checked.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one_at_a_time = self.flushing.lock();
        if !self.checked.load(Ordering::Acquire) {
            let large = self.index.read().large();
            if matches!(large, Ok(None) | Err(PitError::Index { .. })) {
                self.vouch()?;
            }
            self.checked.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The same for one that is large, while it is read: what it says may be believed until then, not for good.
    pub(super) fn check_large_index(&self) -> PitResult<()> {
        let _one_at_a_time = self.flushing.lock();
        self.vouch()
    }

    /// Looks at all checksums of the index, unless that was done. `flushing` is held by the caller.
    pub(super) fn vouch(&self) -> PitResult<()> {
        if self.vouched.load(Ordering::Acquire) {
            return Ok(());
        }
        let large = self.index.read().large();
        let checked = match large {
            // Read meanwhile: nobody waits for it.
            Ok(Some(path)) => database::check_in_use(&path, &self.closed),
            Ok(None) => self.index.write().check(),
            Err(error) => Err(error),
        };
        match checked {
            Err(error @ PitError::Index { .. }) => self.rebuild(&error)?,
            checked => checked?,
        }
        self.vouched.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads the journal. One that is damaged is written anew of the index, if that is whole, and kept beside the new one;
    /// answers what was done.
    pub(super) fn verify_journal(&self) -> PitResult<Option<String>> {
        let error = match self.journal.verify() {
            Err(error @ PitError::Corrupt { .. }) => error,
            whole => return whole.map(|()| None),
        };
        let _one_at_a_time = self.flushing.lock();
        if self.journal.verify().is_ok() {
            // Another caller has found the same and mended it.
            return Ok(None);
        }
        let rescued = self.vouch().and_then(|()| self.journal.keep_aside()).and_then(|aside| {
            self.write_journal_anew(&RecoveryProgress::default()).map(|()| aside.stays())
        });
        let text = match rescued {
            Ok(aside) => format!(
                "{}; it was written anew of the index, and the old one is kept as `{}`",
                chain(&error),
                aside.display()
            ),
            Err(failure) => format!(
                "{}; it could not be written anew of the index: {}",
                chain(&error),
                chain(&failure)
            ),
        };
        tracing::error!("{text}");
        *self.rescue.lock() = Some(text.clone());
        Ok(Some(text))
    }

    /// Looks something up. An index that fails is made anew from the journal, and asked once more.
    pub(super) fn look<T>(&self, look: impl Fn(&Index) -> PitResult<T>) -> PitResult<T> {
        self.check_index()?;
        let seen = self.rebuilds.load(Ordering::Acquire);
        let found = look(&self.index.read());
        let Err(error @ PitError::Index { .. }) = found else { return found };
        let one_at_a_time = self.flushing.lock();
        if self.rebuilds.load(Ordering::Acquire) == seen {
            self.rebuild(&error)?;
        }
        drop(one_at_a_time);
        look(&self.index.read())
    }

    /// The database refused a batch. `flushing` is held by the caller.
    pub(super) fn not_written(&self, error: &PitError, is_last: bool) {
        // Without a database nothing is read from it, and all that waits is in memory; after the last batch nobody reads
        // any more, and the next open takes from the journal what the database lacks.
        let is_read = !is_last && self.index.read().has_base();
        let rebuilt = if is_read { self.rebuild(error) } else { Ok(()) };
        if let Err(error) = rebuilt {
            tracing::error!(%error, "the artifact index failed, and could not be made anew from the journal");
        }
        *self.trouble.lock() = Some(chain(error));
    }

    /// Makes the index anew, in memory; the next flush brings it to the disk. Where that fails the old one stays, and
    /// fails again. `flushing` is held by the caller.
    pub(super) fn rebuild(&self, error: &PitError) -> PitResult<()> {
        tracing::warn!(
            error = chain(error),
            "the artifact index failed and is made anew from the journal"
        );
        let mut index = self.index.write();
        let mut fresh = index.emptied()?;
        let mut replay = Replay::new(&mut fresh);
        replay.refused = true;
        self.journal.reread(|mark, bytes| replay.record(mark, bytes))?;
        let mut failed = std::mem::replace(&mut *index, fresh);
        if let Err(error) = failed.reset() {
            // Its rows are not read any more; whether the file can be replaced is seen by the next flush.
            tracing::warn!(%error, "the failed index stays on the disk for now");
        }
        // Made of the journal alone.
        self.vouched.store(true, Ordering::Release);
        *self.trouble.lock() = Some(chain(error));
        self.rebuilds.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
