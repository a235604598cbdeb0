//! One append-only file of records: the truth of every Pit member that keeps state.
//!
//! Callers: the artifact store, the DAG tracker's runs, the stale manager's pins. A record is acknowledged when
//! [`Journal::append`] returns. Invariant: what a journal gives back at open is a prefix of what was appended, and
//! holds every acknowledged record. A tail that was cut short by a crash is removed; a damaged record *before* an
//! intact one is never skipped or cut, it is [`PitError::Corrupt`]. While it is open the file is the journal's alone and
//! keeps its name: one that was deleted, replaced or cut short acknowledges nothing more, as the next open would not
//! find it.
//!
//! File: a header of 32 bytes (magic, format version, generation, checksum), then the frames of the records.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::Health;
use parking_lot::Mutex;

use crate::disk::{self, OpenAs};
use crate::durability::{self, BatchedSync};
pub use crate::frame::MAX_RECORD;
use crate::frame::{self, FRAME, Place};
pub use crate::journal_header::Format;
use crate::journal_header::{self, HEADER};
use crate::journal_migration;
use crate::kept_name::{Identity, KeptName};
use crate::{Durability, PitError, PitResult};

/// A scratch buffer that grew past this is not kept.
const KEEP_SCRATCH: usize = 1 << 20;
/// Bytes of a journal that are read at once.
const BUFFER: usize = 1 << 18;

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Records that were replayed.
    pub records: u64,
    /// Bytes of a cut-off tail that were removed.
    pub truncated: u64,
}

/// A place in a journal, for whoever keeps something derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Changes each time the journal is written anew.
    pub generation: u64,
    /// The byte after the last record that is covered.
    pub offset: u64,
}

/// A record that is written but, with [`Durability::Power`], perhaps not yet on the disk.
#[derive(Debug)]
#[must_use = "a record is acknowledged only once it is settled"]
pub struct Written {
    file: Arc<Tape>,
    ticket: u64,
    /// Where the journal stands after it.
    pub mark: Mark,
}

/// A journal that is open for appending. All methods may be called from many threads.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    format: Format,
    durability: Durability,
    recovery: Recovery,
    tail: Mutex<Tail>,
    /// The tail's state again, to be asked without its lock.
    broken: AtomicBool,
    /// Once it is lost nothing is written or renamed.
    name: KeptName,
}

/// A journal whose header was read and whose records were not: see [`Journal::begin`].
#[derive(Debug)]
pub struct Opening {
    path: PathBuf,
    format: Format,
    durability: Durability,
    file: File,
    generation: u64,
    length: u64,
}

#[derive(Debug)]
struct Tape {
    file: File,
    sync: BatchedSync,
    /// What the journal's name must lead to.
    identity: Identity,
}

#[derive(Debug)]
struct Tail {
    tape: Arc<Tape>,
    generation: u64,
    end: u64,
    scratch: Vec<u8>,
}

impl Journal {
    /// Opens or creates the journal and gives each record to `replay`, oldest first.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Format`], [`PitError::Corrupt`], or what `replay` returns.
    pub fn open(
        path: &Path,
        format: Format,
        durability: Durability,
        mut replay: impl FnMut(&[u8]) -> PitResult<()>,
    ) -> PitResult<Self> {
        Self::begin(path, format, durability)?.replay(None, |_, record| replay(record))
    }

