//! How content in chunks and its record come together.
//!
//! Called by a put and by an artifact's writer. Invariant: a record names only chunks that are there; a draft that became
//! a segment without a record that names it goes again.

use super::chunk_writer::{Content, Piece};
use super::holds::Hold;
use super::index::Index;
use super::record::{Chunk, Place, Put, Record};
use super::store::{Core, now};
use super::{ArtifactId, PutOptions};
use crate::PitResult;
use crate::journal::Written;

impl Core {
    /// Where a chunk lies, which stays there as long as `hold` lives.
    pub(super) fn hold_chunk(&self, id: &ArtifactId, hold: &Hold) -> PitResult<Option<Chunk>> {
        self.look(|index| {
            let chunk = index.chunk(id)?;
            if let Some(chunk) = &chunk {
                hold.add(chunk.segment);
            }
            Ok(chunk)
        })
    }

    /// Records a put of content in chunks.
    pub(super) fn commit_chunks(
        &self,
        id: ArtifactId,
        size: u64,
        options: &PutOptions,
        content: Content,
    ) -> PitResult<()> {
        let Content { pieces, drafts, hold } = content;
        let mut segments = Vec::with_capacity(drafts.len());
        let adopted = drafts.into_iter().try_for_each(|(draft, length)| {
            let name = |path: &_| self.files.adopt_as(draft, path);
            segments.push(self.segments.adopt(length, &hold, name)?);
            Ok(())
        });
        let mut index = self.index.write();
        let recorded = adopted.and_then(|()| {
            let put = Put::new(id, Place::Chunks, size, now(), options);
            self.record_chunks(&mut index, put, &pieces, &segments)
        });
        drop(hold);
        // What was stored meanwhile, or could not be recorded, is not needed.
        for number in segments {
            index.may_be_empty(number);
        }
        self.release(&mut index);
        drop(index);
        let (written, before) = recorded?;
        self.journal.settle(written)?;
        if let Some(place) = before.filter(|place| place.is_file()) {
            self.discard_unless_named(&id, place)?;
        }
        Ok(())
    }

    /// Answers with the place of damaged content that was stored anew, too.
    fn record_chunks(
        &self,
        index: &mut Index,
        mut put: Put,
        pieces: &[Piece],
        segments: &[u32],
    ) -> PitResult<(Written, Option<Place>)> {
        let before = index.get(&put.id)?.map(|entry| entry.place);
        if let Some(place) = before
            && !self.damage.knows(&put.id)
        {
            put.place = place;
            return Ok((self.record(index, &Record::Put(put))?, None));
        }
        let mut chunks = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let mut chunk = match piece {
                Piece::Known(chunk) => *chunk,
                Piece::New(chunk) => {
                    let segment = segments.get(chunk.segment as usize).copied();
                    Chunk { segment: segment.unwrap_or(u32::MAX), ..*chunk }
                }
            };
            // It may have moved, or have been stored by somebody else.
            if !self.damage.knows(&chunk.id)
                && let Some(stored) = index.chunk(&chunk.id)?
            {
                chunk = stored;
            }
            chunks.push(chunk);
        }
        let id = put.id;
        let written = self.record(index, &Record::PutChunks(put, chunks))?;
        self.damage.forget(&id);
        for piece in pieces {
            if let Piece::New(chunk) = piece {
                self.damage.forget(&chunk.id);
            }
        }
        Ok((written, before))
    }
}
