//! Where large content is cut, and what the index knows of its pieces.
//!
//! Content of [`CHUNKED`] bytes and more lies in chunks, whose ends depend on the bytes around them alone: two contents
//! that are alike in parts have the chunks of those parts in common, and each chunk is stored once. Chunks lie in
//! segments. Invariant: a chunk is in the index exactly as long as the list of an artifact names it.

use std::collections::BTreeMap;

use fastcdc::v2020::{FastCDC, Normalization};
use serde::{Deserialize, Serialize};

use super::ArtifactId;
use super::index::{Change, Index, signed};
use super::record::{Chunk, Place, Put, encode};
use crate::PitResult;

/// Content of this size and more is stored in chunks.
pub const CHUNKED: usize = 1 << 20;
/// The least of a chunk is not looked at for an end, which makes the search faster the more it is; and where bytes were put in
/// between, the ends come together again the later. `docs/design/chunks.md` has the figures.
const SHORTEST: usize = 208 << 10;
const USUAL: usize = 256 << 10;
/// The most that a chunk has.
pub(super) const LONGEST: usize = 1 << 20;

/// The end of the chunk that `data` begins with; none where more bytes could move it and `is_all` does not hold.
pub(super) fn cut(data: &[u8], is_all: bool) -> Option<usize> {
    if data.is_empty() || (data.len() < LONGEST && !is_all) {
        return None;
    }
    let search = FastCDC::with_level(data, SHORTEST, USUAL, LONGEST, Normalization::Level2);
    let (_, end) = search.cut(0, data.len());
    Some(end)
}

/// What the index knows of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkRow {
    segment: u32,
    offset: u64,
    size: u32,
    /// How many artifacts are made of it.
    references: u64,
}

impl ChunkRow {
    fn lies_at(&self, chunk: &Chunk) -> bool {
        (self.segment, self.offset) == (chunk.segment, chunk.offset)
    }

    fn chunk(&self, id: ArtifactId) -> Chunk {
        Chunk { id, segment: self.segment, offset: self.offset, size: self.size }
    }
}

/// Rows of chunks that a change touches; none for one that is gone.
type Touched = BTreeMap<ArtifactId, Option<ChunkRow>>;

impl Index {
    /// Where a chunk lies; none where no artifact has it.
    pub(super) fn chunk(&self, id: &ArtifactId) -> PitResult<Option<Chunk>> {
        Ok(self.chunk_row(id)?.map(|row| row.chunk(*id)))
    }

    /// The chunks of an artifact, in their order.
    pub(super) fn chunks(&self, id: &ArtifactId) -> PitResult<Vec<Chunk>> {
        let mut chunks = Vec::new();
        for chunk in self.list(id)? {
            let row = self.chunk(&chunk)?;
            chunks.push(row.ok_or_else(|| self.says_nothing_of("a chunk"))?);
        }
        Ok(chunks)
    }

