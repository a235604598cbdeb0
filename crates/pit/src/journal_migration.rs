//! A journal of the version before, brought to this one when it is opened.
//!
//! Version 1 had frames of `length u32, checksum u64, payload`; its header and its records are those of version 2.
//! Called by the journal alone. Invariant: the old file keeps its name until the new one is whole and on the disk, and
//! a damaged one is refused as it is.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use component::memory;

use crate::disk::{self, OpenAs};
use crate::journal_frame::{MAX_RECORD, Place, array, checksum};
use crate::journal_header::{self, Format, HEADER};
use crate::{PitError, PitResult};

const BEFORE: u16 = 1;
const NOW: u16 = 2;
const FRAME: usize = 12;
/// So far behind a torn record an intact one is looked for: no `write(2)` of version 1 left more behind.
const WINDOW: u64 = 1 << 20;

/// Whether a journal that was refused for its version can be brought to this one.
pub(crate) fn applies(error: &PitError, format: Format) -> bool {
    matches!(error, PitError::Format { found: BEFORE, .. }) && format.version == NOW
}

/// Makes a journal of the version before, whose frames and records are lawful in `format` as they are, one of `format`.
/// Any other is left for the open to judge.
///
/// # Errors
/// [`PitError::Io`].
pub(crate) fn raise(path: &Path, before: Format, format: Format) -> PitResult<()> {
    let file = match disk::open(path, OpenAs::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(PitError::io("open the journal", path))?,
    };
    let Ok(generation) = journal_header::read(&file, path, before) else { return Ok(()) };
    // 32 bytes of one sector: a crash leaves the one header or the other.
    disk::write_all_at(&file, &journal_header::bytes(format, generation), 0)
        .and_then(|()| disk::sync_data(&file))
        .map_err(PitError::io("write the header of", path))
}

/// The records of a journal of the version before, oldest first; a torn tail is left out.
///
/// # Errors
/// [`PitError::Io`], [`PitError::Corrupt`] when intact records follow a damaged one.
pub(crate) fn records(path: &Path, format: Format) -> PitResult<Vec<Vec<u8>>> {
    let reading = || PitError::io("read", path);
    let mut file = disk::open(path, OpenAs::Read).map_err(reading())?;
    let before = Format { version: BEFORE, ..format };
    let generation = journal_header::read(&file, path, before)?;
    let end = file.metadata().map_err(reading())?.len();
    file.seek(SeekFrom::Start(HEADER)).map_err(reading())?;
    let mut reader = BufReader::new(&file);
    let mut place = Place { generation, offset: HEADER };
    let mut records = Vec::new();
    while let Some(record) = next(&mut reader, place, end).map_err(reading())? {
        place.offset += (FRAME + record.len()) as u64;
        records.push(record);
    }
    if is_followed(&file, place, end).map_err(reading())? {
        let (path, reason) = (path.to_owned(), "a record is damaged and intact ones follow it");
        return Err(PitError::Corrupt { path, offset: place.offset, reason });
    }
    tracing::warn!(path = %path.display(), records = records.len(), "a journal of version 1 becomes one of version 2");
    Ok(records)
}

fn next(reader: &mut impl Read, place: Place, end: u64) -> io::Result<Option<Vec<u8>>> {
    let room = end - place.offset;
    if room < FRAME as u64 {
        return Ok(None);
    }
    let mut frame = [0; FRAME];
    reader.read_exact(&mut frame)?;
    let length = u32::from_le_bytes(array(&frame[..4])) as usize;
    if length > MAX_RECORD || (FRAME + length) as u64 > room {
        return Ok(None);
    }
    let mut record = Vec::new();
    memory::resize(&mut record, length)?;
    reader.read_exact(&mut record)?;
    let check = u64::from_le_bytes(array(&frame[4..]));
    Ok((checksum(place, &record) == check).then_some(record))
}

/// Whether an intact record stands behind what is none.
fn is_followed(file: &File, from: Place, end: u64) -> io::Result<bool> {
    let window = usize::try_from((end - from.offset).min(WINDOW)).unwrap_or_default();
    let mut rest = Vec::new();
    memory::resize(&mut rest, window)?;
    disk::read_exact_at(file, &mut rest, from.offset)?;
    for start in 1..window.saturating_sub(FRAME) {
        let length = u32::from_le_bytes(array(&rest[start..start + 4])) as usize;
        let Some(payload) = rest[start + FRAME..].get(..length) else { continue };
        let check = u64::from_le_bytes(array(&rest[start + 4..start + FRAME]));
        let place = Place { offset: from.offset + start as u64, ..from };
        if length > 0 && checksum(place, payload) == check {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Durability;
    use crate::journal::Journal;

    const FORMAT: Format = Format { magic: *b"testtest", version: NOW };
    const GENERATION: u64 = 77;

    /// A journal as version 1 wrote it.
    fn version_1(folder: &Path, records: &[&[u8]]) -> PathBuf {
        let before = Format { version: BEFORE, ..FORMAT };
        let mut bytes = journal_header::bytes(before, GENERATION).to_vec();
        for record in records {
            let place = Place { generation: GENERATION, offset: bytes.len() as u64 };
            bytes.extend_from_slice(&u32::try_from(record.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(&checksum(place, record).to_le_bytes());
            bytes.extend_from_slice(record);
        }
        let path = folder.join("journal");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn open(path: &Path) -> PitResult<(Journal, Vec<Vec<u8>>)> {
        let mut records = Vec::new();
        let journal = Journal::open(path, FORMAT, Durability::Process, |record| {
            records.push(record.to_vec());
            Ok(())
        })?;
        Ok((journal, records))
    }

    #[test]
    fn a_journal_of_the_version_before_is_read_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = version_1(folder.path(), &[b"one", b"", b"three"]);
        let (journal, records) = open(&path).unwrap();
        assert_eq!(records, [&b"one"[..], b"", b"three"]);
        journal.append(b"four").unwrap();
        drop(journal);
        assert_eq!(open(&path).unwrap().1, [&b"one"[..], b"", b"three", b"four"]);
        assert!(!folder.path().join("journal.new").exists());
    }

    #[test]
    fn its_torn_tail_is_left_out_and_its_damage_is_refused_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = version_1(folder.path(), &[b"one", b"two", b"three"]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        assert_eq!(open(&path).unwrap().1, [&b"one"[..], b"two"]);
        let mut damaged = whole;
        damaged[usize::try_from(HEADER).unwrap() + FRAME] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(open(&path), Err(PitError::Corrupt { offset: HEADER, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
}
