//! The index made anew from the journal when it fails while it is used.
//!
//! Called by the store's reads and its flush. Invariant: the journal is the truth. An index that cannot be read or
//! written is dropped, and its rows are in memory until the disk takes them again.

use std::sync::atomic::Ordering;

use super::index::Index;
use super::replay::Replay;
use super::store::Core;
use crate::{PitError, PitResult};

impl Core {
    /// Looks something up. An index that fails is made anew from the journal, and asked once more.
    pub(super) fn look<T>(&self, look: impl Fn(&Index) -> PitResult<T>) -> PitResult<T> {
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
    pub(super) fn not_written(&self, error: &PitError) {
        // Without a database nothing is read from it, and all that waits is in memory.
        let rebuilt = if self.index.read().has_base() { self.rebuild(error) } else { Ok(()) };
        if let Err(error) = rebuilt {
            tracing::error!(%error, "the artifact index failed, and could not be made anew from the journal");
        }
        *self.trouble.lock() = Some(chain(error));
    }

    /// Makes the index anew, in memory; the next flush brings it to the disk. `flushing` is held by the caller.
    fn rebuild(&self, error: &PitError) -> PitResult<()> {
        tracing::warn!(
            error = chain(error),
            "the artifact index failed and is made anew from the journal"
        );
        let mut index = self.index.write();
        if let Err(error) = index.reset() {
            // Its rows are not read any more; whether the file can be replaced is seen by the next flush.
            tracing::warn!(%error, "the failed index stays on the disk for now");
        }
        let mut replay = Replay::new(&mut index);
        replay.refused = true;
        self.journal.reread(|mark, bytes| replay.record(mark, bytes))?;
        *self.trouble.lock() = Some(chain(error));
        self.rebuilds.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

/// The error with its causes, in one line.
fn chain(error: &PitError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
