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
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::Health;
use parking_lot::Mutex;

use crate::disk;
use crate::durability::{self, BatchedSync};
use crate::journal_file::{
    Aside, KEEP_SCRATCH, keep_aside, open_folder_of, push_frame, sync_folder_of, write_whole,
};
pub use crate::journal_frame::MAX_RECORD;
use crate::journal_frame::{FRAME, Place};
pub use crate::journal_header::Format;
use crate::journal_header::HEADER;
pub use crate::journal_mark::Mark;
use crate::journal_mark::{Kept, KeptMark};
use crate::journal_reader;
use crate::kept_name::{Identity, KeptName};
use crate::{Durability, PitError, PitResult};

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Records that were replayed.
    pub records: u64,
    /// Bytes of a cut-off tail that were removed.
    pub truncated: u64,
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
    /// Where is kept how far it goes, for members that ask for that.
    kept: Option<KeptMark>,
    /// Whether what is kept there may say more than what is on the disk.
    is_kept_early: AtomicBool,
    /// Whether its name is on the disk, too.
    is_name_flushed: AtomicBool,
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
    /// None once the journal was closed: whoever still has it holds no file.
    tape: Option<Arc<Tape>>,
    generation: u64,
    end: u64,
    scratch: Vec<u8>,
    /// What is kept beside the journal of where it ends; at most that.
    kept: Option<Kept>,
}

