//! Reading an artifact piece by piece.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::record::MEMBER;
use crate::PitError;

/// A reader of one artifact; it goes on reading also when the artifact is deleted meanwhile, until the store is closed.
///
/// The bytes are not checked against the id: `ArtifactStore::get` and `verify` do that.
#[derive(Debug, Clone)]
pub struct ArtifactReader {
    file: Arc<File>,
    start: u64,
    size: u64,
    position: u64,
    closed: Arc<AtomicBool>,
}

impl ArtifactReader {
    pub(super) fn new(file: Arc<File>, start: u64, size: u64, closed: Arc<AtomicBool>) -> Self {
        Self { file, start, size, position: 0, closed }
    }

    /// The artifact's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
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
        let count = self.file.read_at(&mut out[..wanted], self.start + self.position)?;
        if count == 0 {
            // The file is shorter than the artifact: not the end of it, a loss.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
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
