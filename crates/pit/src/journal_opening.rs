//! How a journal is opened: its header first, then its records; and what was lost of it meanwhile.
//!
//! Called by the members, each for its own journal. Invariants: a journal that is known to have held more than it does is
//! refused and left as it is, unless its member has what it said elsewhere; a torn tail alone is removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, OpenAs};
use crate::journal::{Journal, Mark, Recovery};
use crate::journal_file::{self, keep_aside, write_whole};
use crate::journal_frame::{FRAME, Place};
use crate::journal_header::{self, Format, HEADER};
use crate::journal_mark::KeptMark;
use crate::journal_migration;
use crate::journal_reader::{find, read, refuse_damage_before_records};
use crate::kept_name::is_absence;
use crate::{Durability, PitError, PitResult, RecoveryProgress};

/// A journal whose header was read and whose records were not: see [`Journal::begin`].
#[derive(Debug)]
pub struct Opening {
    path: PathBuf,
    format: Format,
    durability: Durability,
    file: File,
    generation: u64,
    length: u64,
    kept: Option<KeptMark>,
    progress: RecoveryProgress,
}

impl Journal {
    /// Opens or creates the file and checks its header; the records come with [`Opening::replay`].
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Format`], or [`PitError::Corrupt`] for a file that is no journal of this format.
    pub fn begin(path: &Path, format: Format, durability: Durability) -> PitResult<Opening> {
        // The name is looked up as long as the journal is open, whatever the working directory is by then.
        let path = &std::path::absolute(path).map_err(PitError::io("find", path))?;
        let file = match journal_file::open(path) {
            Ok(file) if journal_file::length_of(&file, path)? > 0 => file,
            // Created under another name and renamed: a header is there whole or not at all.
            Ok(_) => journal_file::create(path, format, durability)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                journal_file::create(path, format, durability)?
            }
            Err(error) => return Err(PitError::io("open the journal", path)(error)),
        };
        let generation = match journal_header::read(&file, path, format) {
            Err(error) if journal_migration::applies(&error, format) => {
                migrate(path, format)?;
                return Self::begin(path, format, durability);
            }
            other => other?,
        };
        let length = journal_file::length_of(&file, path)?;
        let (path, kept, progress) = (path.to_owned(), None, RecoveryProgress::default());
        Ok(Opening { path, format, durability, file, generation, length, kept, progress })
    }

    /// The same for a journal of which is kept beside it how far it goes; missing or empty though it is known to have
    /// held records, it is refused. Whether it was cut is for [`Opening::refuse_cut`] to say.
    ///
    /// # Errors
    /// As [`Self::begin`], and [`PitError::JournalMissing`].
    pub fn begin_kept(path: &Path, format: Format, durability: Durability) -> PitResult<Opening> {
        let kept = KeptMark::of(path);
        refuse_missing(path, &kept)?;
        let opening = Self::begin(path, format, durability)?;
        Ok(Opening { kept: Some(kept), ..opening })
    }

    /// Puts a journal of `records` in the place of one that nobody has open, and answers where the old one was kept.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::OverLimit`]; the old one is in its place then.
    pub fn replace_closed(
        path: &Path,
        format: Format,
        records: impl IntoIterator<Item = Vec<u8>>,
    ) -> PitResult<(PathBuf, Mark)> {
        let replaced = write_whole(path, format, records, |whole, temporary| {
            let aside = keep_aside(path)?;
            disk::rename(temporary, path).map_err(PitError::io("replace", path))?;
            Ok((aside.stays(), Mark { generation: whole.generation, offset: whole.end }))
        })?;
        // A power cut may bring back the old one, which is then replaced again.
        journal_file::sync_folder_of(path)?;
        Ok(replaced)
    }

    /// Brings a journal that is there to `format` before it is opened, if it is one of `before`, whose records are lawful
    /// there too, or of a version that becomes one of `before`.
    ///
    /// # Errors
    /// [`PitError::Io`], or [`PitError::Corrupt`] of one that is brought up.
    pub(crate) fn raise_version(path: &Path, before: Format, format: Format) -> PitResult<()> {
        let found =
            disk::open(path, OpenAs::Read).map(|file| journal_header::read(&file, path, before));
        if let Ok(Err(error)) = found
            && journal_migration::applies(&error, before)
        {
            migrate(path, before)?;
        }
        journal_migration::raise(path, before, format)
    }
}

/// Puts a journal of this version in the place of one of the version before, with the same records.
fn migrate(path: &Path, format: Format) -> PitResult<()> {
    let records = journal_migration::records(path, format)?;
    write_whole(path, format, records, |_, temporary| {
        disk::rename(temporary, path).map_err(PitError::io("replace", path))
    })?;
    journal_file::sync_folder_of(path)
}

/// Refuses a journal that is not there, or has no byte, and is known to have held records.
fn refuse_missing(path: &Path, kept: &KeptMark) -> PitResult<()> {
    let found = match fs::metadata(path) {
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => "empty",
        Err(error) if is_absence(&error) => "missing",
        Err(error) => return Err(PitError::io("look for", path)(error)),
    };
    if kept.read().is_none_or(|kept| kept.mark.offset <= HEADER) {
        return Ok(());
    }
    let (path, witness) = (path.to_owned(), kept.path().to_owned());
    Err(PitError::JournalMissing { path, found, witness })
}