impl Journal {
    /// The journal of a file whose records were read.
    pub(crate) fn assemble(
        path: PathBuf,
        format: Format,
        durability: Durability,
        (file, end): (File, Mark),
        recovery: Recovery,
        kept: Option<KeptMark>,
    ) -> PitResult<Self> {
        let tape = Arc::new(Tape::new(file, &path)?);
        let Mark { generation, offset } = end;
        let known = kept.as_ref().and_then(KeptMark::read);
        if offset > HEADER && known != Some(Kept { mark: end, is_flushed: true }) {
            // Whoever wrote it may have ended before it was flushed.
            tape.sync.wrote();
        }
        let tape = Some(tape);
        let tail = Tail { tape, generation, end: offset, scratch: Vec::new(), kept: known };
        let (tail, broken) = (Mutex::new(tail), AtomicBool::new(false));
        let name = KeptName::new(path.clone());
        let is_kept_early = AtomicBool::new(known.is_some_and(|kept| !kept.is_flushed));
        let is_name_flushed = AtomicBool::new(false);
        Ok(Self {
            path,
            format,
            durability,
            recovery,
            tail,
            broken,
            name,
            kept,
            is_kept_early,
            is_name_flushed,
        })
    }

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
        let file = Arc::clone(tail.tape()?);
        Ok(Written { ticket: file.sync.wrote(), file, mark })
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
        file.sync.settle(&file.file, ticket).map_err(|source| self.unflushed(&file, source))?;
        self.is_flushed(&file);
        Ok(())
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
            let tape = tail.tape()?;
            self.check_name(tape)?;
            Arc::clone(tape)
        };
        tape.sync.settle_all(&tape.file).map_err(|source| self.unflushed(&tape, source))?;
        self.is_flushed(&tape);
        Ok(())
    }

    /// A tape is on the disk as far as the first record at least: what was kept of it before that counts for good.
    fn is_flushed(&self, tape: &Arc<Tape>) {
        if !self.is_kept_early.load(Ordering::Acquire) || !self.flush_name() {
            return;
        }
        let mut tail = self.tail.lock();
        let is_same = tail.is_on(tape);
        let generation = tail.generation;
        let early = tail.kept.filter(|kept| is_same && kept.mark.generation == generation);
        if let Some(kept) = early {
            self.keep(&mut tail, kept.mark, true);
        }
    }

    /// Whether the journal's name survives a power cut; flushed once, as it is the same as long as it is not written anew.
    fn flush_name(&self) -> bool {
        if !self.is_name_flushed.load(Ordering::Acquire) {
            let flushed = sync_folder_of(&self.path);
            if let Err(error) = &flushed {
                tracing::warn!(%error, "a journal's name is not yet safe from a power cut");
            }
            self.is_name_flushed.store(flushed.is_ok(), Ordering::Release);
        }
        self.is_name_flushed.load(Ordering::Acquire)
    }

    /// A tape that could not be flushed takes nothing more; one that was replaced meanwhile is no matter.
    fn unflushed(&self, tape: &Arc<Tape>, source: io::Error) -> PitError {
        let tail = self.tail.lock();
        if tail.is_on(tape) {
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
        let tape = self.tape()?;
        self.check_name(&tape)?;
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
        self.check_name(tail.tape()?)?;
        let (tape, mark) = write_whole(&self.path, self.format, records, |whole, temporary| {
            let mark = Mark { generation: whole.generation, offset: whole.end };
            let tape = Tape::new(whole.file, temporary)?;
            disk::rename(temporary, &self.path).map_err(PitError::io("replace", &self.path))?;
            Ok((tape, mark))
        })?;
        // From the rename on the old file has no name: whatever fails now, nothing more may be appended to it.
        tail.tape = Some(Arc::new(tape));
        tail.generation = mark.generation;
        tail.end = mark.offset;
        let flushed = disk::sync_folder(folder);
        if let Err(error) = &flushed {
            let path = self.path.display();
            tracing::warn!(%path, %error, "a journal's new name is not yet safe from a power cut");
        }
        // A process that dies finds the new name all the same; after a power cut it may be the old one again, and
        // what follows would be lost.
        let unsafe_name = flushed.is_err() && self.durability == Durability::Power;
        self.broken.store(unsafe_name, Ordering::Release);
        self.is_name_flushed.store(flushed.is_ok(), Ordering::Release);
        // No more than that there is a record: behind it a crash tears the tail, which is no loss to be told.
        let offset = mark.offset.min(HEADER + FRAME as u64);
        self.keep(&mut tail, Mark { offset, ..mark }, flushed.is_ok());
        Ok(mark)
    }

    /// As after a write whose remains could not be removed.
    #[cfg(test)]
    pub(crate) fn break_now(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// From now on flushes fail, as on a disk that is about to go.
    #[cfg(test)]
    pub(crate) fn lose_the_disk(&self) {
        self.tape().unwrap().sync.fail_now();
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
            Some(tail) => tail.tape().and_then(|tape| self.check_name(tape)),
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
    pub fn reread(&self, each: impl FnMut(Mark, &[u8]) -> PitResult<()>) -> PitResult<()> {
        let tail = self.tail.lock();
        let mark = Mark { generation: tail.generation, offset: tail.end };
        self.read_until(tail.tape()?, mark, each)
    }

    /// Reads all records that were written so far, as nobody does while what is derived from them is whole. Appends go on.
    ///
    /// # Errors
    /// As [`Self::reread`].
    pub fn verify(&self) -> PitResult<()> {
        let (tape, mark) = {
            let tail = self.tail.lock();
            let mark = Mark { generation: tail.generation, offset: tail.end };
            (Arc::clone(tail.tape()?), mark)
        };
        self.read_until(&tape, mark, |_, _| Ok(()))
    }

    fn read_until(
        &self,
        tape: &Tape,
        end: Mark,
        each: impl FnMut(Mark, &[u8]) -> PitResult<()>,
    ) -> PitResult<()> {
        let from = Place { generation: end.generation, offset: HEADER };
        let offset = journal_reader::read(&tape.file, &self.path, from, end.offset, each)?;
        if offset < end.offset {
            let (path, reason) = (self.path.clone(), "a record is not as it was written");
            return Err(PitError::Corrupt { path, offset, reason });
        }
        Ok(())
    }

    /// Gives the file as it is a second name, under which it stays when it is written anew; where it was not, the name goes.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::JournalLost`].
    pub(crate) fn keep_aside(&self) -> PitResult<Aside> {
        let tape = self.tape()?;
        self.check_name(&tape)?;
        keep_aside(&self.path)
    }

    /// Flushes everything, and keeps beside the journal how far it goes: a cut is known for one at the next open. At the
    /// end of its use.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn seal(&self) -> PitResult<()> {
        let end = self.mark();
        let closed = Some(Kept { mark: end, is_flushed: true });
        if self.kept.is_none() || self.tail.lock().kept == closed || end.offset == HEADER {
            return self.name.check();
        }
        self.sync()?;
        let is_flushed = self.flush_name();
        self.keep(&mut self.tail.lock(), end, is_flushed);
        Ok(())
    }

    /// As [`Self::seal`], and lets go of the file: nothing is read or written any more, whoever still has this value.
    ///
    /// # Errors
    /// As [`Self::sync`]; the file is let go of all the same.
    pub fn close(&self) -> PitResult<()> {
        if self.tail.lock().tape.is_none() {
            return Ok(());
        }
        let sealed = self.seal();
        let tape = self.tail.lock().tape.take();
        drop(tape);
        sealed
    }

    /// Keeps a mark up to which the journal is on the disk, or at which it holds a record that is not yet flushed.
    fn keep(&self, tail: &mut Tail, mark: Mark, is_flushed: bool) {
        if let Some(file) = &self.kept {
            let kept = Kept { mark, is_flushed };
            file.write(kept);
            tail.kept = Some(kept);
            self.is_kept_early.store(!is_flushed, Ordering::Release);
        }
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

    fn tape(&self) -> PitResult<Arc<Tape>> {
        self.tail.lock().tape().cloned()
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
        let tape = Arc::clone(tail.tape()?);
        self.name.check_file(&tape.file, tape.identity, tail.end)?;
        let base = Place { generation: tail.generation, offset: tail.end };
        for record in records {
            push_frame(scratch, &self.path, base, record)?;
        }
        if let Err(error) = disk::write_all_at(&tape.file, scratch, tail.end) {
            // A later, shorter record must not leave the remains of this one behind it.
            if disk::set_len(&tape.file, tail.end).is_err() {
                self.broken.store(true, Ordering::Release);
            }
            return Err(PitError::io("append to", &self.path)(error));
        }
        tail.end += scratch.len() as u64;
        if tail.kept.is_none_or(|kept| kept.mark.generation != tail.generation) {
            // Not flushed, so no more than that there is a record, and until the machine starts again.
            let least = Mark { generation: tail.generation, offset: HEADER + FRAME as u64 };
            self.keep(tail, least, false);
        }
        Ok(())
    }
}

impl Tail {
    fn is_on(&self, tape: &Arc<Tape>) -> bool {
        self.tape.as_ref().is_some_and(|current| Arc::ptr_eq(current, tape))
    }

    fn tape(&self) -> PitResult<&Arc<Tape>> {
        self.tape.as_ref().ok_or(PitError::Stopped { member: "journal" })
    }
}

impl Tape {
    fn new(file: File, path: &Path) -> PitResult<Self> {
        let identity = Identity::of(&file).map_err(PitError::io("look at", path))?;
        Ok(Self { file, sync: BatchedSync::default(), identity })
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
