//! Putting an artifact piece by piece.
//!
//! Callers: `pit.artifacts.writer()` in Python, and the store itself for what comes from a reader. Invariant: nothing is
//! there before [`ArtifactWriter::finish`] returned, and of a writer that is dropped before that nothing stays.

use std::io::{self, Read};
use std::sync::Arc;

use component::memory;

use super::chunk_writer::ChunkWriter;
use super::chunks::CHUNKED;
use super::store::{ArtifactStore, Core, check};
use super::{ArtifactId, PutOptions};
use crate::{PitError, PitResult};

/// What is taken from a source at once.
const PIECE: usize = 1 << 18;

/// Takes the bytes of one artifact, one piece after the other, and never holds all of them in memory.
#[derive(Debug)]
pub struct ArtifactWriter {
    core: Arc<Core>,
    options: PutOptions,
    hasher: blake3::Hasher,
    size: u64,
    chunks: ChunkWriter,
}

impl ArtifactStore {
    /// Begins an artifact whose bytes come one piece after the other.
    ///
    /// # Errors
    /// [`PitError::Invalid`] for a name or tag, [`PitError::Stopped`].
    pub fn writer(&self, options: PutOptions) -> PitResult<ArtifactWriter> {
        self.check_open()?;
        check(&options)?;
        Ok(ArtifactWriter::new(Arc::clone(&self.core), options))
    }

    /// Stores all that `source` gives, without holding it in memory.
    ///
    /// # Errors
    /// As [`Self::put`]; an error of `source` is a [`PitError::Io`] and nothing is stored.
    pub fn put_reader(&self, mut source: impl Read, options: &PutOptions) -> PitResult<ArtifactId> {
        let mut writer = self.writer(options.clone())?;
        let mut piece = Vec::new();
        memory::resize(&mut piece, PIECE)?;
        loop {
            match source.read(&mut piece) {
                Ok(0) => return writer.finish(),
                Ok(count) => writer.write(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PitError::io("read the source of", "artifact")(error)),
            }
        }
    }
}

impl ArtifactWriter {
    pub(super) fn new(core: Arc<Core>, options: PutOptions) -> Self {
        let (hasher, chunks) = (blake3::Hasher::new(), ChunkWriter::new(&core));
        Self { core, options, hasher, size: 0, chunks }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`PitError::Io`], after which the writer is of no use, and [`PitError::Stopped`].
    pub fn write(&mut self, data: &[u8]) -> PitResult<()> {
        let _open = self.core.enter()?;
        self.hasher.update(data);
        self.size += data.len() as u64;
        self.chunks.write(&self.core, data)
    }

    /// How many bytes came so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Stores what came, and returns its id.
    ///
    /// # Errors
    /// As [`super::ArtifactStore::put`]; then nothing of it stays.
    pub fn finish(self) -> PitResult<ArtifactId> {
        let Self { core, options, hasher, size, chunks } = self;
        if let Some(all) = chunks.uncut().filter(|all| all.len() < CHUNKED) {
            return core.put(all, &options);
        }
        let id = ArtifactId::from_bytes(*hasher.finalize().as_bytes());
        let _open = core.enter()?;
        let known = core.has_whole(&id)?;
        let content = chunks.finish(&core)?;
        core.commit_chunks(id, size, &options, content)?;
        core.count_put(known);
        Ok(id)
    }
}

impl io::Write for ArtifactWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Self::write(self, data).map_err(io::Error::other)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
