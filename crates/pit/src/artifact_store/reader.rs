//! Reading an artifact piece by piece.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::memory;

use super::chunk_reader::Chunks;
use super::record::MEMBER;
use crate::PitError;

/// A reader of one artifact; it goes on reading also when the artifact is deleted meanwhile, until the store is closed.
///
/// Of an artifact in chunks each chunk is held against its hash. The bytes of others are not checked:
/// `ArtifactStore::get` and `verify` do that.
#[derive(Debug, Clone)]
pub struct ArtifactReader {
    source: Source,
    size: u64,
    position: u64,
    closed: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A part of a file, from this place on.
    File(Arc<File>, u64),
    Chunks(Arc<Chunks>, Buffer),
}

/// The chunk that was read last.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffer {
    number: Option<usize>,
    bytes: Vec<u8>,
}

impl ArtifactReader {
    pub(super) fn new(source: Source, size: u64, closed: Arc<AtomicBool>) -> Self {
        Self { source, size, position: 0, closed }
    }

    /// The artifact's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its chunks, where it has some.
    pub(super) fn chunks(&self) -> Option<&Arc<Chunks>> {
        match &self.source {
            Source::File(..) => None,
            Source::Chunks(chunks, _) => Some(chunks),
        }
    }
}

impl Read for ArtifactReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.closed.load(Ordering::Acquire) {
            return Err(io::Error::other(PitError::Stopped { member: MEMBER }));
        }
        let left = self.size.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        if wanted == 0 {
            return Ok(0);
        }
        let out = &mut out[..wanted];
        let count = match &mut self.source {
            Source::File(file, start) => file.read_at(out, *start + self.position)?,
            Source::Chunks(chunks, buffer) => buffer.read(chunks, self.position, out)?,
        };
        if count == 0 {
            // The file is shorter than the artifact: not the end of it, a loss.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Buffer {
    fn read(&mut self, chunks: &Chunks, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let Some((number, within)) = chunks.at(position) else { return Ok(0) };
        let length = chunks.length(number);
        if within == 0 && out.len() >= length {
            chunks.read_checked(number, &mut out[..length]).map_err(unreadable)?;
            return Ok(length);
        }
        if self.number != Some(number) {
            self.number = None;
            memory::resize(&mut self.bytes, length)?;
            chunks.read_checked(number, &mut self.bytes).map_err(unreadable)?;
            self.number = Some(number);
        }
        let found = self.bytes.get(within..).unwrap_or_default();
        let count = found.len().min(out.len());
        out[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }
}

/// As an error of reading, with the number of the system's where it has one.
fn unreadable(error: PitError) -> io::Error {
    match error {
        PitError::Io { source, .. } => source,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl Seek for ArtifactReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
