//! Reading content that lies in chunks.
//!
//! Callers: the store for a whole artifact, an artifact's reader for parts of one. Invariants: the segments of all its
//! chunks are held as long as this lives, so they can be read also when the artifact is deleted or its chunks are moved
//! meanwhile; what a part of the content is taken from was held against its hash.

use std::io;
use std::sync::Arc;

use component::memory;

use super::ArtifactId;
use super::damage::Damage;
use super::holds::Hold;
use super::record::Chunk;
use super::segments::Segments;
use crate::disk;
use crate::{PitError, PitResult};

/// The chunks of one artifact.
#[derive(Debug)]
pub(super) struct Chunks {
    id: ArtifactId,
    list: Vec<Chunk>,
    /// Where each chunk begins.
    starts: Vec<u64>,
    segments: Arc<Segments>,
    damage: Arc<Damage>,
    /// Last, so that nothing is read without it.
    _hold: Hold,
}

impl Chunks {
    pub(super) fn new(
        id: ArtifactId,
        chunks: Vec<Chunk>,
        segments: Arc<Segments>,
        damage: Arc<Damage>,
        hold: Hold,
    ) -> Self {
        let starts = chunks.iter().scan(0, |end, chunk| {
            let start = *end;
            *end += u64::from(chunk.size);
            Some(start)
        });
        let starts = starts.collect();
        Self { id, list: chunks, starts, segments, damage, _hold: hold }
    }

    /// How many chunks it has.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// How many bytes a chunk has.
    pub(super) fn length(&self, number: usize) -> usize {
        self.list.get(number).map_or(0, |chunk| chunk.size as usize)
    }

    /// The chunk in which a place of the content lies, and where in it; none behind the end.
    pub(super) fn at(&self, position: u64) -> Option<(usize, usize)> {
        let number = self.starts.partition_point(|start| *start <= position).checked_sub(1)?;
        let within = usize::try_from(position - self.starts.get(number)?).ok()?;
        (within < self.length(number)).then_some((number, within))
    }

    /// Fills `out`, which is as long as the chunk, with its bytes, whatever they are.
    pub(super) fn read(&self, number: usize, out: &mut [u8]) -> PitResult<()> {
        let Some(chunk) = self.list.get(number) else { return Ok(()) };
        let read = self.segments.file(chunk.segment).and_then(|file| {
            disk::read_exact_at(&file, out, chunk.offset).map_err(|error| {
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    return self.corrupt(chunk, "a chunk's bytes end too soon");
                }
                PitError::io("read", self.segments.path(chunk.segment))(error)
            })
        });
        read.inspect_err(|_| self.mark(chunk))
    }

    /// The same, held against its hash.
    pub(super) fn read_checked(&self, number: usize, out: &mut [u8]) -> PitResult<()> {
        self.read(number, out)?;
        match self.list.get(number) {
            Some(chunk) if ArtifactId::of(out) != chunk.id => {
                self.mark(chunk);
                Err(self.corrupt(chunk, "a chunk's bytes do not match its hash"))
            }
            _ => Ok(()),
        }
    }

    /// Marks the chunks that are not what they were, for content that is not; answers with the error of the first.
    pub(super) fn find_damage(&self) -> Option<PitError> {
        let mut first = None;
        let mut buffer = Vec::new();
        for number in 0..self.count() {
            let read = memory::resize(&mut buffer, self.length(number))
                .map_err(PitError::from)
                .and_then(|()| self.read_checked(number, &mut buffer));
            if let Err(error) = read {
                first.get_or_insert(error);
            }
        }
        first
    }

    /// A put of the content, or of another with that chunk, stores it anew.
    fn mark(&self, chunk: &Chunk) {
        self.damage.found(&chunk.id);
        self.damage.found(&self.id);
    }

    fn corrupt(&self, chunk: &Chunk, reason: &'static str) -> PitError {
        PitError::Corrupt { path: self.segments.path(chunk.segment), offset: chunk.offset, reason }
    }
}
