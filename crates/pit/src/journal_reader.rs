//! A journal's frames read in their order, and looked for behind one that is none.
//!
//! Called by the journal and its opening. Invariant: a file is read at places of the reader's own, so that others may read
//! and write it meanwhile.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::disk;
use crate::journal_frame::{self, FRAME, Place};
use crate::journal_mark::Mark;
use crate::{PitError, PitResult};

/// Bytes of a journal that are read at once.
const BUFFER: usize = 1 << 18;

/// Gives `each` the frames from a place on, with the mark after each; answers where no whole one stands any more.
pub(crate) fn read(
    file: &File,
    path: &Path,
    from: Place,
    end: u64,
    mut each: impl FnMut(Mark, &[u8]) -> PitResult<()>,
) -> PitResult<u64> {
    let reading = || PitError::io("read", path);
    let Place { generation, mut offset } = from;
    // No more than there is to read: most journals are empty when they are opened.
    let buffer =
        usize::try_from(end.saturating_sub(offset)).map_or(BUFFER, |left| left.min(BUFFER));
    let mut reader = BufReader::with_capacity(buffer, At { file, offset });
    let mut payload = Vec::new();
    while journal_frame::read(&mut reader, Place { generation, offset }, end, &mut payload)
        .map_err(reading())?
    {
        offset += (FRAME + payload.len()) as u64;
        each(Mark { generation, offset }, &payload)?;
    }
    Ok(offset)
}

/// Reads a file from an offset of its own: others may read and write it meanwhile.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

pub(crate) fn find(file: &File, path: &Path, from: Place, end: u64) -> PitResult<Option<u64>> {
    journal_frame::find(from, end, |buffer, at| disk::read_exact_at(file, buffer, at))
        .map_err(PitError::io("read", path))
}

/// A crash cuts a journal at its end; an intact record behind a bad one means that the disk lost something.
pub(crate) fn refuse_damage_before_records(
    file: &File,
    path: &Path,
    damaged: Place,
    end: u64,
) -> PitResult<()> {
    let from = Place { offset: damaged.offset + 1, ..damaged };
    if find(file, path, from, end)?.is_none() {
        return Ok(());
    }
    let reason = "a record is damaged and intact ones follow it";
    Err(PitError::Corrupt { path: path.to_owned(), offset: damaged.offset, reason })
}