    /// Opens or creates the file and checks its header; the records come with [`Opening::replay`].
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Format`], or [`PitError::Corrupt`] for a file that is no journal of this format.
    pub fn begin(path: &Path, format: Format, durability: Durability) -> PitResult<Opening> {
        // The name is looked up as long as the journal is open, whatever the working directory is by then.
        let path = &std::path::absolute(path).map_err(PitError::io("find", path))?;
        let file = match disk::open(path, OpenAs::Write) {
            Ok(file) if length_of(&file, path)? > 0 => file,
            // Created under another name and renamed: a header is there whole or not at all.
            Ok(_) => create(path, format, durability)?.0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, format, durability)?.0
            }
            Err(error) => return Err(PitError::io("open the journal", path)(error)),
        };
        let generation = match journal_header::read(&file, path, format) {
            Err(error) if journal_migration::applies(&error, format) => {
                return Self::migrate(path, format, durability);
            }
            other => other?,
        };
        let length = length_of(&file, path)?;
        Ok(Opening { path: path.to_owned(), format, durability, file, generation, length })
    }

    /// Brings a journal that is there to `format` before it is opened, if it is one of `before`, whose records are lawful
    /// there too, or of a version that becomes one of `before`.
    ///
    /// # Errors
    /// [`PitError::Io`], or [`PitError::Corrupt`] of one that is brought up.
    pub(crate) fn raise_version(
        path: &Path,
        before: Format,
        format: Format,
        durability: Durability,
    ) -> PitResult<()> {
        let found =
            disk::open(path, OpenAs::Read).map(|file| journal_header::read(&file, path, before));
        if let Ok(Err(error)) = found
            && journal_migration::applies(&error, before)
        {
            drop(Self::migrate(path, before, durability)?);
        }
        journal_migration::raise(path, before, format)
    }

    /// Puts a journal of this version in the place of one of the version before, with the same records.
    fn migrate(path: &Path, format: Format, durability: Durability) -> PitResult<Opening> {
        let records = journal_migration::records(path, format)?;
        let temporary = temporary_path(path);
        let named = write_whole(&temporary, format, records)
            .and_then(|_| disk::rename(&temporary, path).map_err(PitError::io("replace", path)));
        named.inspect_err(|_| drop(disk::remove(&temporary)))?;
        sync_folder_of(path)?;
        Self::begin(path, format, durability)
    }

    /// Appends one record with one `write(2)` and returns once it is acknowledged.
    ///
    /// # Errors
    /// [`PitError::Io`]: the record is not in the journal. [`PitError::OverLimit`] above [`MAX_RECORD`].
    pub fn append(&self, record: &[u8]) -> PitResult<Mark> {
        self.append_all([record])
    }

    /// Appends several records with one `write(2)`, all or none, and returns once they are acknowledged.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_all<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>) -> PitResult<Mark> {
        let written = self.write_all(records)?;
        let mark = written.mark;
        self.settle(written)?;
        Ok(mark)
    }

    /// Writes records without waiting for the disk: for callers that hold a lock which [`Self::settle`] must not see.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn write_all<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>) -> PitResult<Written> {
        let mut tail = self.tail.lock();
        let mut scratch = std::mem::take(&mut tail.scratch);
        scratch.clear();
        let outcome = self.fill_and_write(&mut tail, &mut scratch, records);
        if scratch.capacity() <= KEEP_SCRATCH {
            tail.scratch = scratch;
        }
        outcome?;
        let mark = Mark { generation: tail.generation, offset: tail.end };
        Ok(Written { ticket: tail.tape.sync.wrote(), file: Arc::clone(&tail.tape), mark })
    }

    /// Waits until what was written is acknowledged: at once, or with [`Durability::Power`] one flush per batch.
    ///
    /// # Errors
    /// [`PitError::Io`] when the disk refuses.
    pub fn settle(&self, written: Written) -> PitResult<()> {
        self.name.check()?;
        if self.durability == Durability::Process {
            return Ok(());
        }
        let Written { file, ticket, .. } = written;
        file.sync.settle(&file.file, ticket).map_err(|source| self.unflushed(&file, source))
    }

    /// Returns once all that was written so far survives what the durability says. Before something is taken away that
    /// an older state of the journal still names.
    ///
    /// # Errors
    /// [`PitError::Io`] when the disk refuses.
    pub fn settle_all(&self) -> PitResult<()> {
        self.name.check()?;
        if self.durability == Durability::Process { Ok(()) } else { self.sync() }
    }

    /// Flushes everything to the disk, whatever the durability.
    ///
    /// # Errors
    /// [`PitError::Io`] when the disk refuses.
    pub fn sync(&self) -> PitResult<()> {
        let tape = {
            let tail = self.tail.lock();
            self.check_name(&tail.tape)?;
            Arc::clone(&tail.tape)
        };
        tape.sync.settle_all(&tape.file).map_err(|source| self.unflushed(&tape, source))
    }

    /// A tape that could not be flushed takes nothing more; one that was replaced meanwhile is no matter.
    fn unflushed(&self, tape: &Arc<Tape>, source: io::Error) -> PitError {
        let tail = self.tail.lock();
        if Arc::ptr_eq(&tail.tape, tape) {
            self.broken.store(true, Ordering::Release);
        }
        PitError::Io { doing: "flush the journal", path: self.path.clone(), source }
    }

    /// Replaces all records by `records` in one step: a crash leaves the old journal or the new one.
    ///
    /// Appends wait meanwhile. The caller sees to it that `records` say all that the old ones said. This also mends a
    /// journal that [`Self::is_broken`].
    ///
    /// # Errors
    /// [`PitError::Io`]: the old journal is still in use. Once the new file has the name there is no error any more.
    /// [`PitError::JournalLost`]: the name is not this journal's any more, and whatever has it is left alone.
    pub fn rewrite(&self, records: impl IntoIterator<Item = Vec<u8>>) -> PitResult<Mark> {
        self.check_name(&Arc::clone(&self.tail.lock().tape))?;
        // Opened while a failure still leaves the old journal as it is.
        let folder = open_folder_of(&self.path)?;
        self.replace(records, &folder)
    }

    fn replace(
        &self,
        records: impl IntoIterator<Item = Vec<u8>>,
        folder: &File,
    ) -> PitResult<Mark> {
        let mut tail = self.tail.lock();
        self.check_name(&tail.tape)?;
        let temporary = temporary_path(&self.path);
        let named =
            write_whole(&temporary, self.format, records).and_then(|(file, generation, end)| {
                let tape = Tape::new(file, &temporary)?;
                disk::rename(&temporary, &self.path)
                    .map_err(PitError::io("replace", &self.path))?;
                Ok((tape, generation, end))
            });
        let (tape, generation, end) = named.inspect_err(|_| {
            // Gives its space back; the next attempt writes over it if that fails too.
            drop(disk::remove(&temporary));
        })?;
        // From the rename on the old file has no name: whatever fails now, nothing more may be appended to it.
        tail.tape = Arc::new(tape);
        tail.generation = generation;
        tail.end = end;
        let flushed = disk::sync_folder(folder);
        if let Err(error) = &flushed {
            let path = self.path.display();
            tracing::warn!(%path, %error, "a journal's new name is not yet safe from a power cut");
        }
        // A process that dies finds the new name all the same; after a power cut it may be the old one again, and
        // what follows would be lost.
        let unsafe_name = flushed.is_err() && self.durability == Durability::Power;
        self.broken.store(unsafe_name, Ordering::Release);
        Ok(Mark { generation, offset: end })
    }

    /// As after a write whose remains could not be removed.
    #[cfg(test)]
    pub(crate) fn break_now(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// From now on flushes fail, as on a disk that is about to go.
    #[cfg(test)]
    pub(crate) fn lose_the_disk(&self) {
        self.tail.lock().tape.sync.fail_now();
    }

    /// Whether nothing more can be acknowledged until [`Self::rewrite`] has replaced the file. One that was lost is not
    /// broken: nothing mends it.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire) && !self.name.is_lost()
    }

    /// What the journal's member says of it: unhealthy once it was lost, degraded as long as it is broken. Looks at the
    /// name too, so that also an idle journal is known to be lost.
    pub fn health(&self) -> Health {
        // Whoever holds the tail looks at the name for itself.
        let kept = match self.tail.try_lock() {
            Some(tail) => self.check_name(&tail.tape),
            None => self.name.check(),
        };
        match kept {
            Err(error) => Health::Unhealthy(error.to_string()),
            Ok(()) if self.is_broken() => {
                Health::Degraded(format!("`{}`: {}", self.path.display(), durability::broken()))
            }
            Ok(()) => Health::Healthy,
        }
    }

    /// Gives each record that was written so far to `each`, oldest first, with the mark after it. Appends wait.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Corrupt`] when a record is not as it was written, or what `each` returns.
    pub fn reread(&self, mut each: impl FnMut(Mark, &[u8]) -> PitResult<()>) -> PitResult<()> {
        let tail = self.tail.lock();
        let reading = || PitError::io("read", &self.path);
        let mut file = tail.tape.file.try_clone().map_err(reading())?;
        file.seek(SeekFrom::Start(HEADER)).map_err(reading())?;
        let mut reader = BufReader::with_capacity(BUFFER, &file);
        let (mut offset, mut payload) = (HEADER, Vec::new());
        let generation = tail.generation;
        while frame::read(&mut reader, Place { generation, offset }, tail.end, &mut payload)
            .map_err(reading())?
        {
            offset += (FRAME + payload.len()) as u64;
            each(Mark { generation, offset }, &payload)?;
        }
        if offset < tail.end {
            let (path, reason) = (self.path.clone(), "a record is not as it was written");
            return Err(PitError::Corrupt { path, offset, reason });
        }
        Ok(())
    }

    /// Where the journal stands.
    pub fn mark(&self) -> Mark {
        let tail = self.tail.lock();
        Mark { generation: tail.generation, offset: tail.end }
    }

    /// What opening found.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_name(&self, tape: &Tape) -> PitResult<()> {
        self.name.check_leads_to(tape.identity)
    }

    fn fill_and_write<'a>(
        &self,
        tail: &mut Tail,
        scratch: &mut Vec<u8>,
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> PitResult<()> {
        if self.is_broken() {
            return Err(PitError::io("append to", &self.path)(durability::broken()));
        }
        self.name.check_file(&tail.tape.file, tail.tape.identity, tail.end)?;
        for record in records {
            push_frame(scratch, &self.path, tail.generation, tail.end, record)?;
        }
        if let Err(error) = disk::write_all_at(&tail.tape.file, scratch, tail.end) {
            // A later, shorter record must not leave the remains of this one behind it.
            if disk::set_len(&tail.tape.file, tail.end).is_err() {
                self.broken.store(true, Ordering::Release);
            }
            return Err(PitError::io("append to", &self.path)(error));
        }
        tail.end += scratch.len() as u64;
        Ok(())
    }
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

    /// Whether this journal holds no record though `mark`, of whatever is derived from it, says that it held some. A
    /// rewritten one is no such: its member writes down at least that nothing is left.
    pub fn was_emptied(&self, mark: Mark) -> bool {
        self.length == HEADER && mark.offset > HEADER
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
        let Self { path, format, durability, mut file, generation, length } = self;
        let mut offset = from.map_or(HEADER, |mark| mark.offset);
        let mut records = 0;
        let reading = || PitError::io("read", &path);
        file.seek(SeekFrom::Start(offset)).map_err(reading())?;
        // No more than there is to read: most journals are empty when they are opened.
        let buffer =
            usize::try_from(length.saturating_sub(offset)).map_or(BUFFER, |left| left.min(BUFFER));
        let mut reader = BufReader::with_capacity(buffer, &file);
        let mut payload = Vec::new();
        while frame::read(&mut reader, Place { generation, offset }, length, &mut payload)
            .map_err(reading())?
        {
            offset += (FRAME + payload.len()) as u64;
            replay(Mark { generation, offset }, &payload)?;
            records += 1;
        }
        let truncated = length - offset;
        if truncated > 0 {
            refuse_damage_before_records(&file, &path, generation, offset, length)?;
            disk::set_len(&file, offset).map_err(PitError::io("remove the torn tail of", &path))?;
            tracing::warn!(path = %path.display(), truncated, "removed the torn tail of a journal");
        }
        let tape = Arc::new(Tape::new(file, &path)?);
        let tail = Tail { tape, generation, end: offset, scratch: Vec::new() };
        let recovery = Recovery { records, truncated };
        let (tail, broken, name) =
            (Mutex::new(tail), AtomicBool::new(false), KeptName::new(path.clone()));
        Ok(Journal { path, format, durability, recovery, tail, broken, name })
    }
}