impl Opening {
    /// Where the file ends now; an index that claims to cover more is not this journal's.
    pub fn mark(&self) -> Mark {
        Mark { generation: self.generation, offset: self.length }
    }

    /// Whether `mark` lies in this journal.
    pub fn covers(&self, mark: Mark) -> bool {
        mark.generation == self.generation && (HEADER..=self.length).contains(&mark.offset)
    }

    /// Whether this journal ends before `mark`, to which it once reached.
    pub fn is_cut_before(&self, mark: Mark) -> bool {
        mark.generation == self.generation && mark.offset > self.length
    }

    /// Whether this journal holds no record though `mark`, of whatever is derived from it, says that it held some. A
    /// rewritten one is no such: its member writes down at least that nothing is left.
    pub fn was_emptied(&self, mark: Mark) -> bool {
        self.length == HEADER && mark.offset > HEADER
    }

    /// Refuses a journal that ends before what is kept beside it, unless another witness has seen as much: `beyond`.
    ///
    /// # Errors
    /// [`PitError::JournalMissing`] of one without a record, [`PitError::JournalCut`].
    pub fn refuse_cut(&self, beyond: Option<Mark>) -> PitResult<()> {
        let Some((kept, mark)) =
            self.kept.as_ref().and_then(|kept| Some((kept, kept.read()?.mark)))
        else {
            return Ok(());
        };
        let seen = |other: Mark| other.generation == mark.generation && other.offset >= mark.offset;
        if beyond.is_some_and(seen) {
            return Ok(());
        }
        let (path, witness) = (self.path.clone(), kept.path().to_owned());
        if self.was_emptied(mark) {
            return Err(PitError::JournalMissing { path, found: "empty", witness });
        }
        if self.is_cut_before(mark) {
            let (length, held) = (self.length, mark.offset);
            return Err(PitError::JournalCut { path, length, held, witness });
        }
        Ok(())
    }

    /// Tells how far [`Self::replay`] is.
    #[must_use]
    pub fn telling(self, progress: &RecoveryProgress) -> Self {
        Self { progress: progress.clone(), ..self }
    }

    /// Gives each record after `from` (or all) to `replay`, with the mark after it, and removes a cut-off tail.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Corrupt`] when intact records follow a damaged one, or what `replay` returns.
    pub fn replay(
        self,
        from: Option<Mark>,
        mut replay: impl FnMut(Mark, &[u8]) -> PitResult<()>,
    ) -> PitResult<Journal> {
        let Self { path, format, durability, file, generation, length, kept, progress } = self;
        let start = from.map_or(HEADER, |mark| mark.offset);
        progress.expect(length.saturating_sub(start));
        let mut records = 0;
        let end =
            read(&file, &path, Place { generation, offset: start }, length, |mark, record| {
                records += 1;
                progress.add((FRAME + record.len()) as u64);
                replay(mark, record)
            })?;
        let truncated = length - end;
        if truncated > 0 {
            refuse_damage_before_records(&file, &path, Place { generation, offset: end }, length)?;
            refuse_damage_of_closed(&path, kept.as_ref(), Mark { generation, offset: end })?;
            disk::set_len(&file, end).map_err(PitError::io("remove the torn tail of", &path))?;
            tracing::warn!(path = %path.display(), truncated, "removed the torn tail of a journal");
        }
        let recovery = Recovery { records, truncated };
        let mark = Mark { generation, offset: end };
        Journal::assemble(path, format, durability, (file, mark), recovery, kept)
    }
}

/// Refuses damage at the end of what was there when the journal was closed: that is no torn tail, and was acknowledged.
fn refuse_damage_of_closed(path: &Path, kept: Option<&KeptMark>, end: Mark) -> PitResult<()> {
    // One that was never closed says only that there was a record.
    let least = HEADER + FRAME as u64;
    let said = kept.and_then(KeptMark::read).map(|kept| kept.mark);
    let closed = said.filter(|mark| mark.offset > least);
    match closed {
        Some(mark) if mark.generation == end.generation && mark.offset > end.offset => {
            Err(PitError::Corrupt {
                path: path.to_owned(),
                offset: end.offset,
                reason: "a record is damaged that was whole when the journal was closed",
            })
        }
        _ => Ok(()),
    }
}

/// Gives `each` the records behind `from` of a journal whose header says nothing any more, or that ends before; false where
/// nothing proves that it is of that generation, and it holds something. The file is left as it is.
///
/// # Errors
/// [`PitError::Io`], [`PitError::Corrupt`] when intact records follow a damaged one, or what `each` returns.
pub(crate) fn salvage(
    path: &Path,
    format: Format,
    from: Mark,
    each: impl FnMut(Mark, &[u8]) -> PitResult<()>,
) -> PitResult<bool> {
    let file = disk::open(path, OpenAs::Read).map_err(PitError::io("open the journal", path))?;
    let length = journal_file::length_of(&file, path)?;
    let generation = from.generation;
    if length < HEADER + FRAME as u64 {
        return Ok(true);
    }
    let named = journal_header::read(&file, path, format).is_ok_and(|found| found == generation);
    let first = Place { generation, offset: HEADER };
    if !named && find(&file, path, first, length)?.is_none() {
        return Ok(false);
    }
    if from.offset >= length {
        return Ok(true);
    }
    let end = read(&file, path, Place { generation, offset: from.offset }, length, each)?;
    refuse_damage_before_records(&file, path, Place { generation, offset: end }, length)?;
    Ok(true)
}
