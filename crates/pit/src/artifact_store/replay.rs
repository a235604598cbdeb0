//! Records of the journal on their way into the index.
//!
//! Called by the store's open for what the index missed, and by `rebuild` for all of it. Invariant: a disk that refuses
//! a batch costs memory, never a record.

use std::mem;

use super::ArtifactId;
use super::index::Index;
use super::record::{Place, Record, decode};
use crate::PitResult;
use crate::journal::Mark;

/// The index is written each time this many rows wait.
const BATCH: usize = 100_000;

/// Records of the journal on their way into the index.
pub(super) struct Replay<'a> {
    index: &'a mut Index,
    /// The disk refused a batch: the rows stay in memory.
    pub(super) refused: bool,
    checked: bool,
    /// What was deleted on the way, and where it was.
    pub(super) deleted: Vec<(ArtifactId, Place)>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(index: &'a mut Index) -> Self {
        Self { index, refused: false, checked: false, deleted: Vec::new() }
    }

    pub(super) fn record(&mut self, mark: Mark, bytes: &[u8]) -> PitResult<()> {
        let record = decode::<Record>(bytes)?;
        if let Record::Delete(id) = &record {
            let place = self.index.get(id)?.map(|entry| entry.place);
            self.deleted.extend(place.filter(|place| place.is_file()).map(|place| (*id, place)));
        }
        let change = self.index.prepare(&record)?;
        self.index.apply(change, mark);
        if self.refused || self.index.waiting() < BATCH {
            return Ok(());
        }
        if !mem::replace(&mut self.checked, true) {
            // A damaged page that is written anew would have a right checksum.
            self.index.check()?;
        }
        if let Some(batch) = self.index.freeze()? {
            match batch.commit() {
                Ok(base) => drop(self.index.rows_mut().thaw(base)),
                // Nothing is read from it either: a database that failed once answers nothing more.
                Err(error) if self.index.has_base() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the artifact index stays in memory for now");
                    self.refused = true;
                }
            }
        }
        Ok(())
    }
}