impl Tape {
    fn new(file: File, path: &Path) -> PitResult<Self> {
        let identity = Identity::of(&file).map_err(PitError::io("look at", path))?;
        Ok(Self { file, sync: BatchedSync::default(), identity })
    }
}

fn length_of(file: &File, path: &Path) -> PitResult<u64> {
    Ok(file.metadata().map_err(PitError::io("read the length of", path))?.len())
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn create(path: &Path, format: Format, durability: Durability) -> PitResult<(File, u64)> {
    let temporary = temporary_path(path);
    let created = create_file(&temporary, format).map_err(PitError::io("create", &temporary))?;
    if durability == Durability::Power {
        disk::sync_data(&created.0).map_err(PitError::io("flush", &temporary))?;
    }
    disk::rename(&temporary, path).map_err(PitError::io("create", path))?;
    if durability == Durability::Power {
        sync_folder_of(path)?;
    }
    Ok(created)
}

fn create_file(path: &Path, format: Format) -> io::Result<(File, u64)> {
    let file = disk::open(path, OpenAs::Emptied)?;
    // Keyed by the system's randomness; unlikely to repeat is all that is asked of it.
    let generation = RandomState::new().build_hasher().finish();
    disk::write_all_at(&file, &journal_header::bytes(format, generation), 0)?;
    Ok((file, generation))
}

/// Writes and flushes a journal of `records`; answers its file, generation and length.
fn write_whole(
    path: &Path,
    format: Format,
    records: impl IntoIterator<Item = Vec<u8>>,
) -> PitResult<(File, u64, u64)> {
    let writing = || PitError::io("write", path);
    let (file, generation) = create_file(path, format).map_err(writing())?;
    let mut end = HEADER;
    let mut scratch = Vec::with_capacity(KEEP_SCRATCH);
    for record in records {
        push_frame(&mut scratch, path, generation, end, &record)?;
        if scratch.len() >= KEEP_SCRATCH {
            disk::write_all_at(&file, &scratch, end).map_err(writing())?;
            end += scratch.len() as u64;
            scratch.clear();
        }
    }
    disk::write_all_at(&file, &scratch, end).map_err(writing())?;
    end += scratch.len() as u64;
    // Flushed whatever the durability: the old journal, which a power cut would have spared, is about to go.
    disk::sync_data(&file).map_err(writing())?;
    Ok((file, generation, end))
}

fn open_folder_of(path: &Path) -> PitResult<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    disk::open(folder, OpenAs::Read).map_err(PitError::io("open the folder", folder))
}

