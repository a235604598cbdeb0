//! What the store does beside serving: flush, verify, archive, reclaim dead bytes, shorten the journal.
//!
//! All of it walks in pages and holds the lock only for single steps.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::atomic::Ordering;

use super::files::is_absent;
use super::index::{Index, not_found};
use super::record::{Entry, Place, Record};
use super::snapshot::write_journal;
use super::store::{ArtifactStore, Core};
use super::{ArtifactId, ArtifactReader, Metadata, VerifyReport, now};
use crate::{PitError, PitResult, RecoveryProgress};

const PAGE: usize = 1024;
const CHUNK: usize = 1 << 20;
/// Reads per journal record.
const READS: usize = 10_000;
/// A journal with fewer records than this is left alone.
const SHORT_JOURNAL: u64 = 50_000;

/// What ends a walk over all artifacts early.
const GIVEN_UP: &str = "maintenance";

impl ArtifactStore {
    /// Reads every artifact and compares its bytes with its id, and the journal, which is written anew where it is damaged.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`]; bytes that cannot be read are in the report.
    pub fn verify(&self) -> PitResult<VerifyReport> {
        self.verify_while(None)
    }

    /// The same, asking `interrupted` between artifacts whether to give it up: what was found by then is told.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_while(&self, interrupted: Option<&dyn Fn() -> bool>) -> PitResult<VerifyReport> {
        let mut report = VerifyReport::default();
        let mut chunk = Vec::new();
        component::memory::resize(&mut chunk, CHUNK)?;
        let walked = self.walk(|id, _| {
            if interrupted.is_some_and(|ask| ask()) {
                return Err(PitError::Stopped { member: GIVEN_UP });
            }
            match self.core.intact(id, &mut chunk) {
                Ok(intact) => {
                    report.checked += 1;
                    if !intact {
                        self.core.damage.found(id);
                        report.bad.push(*id);
                    }
                }
                // Deleted while the walk went on.
                Err(PitError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        });
        match walked {
            Err(PitError::Stopped { member: GIVEN_UP }) => return Ok(report),
            walked => walked?,
        }
        report.journal = self.core.verify_journal()?;
        Ok(report)
    }

    /// Moves an artifact's bytes to the archive folder, out of the segments; it reads as before.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Corrupt`], [`PitError::Io`].
    pub fn archive(&self, id: &ArtifactId) -> PitResult<()> {
        self.archive_at(id, now())
    }

    /// The same as of `at`, in Unix seconds. The file in the archive is of that time, so the time outlives the process.
    ///
    /// # Errors
    /// As [`Self::archive`].
    pub fn archive_at(&self, id: &ArtifactId, at: f64) -> PitResult<()> {
        let _open = self.core.enter()?;
        while !self.core.archive(id, at)? {}
        self.changed();
        Ok(())
    }

    /// When it was archived, in Unix seconds; none: it is not. Of a file that somebody copied it is when that was.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Index`], [`PitError::Io`].
    pub fn archived_at(&self, id: &ArtifactId) -> PitResult<Option<f64>> {
        let entry = self.core.entry(id)?.ok_or_else(|| not_found(id))?;
        if entry.place != Place::Archive {
            return Ok(None);
        }
        self.core.files.modified(id, Place::Archive).map(Some)
    }

    /// Gives the bytes of deleted artifacts back to the disk: segments more than half dead are written anew.
    /// Answers how many bytes were given back. What a disk refuses, as one without room for what is written anew, is a
    /// warning, and is tried again at the next call; and so is what is left where `interrupted`, asked between artifacts, says
    /// to give it up.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`].
    pub fn reclaim(&self, interrupted: Option<&dyn Fn() -> bool>) -> PitResult<u64> {
        let before = self.core.segments.bytes();
        let mut sparse = BTreeSet::new();
        {
            let _open = self.core.enter()?;
            let index = self.core.index.write();
            for (number, length) in self.core.segments.sealed() {
                match index.sums().live(number) {
                    0 => self.core.remove_dead_if_possible(number),
                    live if live < length / 2 => drop(sparse.insert(number)),
                    _ => {}
                }
            }
        }
        if !sparse.is_empty() {
            match self.rewrite_all(&sparse, interrupted) {
                Err(PitError::Stopped { member: GIVEN_UP }) => {}
                Err(error @ PitError::Io { .. }) => {
                    tracing::warn!(%error, "sparse segments were not all written anew");
                }
                rewritten => rewritten?,
            }
        }
        self.changed();
        Ok(before.saturating_sub(self.core.segments.bytes()))
    }

    /// Moves all that lives in these segments to the newest.
    fn rewrite_all(
        &self,
        sparse: &BTreeSet<u32>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<()> {
        let go_on = || match interrupted {
            Some(ask) if ask() => Err(PitError::Stopped { member: GIVEN_UP }),
            _ => Ok(()),
        };
        self.core.rewrite_chunks(sparse, &go_on)?;
        self.walk(|id, entry| match entry.place {
            Place::Segment(number, _) if sparse.contains(&number) => {
                go_on()?;
                self.core.rewrite(id, entry)
            }
            _ => Ok(()),
        })
    }

    /// Calls `visit` with the metadata of every artifact, in the order of first puts, under no lock.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`], or what `visit` returns.
    pub fn each(&self, mut visit: impl FnMut(Metadata) -> PitResult<()>) -> PitResult<()> {
        self.walk(|id, entry| visit(self.core.describe(id, entry)?))
    }

    fn walk(&self, mut visit: impl FnMut(&ArtifactId, &Entry) -> PitResult<()>) -> PitResult<()> {
        let mut after = None;
        loop {
            self.check_open()?;
            let page = self.core.look(|index| index.page(after, PAGE))?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            after = Some(last.sequence);
            for (id, entry) in &page {
                visit(id, entry)?;
            }
        }
    }
}

impl Core {
    /// Journals the reads, then brings all that waits to redb. Batches do not overlap.
    pub(super) fn flush(&self) -> PitResult<()> {
        let _one_at_a_time = self.flushing.lock();
        self.mend_alone()?;
        self.flush_alone(false)
    }

    /// Flushes, and lets the database go whether that went well or not.
    pub(super) fn flush_and_close(&self) -> PitResult<()> {
        let _one_at_a_time = self.flushing.lock();
        let flushed = self.mend_alone().and_then(|()| {
            // Too large to be looked at now: the journal has what it misses.
            let is_looked_at =
                self.vouched.load(Ordering::Acquire) || self.index.read().large()?.is_none();
            if is_looked_at { self.flush_alone(true) } else { Ok(()) }
        });
        self.index.write().rows_mut().close();
        // Also where the index could not be written: the journal has it all.
        let closed = self.journal.close();
        flushed.and(closed)
    }

    fn flush_alone(&self, is_last: bool) -> PitResult<()> {
        // A damaged page that is written anew would have a right checksum.
        self.vouch()?;
        let mut reads = self.touches.take();
        while !reads.is_empty() {
            let part = reads.split_off(reads.len().saturating_sub(READS));
            let written = self.record(&mut self.index.write(), &Record::Reads(part.clone()));
            match written {
                // Statistics: not worth a wait for the disk, and the next line flushes it anyway.
                Ok(written) => drop(written),
                Err(error) => {
                    self.touches.restore(part);
                    self.touches.restore(reads);
                    return Err(error);
                }
            }
        }
        if self.segments.holds().take_kept() {
            self.remove_all_dead();
        }
        let Some(batch) = self.index.write().freeze()? else { return Ok(()) };
        // The index must never be ahead of the journal, also after a power cut.
        self.journal.sync()?;
        let base = batch.commit().inspect_err(|error| self.not_written(error, is_last))?;
        let done = self.index.write().rows_mut().thaw(base);
        drop(done);
        self.reserve.keep();
        *self.trouble.lock() = None;
        Ok(())
    }

    fn intact(&self, id: &ArtifactId, chunk: &mut [u8]) -> PitResult<bool> {
        let (mut reader, _) = match self.open_blob(id) {
            Err(error) if is_absent(&error) => return Ok(false),
            other => other?,
        };
        let intact = is_content(id, &mut reader, chunk);
        // So that a put stores no more anew than what is damaged.
        if !intact && let Some(chunks) = reader.chunks() {
            drop(chunks.find_damage());
        }
        Ok(intact)
    }

    /// Removes the segments in which nothing lives any more. The record that emptied them is written by then, so one
    /// that cannot be removed is no reason to say that it was not.
    pub(super) fn release(&self, index: &mut Index) {
        for number in index.take_emptied() {
            self.remove_dead_if_possible(number);
        }
    }

    fn remove_dead_if_possible(&self, number: u32) {
        if let Err(error) = self.remove_dead(number) {
            tracing::warn!(%error, "a segment in which nothing lives stays until the next sweep");
        }
    }

    /// Looks at all segments for such as nothing lives in: what a crash left, or a reader held until now.
    pub(super) fn remove_all_dead(&self) {
        let mut index = self.index.write();
        for number in self.segments.numbers() {
            index.may_be_empty(number);
        }
        self.release(&mut index);
    }

    /// What was written and not recorded before the process was killed. Only by an index that is known to be right.
    pub(super) fn remove_what_a_crash_left(&self) {
        if self.vouched.load(Ordering::Acquire) {
            self.remove_all_dead();
        }
    }

    /// Removes a segment in which nothing lives; the caller holds the index. After a power cut the journal's word is
    /// all there is, so what took the last blob away is on the disk before the segment goes.
    fn remove_dead(&self, number: u32) -> PitResult<()> {
        self.journal.settle_all()?;
        self.segments.remove_dead(number)
    }

    /// False: the artifact was moved meanwhile, try again.
    fn archive(&self, id: &ArtifactId, at: f64) -> PitResult<bool> {
        let entry = self.entry(id)?.ok_or_else(|| not_found(id))?;
        let draft = match entry.place {
            Place::Archive => return Ok(true),
            Place::File => None,
            Place::Segment(..) => Some(self.draft(&self.read(id)?)?),
            Place::Chunks => Some(self.copy(id)?),
        };
        match self.files.date(draft.as_ref(), id, at) {
            // Moved or deleted meanwhile; where it was not, the next step says so.
            Err(error) if draft.is_none() && is_absent(&error) => {}
            dated => dated?,
        }
        let mut index = self.index.write();
        if index.get(id)?.ok_or_else(|| not_found(id))?.place != entry.place {
            return Ok(false);
        }
        match draft {
            Some(draft) => self.files.adopt(draft, id, Place::Archive)?,
            None => self.files.archive(id)?,
        }
        let written = self.record(&mut index, &Record::Move(*id, Place::Archive))?;
        self.release(&mut index);
        drop(index);
        self.journal.settle(written)?;
        Ok(true)
    }

    /// Moves a blob from a sparse segment to the newest.
    fn rewrite(&self, id: &ArtifactId, entry: &Entry) -> PitResult<()> {
        let _open = self.enter()?;
        let data = match self.read(id) {
            // Deleted meanwhile; or damaged, which is left as it is for `verify` to tell.
            Err(PitError::NotFound { .. } | PitError::Corrupt { .. }) => return Ok(()),
            other => other?,
        };
        let stored = self.segments.append(&data)?;
        let mut index = self.index.write();
        if index.get(id)?.is_none_or(|current| current.place != entry.place) {
            return Ok(());
        }
        let written = self.record(&mut index, &Record::Move(*id, stored.place))?;
        self.release(&mut index);
        drop(index);
        self.journal.settle(written)
    }

    /// Shortens the journal, or says why not and goes on with the long one: a full disk must not keep the store shut.
    pub(super) fn shorten_journal_if_possible(&self, progress: &RecoveryProgress) {
        if let Err(error) = self.shorten_journal(progress) {
            tracing::warn!(%error, "the artifact journal was not shortened; it is tried again at the next start");
        }
    }

    /// Writes the journal anew when most of it is history. Only at open: nobody else is there.
    fn shorten_journal(&self, progress: &RecoveryProgress) -> PitResult<()> {
        let (records, artifacts) = {
            let index = self.index.read();
            (index.sums().records, index.sums().artifacts)
        };
        if records < SHORT_JOURNAL || records < artifacts.saturating_mul(4) {
            return Ok(());
        }
        {
            let _one_at_a_time = self.flushing.lock();
            self.vouch()?;
            self.write_journal_anew(progress)?;
        }
        self.flush()
    }

    /// A journal that could not be flushed is written anew before anything follows. `flushing` is held by the caller.
    pub(super) fn mend_alone(&self) -> PitResult<()> {
        if self.journal.is_broken() {
            self.vouch()?;
            self.write_journal_anew(&RecoveryProgress::default())?;
        }
        Ok(())
    }

    /// Rows that do not add up to what is kept beside them make no journal: the old one says what they must be.
    pub(super) fn write_journal_anew(&self, progress: &RecoveryProgress) -> PitResult<()> {
        let written = write_journal(&mut self.index.write(), &self.journal, progress);
        let Err(error @ PitError::Index { .. }) = written else { return written };
        self.rebuild(&error)?;
        write_journal(&mut self.index.write(), &self.journal, progress)
    }
}

fn is_content(id: &ArtifactId, reader: &mut ArtifactReader, chunk: &mut [u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    loop {
        match reader.read(chunk) {
            Ok(0) => return hasher.finalize().as_bytes() == id.as_bytes(),
            Ok(count) => hasher.update(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return false,
        };
    }
}
