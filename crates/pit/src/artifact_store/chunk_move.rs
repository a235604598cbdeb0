//! Chunks on their way to another place.
//!
//! Called by the store's maintenance. Invariant: the old place is good until the record of the new one is written, and for
//! whoever holds it longer.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};

use component::memory;

use super::ArtifactId;
use super::chunks::LONGEST;
use super::files::Draft;
use super::holds::Hold;
use super::record::{Chunk, Place, Record};
use super::store::Core;
use crate::disk;
use crate::{PitError, PitResult};

const PAGE: usize = 1024;

impl Core {
    /// All of an artifact in one draft.
    pub(super) fn copy(&self, id: &ArtifactId) -> PitResult<Draft> {
        let (mut reader, _) = self.open_blob(id)?;
        let mut draft = self.files.draft()?;
        let mut piece = Vec::new();
        memory::resize(&mut piece, LONGEST)?;
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => draft.write(&piece[..count])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(PitError::io("read artifact", id.to_string())(error)),
            }
        }
        self.files.settle(&draft)?;
        Ok(draft)
    }

    /// Moves the chunks that lie in these segments to the newest. An error of `go_on`, asked before each, ends it.
    pub(super) fn rewrite_chunks(
        &self,
        sparse: &BTreeSet<u32>,
        go_on: &dyn Fn() -> PitResult<()>,
    ) -> PitResult<()> {
        let mut after = None;
        loop {
            let page = self.look(|index| index.chunk_page(after, PAGE))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for chunk in page.iter().filter(|chunk| sparse.contains(&chunk.segment)) {
                go_on()?;
                self.rewrite_chunk(chunk)?;
            }
        }
    }

    fn rewrite_chunk(&self, chunk: &Chunk) -> PitResult<()> {
        let _open = self.enter()?;
        let hold = Hold::new(self.segments.holds());
        if self.hold_chunk(&chunk.id, &hold)? != Some(*chunk) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        memory::resize(&mut bytes, chunk.size as usize)?;
        let file = self.segments.file(chunk.segment)?;
        let read = disk::read_exact_at(&file, &mut bytes, chunk.offset);
        if read.is_err() || ArtifactId::of(&bytes) != chunk.id {
            // Left as it is for `verify` to tell.
            return Ok(());
        }
        let stored = self.segments.append(&bytes)?;
        let Place::Segment(segment, offset) = stored.place else { return Ok(()) };
        let mut index = self.index.write();
        if index.chunk(&chunk.id)? != Some(*chunk) {
            return Ok(());
        }
        let moved = Chunk { segment, offset, ..*chunk };
        let written = self.record(&mut index, &Record::MoveChunks(vec![moved]))?;
        drop(hold);
        self.release(&mut index);
        drop(index);
        self.journal.settle(written)
    }
}
