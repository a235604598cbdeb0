//! Taking away what no record names.
//!
//! Called by `pit.artifacts.collect()` and `symphony store gc`. A process that was killed between a blob and its record leaves
//! a file that nobody would ever find. Invariant: a file is looked up and taken away under the lock of the index, under which a
//! put gives its blob a name and records it: so none goes that somebody is about to name. Whoever reads one has it open, and
//! reads it to its end.

use super::record::Place;
use super::store::{ArtifactStore, Core};
use super::{ArtifactId, Collected};
use crate::{PitError, PitResult};

impl ArtifactStore {
    /// Gives back to the disk what no artifact uses: dead parts of segments, and files that no record names. `interrupted` is
    /// asked between files whether to give it up.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Io`] of a folder that cannot be read, [`PitError::Stopped`].
    pub fn collect(&self, interrupted: Option<&dyn Fn() -> bool>) -> PitResult<Collected> {
        let mut collected = Collected::default();
        // After a power cut the journal's word is all there is: what says that a file is needed no more is on the disk first.
        self.core.journal.settle_all()?;
        for (id, place) in self.core.files.listed()? {
            if interrupted.is_some_and(|ask| ask()) {
                break;
            }
            if let Some(bytes) = self.core.collect(&id, place)? {
                collected.files += 1;
                collected.bytes += bytes;
            }
        }
        collected.bytes += self.reclaim(interrupted)?;
        Ok(collected)
    }
}

impl Core {
    /// The bytes of a file that was taken away, as no record names it.
    fn collect(&self, id: &ArtifactId, place: Place) -> PitResult<Option<u64>> {
        let _open = self.enter()?;
        // A failed index is made anew before the lock is taken.
        self.entry(id)?;
        let index = self.index.write();
        let named = index.get(id)?.map(|entry| entry.place).filter(|named| named.is_file());
        let is_needed = match named {
            None => false,
            // Of a move that was cut off the other file is the only one.
            Some(named) => named == place || !self.files.is_there(id, named),
        };
        if is_needed {
            return Ok(None);
        }
        let removed = self.files.remove(id, place);
        drop(index);
        match removed {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if super::files::is_absent(&error) => Ok(None),
            Err(error @ PitError::Io { .. }) => {
                tracing::warn!(%error, "a file that nothing names stays until it is collected again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
