//! Large content on its way into chunks.
//!
//! Callers: a put and an artifact's writer. What is new is written to drafts, which become segments when the content is
//! recorded; what is stored already is only named. Invariant: until then no other part of the store knows of the drafts,
//! and the segments of chunks that are named are held.

use std::collections::HashMap;

use component::memory;

use super::ArtifactId;
use super::chunks::{LONGEST, cut};
use super::files::Draft;
use super::holds::Hold;
use super::record::Chunk;
use super::segments::SEGMENT_BYTES;
use super::store::Core;
use crate::PitResult;

/// So many bytes are gathered before they are cut, lest each write moves the rest.
const GATHER: usize = 4 * LONGEST;

/// Content that comes piece by piece.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    pieces: Vec<Piece>,
    drafts: Vec<(Draft, u64)>,
    /// New chunks that were written for this content, by their numbers in `pieces`.
    written: HashMap<ArtifactId, usize>,
    hold: Hold,
    /// What came after the last end of a chunk.
    rest: Vec<u8>,
}

/// Content that came whole and that no record names yet.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) pieces: Vec<Piece>,
    /// With their lengths.
    pub(super) drafts: Vec<(Draft, u64)>,
    pub(super) hold: Hold,
}

/// One chunk of the content.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    /// It is stored, there.
    Known(Chunk),
    /// It was written to a draft, whose number stands for the segment's.
    New(Chunk),
}

impl ChunkWriter {
    pub(super) fn new(core: &Core) -> Self {
        let (pieces, drafts, written) = (Vec::new(), Vec::new(), HashMap::new());
        Self { pieces, drafts, written, hold: Hold::new(core.segments.holds()), rest: Vec::new() }
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, core: &Core, mut data: &[u8]) -> PitResult<()> {
        while !data.is_empty() {
            if self.rest.is_empty() && data.len() >= GATHER {
                let end = self.cut_all(core, data, false)?;
                data = &data[end..];
            }
            let room = GATHER.saturating_sub(self.rest.len()).min(data.len());
            if self.rest.capacity() < self.rest.len() + room {
                // All at once, lest it grows again and again.
                let wanted = if self.rest.is_empty() { room } else { GATHER - self.rest.len() };
                memory::reserve(&mut self.rest, wanted)?;
            }
            self.rest.extend_from_slice(&data[..room]);
            data = &data[room..];
            if self.rest.len() >= GATHER {
                self.cut_rest(core, false)?;
            }
        }
        Ok(())
    }

    /// All that came, as long as nothing of it was cut.
    pub(super) fn uncut(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&self.rest)
    }

    /// The content, after its last byte.
    pub(super) fn finish(mut self, core: &Core) -> PitResult<Content> {
        self.cut_rest(core, true)?;
        for (draft, _) in &self.drafts {
            core.files.settle(draft)?;
        }
        Ok(Content { pieces: self.pieces, drafts: self.drafts, hold: self.hold })
    }

    /// Content that is in memory as a whole.
    pub(super) fn of(core: &Core, data: &[u8]) -> PitResult<Content> {
        let mut writer = Self::new(core);
        writer.cut_all(core, data, true)?;
        writer.finish(core)
    }

    fn cut_rest(&mut self, core: &Core, is_all: bool) -> PitResult<()> {
        let mut rest = std::mem::take(&mut self.rest);
        let end = self.cut_all(core, &rest, is_all)?;
        rest.drain(..end);
        self.rest = rest;
        Ok(())
    }

    /// Takes the chunks off the start of `data`; answers where the last one ends.
    fn cut_all(&mut self, core: &Core, data: &[u8], is_all: bool) -> PitResult<usize> {
        let mut start = 0;
        while let Some(length) = cut(&data[start..], is_all) {
            self.add(core, &data[start..start + length])?;
            start += length;
        }
        Ok(start)
    }

    fn add(&mut self, core: &Core, bytes: &[u8]) -> PitResult<()> {
        let id = ArtifactId::of(bytes);
        if let Some(piece) = self.written.get(&id).and_then(|number| self.pieces.get(*number)) {
            self.pieces.push(*piece);
            return Ok(());
        }
        if !core.damage.knows(&id)
            && let Some(chunk) = core.hold_chunk(&id, &self.hold)?
        {
            self.pieces.push(Piece::Known(chunk));
            return Ok(());
        }
        let size = bytes.len() as u64;
        if self.drafts.last().is_none_or(|(_, end)| end + size > SEGMENT_BYTES) {
            self.drafts.push((core.files.draft()?, 0));
        }
        let number = self.drafts.len().saturating_sub(1);
        let Some((draft, end)) = self.drafts.last_mut() else { return Ok(()) };
        draft.write(bytes)?;
        // At most 1 MiB, and no more drafts than 2^32.
        let segment = u32::try_from(number).unwrap_or(u32::MAX);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.written.insert(id, self.pieces.len());
        self.pieces.push(Piece::New(Chunk { id, segment, offset: *end, size }));
        *end += u64::from(size);
        Ok(())
    }
}