    /// A page of all chunks, those after `after`.
    pub(super) fn chunk_page(
        &self,
        after: Option<ArtifactId>,
        limit: usize,
    ) -> PitResult<Vec<Chunk>> {
        let after = after.map(|id| key(b'c', &id));
        let rows = self.rows().scan(b"c", after.as_deref(), limit)?;
        let mut chunks = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let id = key.get(1..).and_then(|id| id.try_into().ok());
            let id = id.ok_or_else(|| self.says_nothing_of("a chunk"))?;
            chunks.push(self.row::<ChunkRow>(&row)?.chunk(ArtifactId::from_bytes(id)));
        }
        Ok(chunks)
    }

    /// Content that lies in chunks was put: for the first time, again, or anew where it was damaged.
    pub(super) fn prepare_chunks(
        &self,
        change: &mut Change,
        put: &Put,
        chunks: &[Chunk],
    ) -> PitResult<()> {
        let existing = self.get(&put.id)?;
        let is_listed = existing.as_ref().is_some_and(|entry| entry.place == Place::Chunks);
        let touched = self.place(change, chunks, !is_listed)?;
        write(change, touched)?;
        if !is_listed {
            if let Some(existing) = existing {
                change.release(&existing);
            }
            change.list(&put.id, chunks)?;
        }
        Ok(())
    }

    /// A whole list, when the journal is written anew.
    pub(super) fn prepare_list(
        &self,
        change: &mut Change,
        id: &ArtifactId,
        chunks: &[Chunk],
    ) -> PitResult<()> {
        let touched = self.place(change, chunks, true)?;
        write(change, touched)?;
        change.list(id, chunks)
    }

    /// Chunks lie elsewhere now.
    pub(super) fn prepare_moves(&self, change: &mut Change, chunks: &[Chunk]) -> PitResult<()> {
        let touched = self.place(change, chunks, false)?;
        write(change, touched)
    }

    /// An artifact is not made of its chunks any more; those that no other has go.
    pub(super) fn prepare_unlist(&self, change: &mut Change, id: &ArtifactId) -> PitResult<()> {
        let mut touched = Touched::new();
        for chunk in self.list(id)? {
            if touched.contains_key(&chunk) {
                continue;
            }
            let row = self.chunk_row(&chunk)?;
            let mut row = row.ok_or_else(|| self.says_nothing_of("a chunk"))?;
            row.references = row.references.saturating_sub(1);
            if row.references == 0 {
                change.vacate(row.segment, row.size.into());
            }
            touched.insert(chunk, (row.references > 0).then_some(row));
        }
        change.remove_row(key(b'l', id));
        write(change, touched)
    }

    /// The rows of `chunks` where they lie now, with one reference more or as many as before.
    fn place(&self, change: &mut Change, chunks: &[Chunk], refers: bool) -> PitResult<Touched> {
        let mut touched = Touched::new();
        for chunk in chunks {
            if touched.contains_key(&chunk.id) {
                continue;
            }
            let known = self.chunk_row(&chunk.id)?;
            let references = known.map_or(0, |row| row.references) + u64::from(refers);
            if references == 0 {
                // One that nobody has any more is not there to be moved.
                continue;
            }
            if known.is_none_or(|row| !row.lies_at(chunk)) {
                if let Some(row) = known {
                    change.vacate(row.segment, row.size.into());
                }
                change.fill(chunk.segment, chunk.size.into());
            }
            let Chunk { segment, offset, size, .. } = *chunk;
            touched.insert(chunk.id, Some(ChunkRow { segment, offset, size, references }));
        }
        Ok(touched)
    }

    fn list(&self, id: &ArtifactId) -> PitResult<Vec<ArtifactId>> {
        let row = self.rows().get(&key(b'l', id))?;
        self.row(&row.ok_or_else(|| self.says_nothing_of("the chunks of an artifact"))?)
    }

    fn chunk_row(&self, id: &ArtifactId) -> PitResult<Option<ChunkRow>> {
        let row = self.rows().get(&key(b'c', id))?;
        row.map(|row| self.row::<ChunkRow>(&row)).transpose()
    }
}

impl Change {
    fn list(&mut self, id: &ArtifactId, chunks: &[Chunk]) -> PitResult<()> {
        let list: Vec<_> = chunks.iter().map(|chunk| chunk.id).collect();
        self.put(key(b'l', id), encode(&list)?);
        Ok(())
    }

    fn fill(&mut self, segment: u32, bytes: u64) {
        self.live.push((segment, signed(bytes)));
    }

    fn vacate(&mut self, segment: u32, bytes: u64) {
        self.live.push((segment, -signed(bytes)));
    }
}

fn write(change: &mut Change, touched: Touched) -> PitResult<()> {
    for (id, row) in touched {
        match row {
            Some(row) => change.put(key(b'c', &id), encode(&row)?),
            None => change.remove_row(key(b'c', &id)),
        }
    }
    Ok(())
}

fn key(kind: u8, id: &ArtifactId) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(kind);
    key.extend_from_slice(id.as_bytes());
    key
}