/// Makes the names in the folder of `path` survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> PitResult<()> {
    disk::sync_folder(&open_folder_of(path)?).map_err(PitError::io("flush the folder of", path))
}

/// Adds a frame to `scratch`, which will be written at `base`.
fn push_frame(
    scratch: &mut Vec<u8>,
    path: &Path,
    generation: u64,
    base: u64,
    record: &[u8],
) -> PitResult<()> {
    let length = match u32::try_from(record.len()) {
        Ok(length) if record.len() <= MAX_RECORD => length,
        _ => {
            return Err(PitError::OverLimit {
                what: "a record of journal",
                name: path.display().to_string(),
                wanted: record.len() as u64,
                limit: MAX_RECORD as u64,
            });
        }
    };
    let offset = base + scratch.len() as u64;
    frame::push(scratch, Place { generation, offset }, length, record);
    Ok(())
}

/// A crash cuts a journal at its end; an intact record behind a bad one means that the disk lost something.
fn refuse_damage_before_records(
    file: &File,
    path: &Path,
    generation: u64,
    offset: u64,
    end: u64,
) -> PitResult<()> {
    let from = Place { generation, offset: offset + 1 };
    let intact = frame::find(from, end, |buffer, at| disk::read_exact_at(file, buffer, at));
    if intact.map_err(PitError::io("read", path))?.is_none() {
        return Ok(());
    }
    let reason = "a record is damaged and intact ones follow it";
    Err(PitError::Corrupt { path: path.to_owned(), offset, reason })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
