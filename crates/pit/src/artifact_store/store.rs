//! The store itself: put, get, find, delete.
//!
//! Callers: the Pit's handle in Python, Melodies, the stale manager. Invariant: what a put acknowledged is there after
//! the process was killed, and no lock is held while a blob is read or written.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use component::{Health, memory};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::changes::Changes;
use super::chunk_reader::Chunks;
use super::damage::Damage;
use super::deletions::Deletions;
use super::files::{Files, is_absent, make_folder};
use super::flusher::Flusher;
use super::holds::Hold;
use super::index::{Index, not_found};
use super::reader::{Buffer, Source};
use super::record::{Entry, MEMBER, Place, check_word};
use super::recovery::{Recovered, recover};
use super::reserve::Reserve;
use super::segments::Segments;
use super::touches::Touches;
use super::witness::refuse_missing_journal;
use super::{ArtifactId, ArtifactReader, Metadata, PutOptions, StoreStats};
use crate::journal::Journal;
use crate::state_guard::UntilClosed;
use crate::{Durability, PitError, PitResult, RecoveryProgress, StateGuard};

/// Blobs of this size and more are files of their own.
pub const LARGE_BLOB: usize = 64 << 10;
/// A blob that is moved while it is being opened is looked up again.
const LOOKUPS: usize = 4;

/// A store of artifacts in one folder. All methods may be called from many threads.
#[derive(Debug)]
pub struct ArtifactStore {
    pub(super) core: Arc<Core>,
    flusher: Flusher,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) segments: Arc<Segments>,
    pub(super) files: Files,
    pub(super) journal: Journal,
    pub(super) index: RwLock<Index>,
    pub(super) touches: Touches,
    pub(super) damage: Arc<Damage>,
    pub(super) deletions: Deletions,
    /// Whether the index may be read: its checksums were looked at, or it is too large for that.
    pub(super) checked: AtomicBool,
    /// Whether the checksums of all that is in the index were looked at.
    pub(super) vouched: AtomicBool,
    /// How often the index was made anew because it failed.
    pub(super) rebuilds: AtomicU64,
    /// Why the index is in memory alone, until it is on the disk again.
    pub(super) trouble: Mutex<Option<String>>,
    /// What had to be done to the journal since the store was opened, and why.
    pub(super) rescue: Mutex<Option<String>>,
    pub(super) flushing: Mutex<()>,
    /// Room for deletions.
    pub(super) reserve: Reserve,
    pub(super) counters: Counters,
    /// Wakes the thread that brings the index up to date.
    pub(super) changes: Arc<Changes>,
    pub(super) closed: Arc<AtomicBool>,
    /// Shared by whoever changes files, taken alone once by the close.
    gate: RwLock<()>,
    guard: UntilClosed,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    puts: AtomicU64,
    deduplicated: AtomicU64,
    gets: AtomicU64,
    pub(super) failed_flushes: AtomicU64,
}

impl ArtifactStore {
    /// Opens or creates the store in `folder`, which nobody else uses.
    ///
    /// # Errors
    /// [`PitError::NotAFolder`], [`PitError::Io`], or [`PitError::Corrupt`], [`PitError::JournalMissing`] and
    /// [`PitError::Format`] of the journal.
    pub fn open(folder: &Path, durability: Durability) -> PitResult<Arc<Self>> {
        let (guard, progress) = (StateGuard::default(), RecoveryProgress::default());
        Self::open_guarded(folder, durability, guard, &progress)
    }

    /// The same under the lock of the state that it is part of, which is kept until the store is closed. `progress` is told
    /// how far the opening is.
    ///
    /// # Errors
    /// As [`Self::open`]; the guard is let go of.
    pub fn open_guarded(
        folder: &Path,
        durability: Durability,
        guard: StateGuard,
        progress: &RecoveryProgress,
    ) -> PitResult<Arc<Self>> {
        let core = Arc::new(Core::open(folder, durability, guard, progress)?);
        let flusher = Flusher::start(&core)?;
        Ok(Arc::new(Self { core, flusher }))
    }

    /// Stores `data` and returns its id; content that is there already is not stored twice, unless it was found
    /// damaged: then it is stored anew.
    ///
    /// # Errors
    /// [`PitError::Invalid`] for a name or tag, [`PitError::Io`], [`PitError::Stopped`].
    pub fn put(&self, data: &[u8], options: &PutOptions) -> PitResult<ArtifactId> {
        self.core.put(data, options)
    }

    #[cfg(test)]
    pub(crate) fn journal(&self) -> &Journal {
        &self.core.journal
    }

    /// The bytes of an artifact, checked against its id.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Corrupt`] when the bytes are not those that were put, [`PitError::Io`].
    pub fn get(&self, id: &ArtifactId) -> PitResult<Vec<u8>> {
        self.check_open()?;
        let data = self.core.read(id)?;
        self.count_get(id);
        Ok(data)
    }

    /// A reader of an artifact, for what is too large to hold in memory; the bytes are not checked.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Io`].
    pub fn open_reader(&self, id: &ArtifactId) -> PitResult<ArtifactReader> {
        self.check_open()?;
        let (reader, _) = self.core.open_blob(id)?;
        self.count_get(id);
        Ok(reader)
    }

    /// Whether the artifact is stored.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`].
    pub fn exists(&self, id: &ArtifactId) -> PitResult<bool> {
        self.check_open()?;
        Ok(self.core.entry(id)?.is_some())
    }

    /// Whether it was deleted and is not there any more, as far as that is known: of the newest deletions since the store was
    /// opened.
    pub fn is_deleted(&self, id: &ArtifactId) -> bool {
        self.core.deletions.has(id) && matches!(self.exists(id), Ok(false))
    }

    /// What is known about an artifact.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Index`].
    pub fn metadata(&self, id: &ArtifactId) -> PitResult<Metadata> {
        self.check_open()?;
        let entry = self.core.entry(id)?.ok_or_else(|| not_found(id))?;
        self.core.describe(id, &entry)
    }

    /// The artifacts with that name (oldest version first), that tag (in the order of first puts), both, or all.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`].
    pub fn find(&self, name: Option<&str>, tag: Option<&str>) -> PitResult<Vec<ArtifactId>> {
        self.check_open()?;
        self.core.look(|index| {
            let Some(name) = name else {
                return tag.map_or_else(|| index.all(), |tag| index.tagged(tag));
            };
            let mut found = Vec::new();
            for id in index.versions(name)? {
                let wanted = match (tag, index.get(&id)?) {
                    (Some(tag), Some(entry)) => index.has_tag(&id, &entry, tag)?,
                    (_, entry) => entry.is_some(),
                };
                if wanted && !found.contains(&id) {
                    found.push(id);
                }
            }
            Ok(found)
        })
    }

    /// The versions of a name, oldest first; versions whose artifact was deleted are left out.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`].
    pub fn versions(&self, name: &str) -> PitResult<Vec<ArtifactId>> {
        self.check_open()?;
        self.core.look(|index| index.versions(name))
    }

    /// What the artifact was made from, what that was made from, and so on, nearest first; also what is gone.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Index`].
    pub fn lineage(&self, id: &ArtifactId) -> PitResult<Vec<ArtifactId>> {
        let mut ancestors = self.metadata(id)?.parents;
        let mut seen: HashSet<_> = ancestors.iter().copied().collect();
        seen.insert(*id);
        let mut next = 0;
        while let Some(ancestor) = ancestors.get(next).copied() {
            next += 1;
            let parents = self.core.look(|index| {
                let entry = index.get(&ancestor)?;
                let whole = entry.map(|entry| index.whole(&ancestor, &entry)).transpose()?;
                Ok(whole.map(|whole| whole.parents).unwrap_or_default())
            })?;
            ancestors.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
        }
        Ok(ancestors)
    }

    /// What was made of the artifact, what was made of that, and so on, nearest first; also where it is gone itself.
    ///
    /// # Errors
    /// [`PitError::Index`], [`PitError::Stopped`].
    pub fn derived(&self, id: &ArtifactId) -> PitResult<Vec<ArtifactId>> {
        self.check_open()?;
        let mut found = self.core.look(|index| index.derived(id))?;
        let mut seen: HashSet<_> = found.iter().copied().collect();
        seen.insert(*id);
        let mut next = 0;
        while let Some(made) = found.get(next).copied() {
            next += 1;
            let further = self.core.look(|index| index.derived(&made))?;
            found.extend(further.into_iter().filter(|made| seen.insert(*made)));
        }
        Ok(found)
    }

    /// Deletes an artifact with its names and tags.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Io`].
    pub fn delete(&self, id: &ArtifactId) -> PitResult<()> {
        let _open = self.core.enter()?;
        self.core.delete(id, None)?;
        self.core.changes.changed();
        Ok(())
    }

    /// Deletes an artifact if it is still as `seen`: not put, named, tagged or read since. Answers whether it went.
    ///
    /// # Errors
    /// [`PitError::NotFound`], [`PitError::Io`].
    pub fn delete_unchanged(&self, seen: &Metadata) -> PitResult<bool> {
        let _open = self.core.enter()?;
        let deleted = self.core.delete(&seen.id, Some(seen))?;
        self.core.changes.changed();
        Ok(deleted)
    }

    /// Counters.
    pub fn stats(&self) -> StoreStats {
        let index = self.core.index.read();
        let sums = index.sums();
        let recovery = self.core.journal.recovery();
        let counters = &self.core.counters;
        let live = sums.live.values().sum::<u64>();
        StoreStats {
            artifacts: sums.artifacts,
            bytes: sums.bytes,
            stored_bytes: sums.stored(),
            puts: counters.puts.load(Ordering::Relaxed),
            deduplicated: counters.deduplicated.load(Ordering::Relaxed),
            gets: counters.gets.load(Ordering::Relaxed),
            dead_bytes: self.core.segments.bytes().saturating_sub(live),
            journal_bytes: self.core.journal.mark().offset,
            replayed: recovery.records,
            truncated: recovery.truncated,
            pending_rows: index.waiting() as u64,
            failed_flushes: counters.failed_flushes.load(Ordering::Relaxed),
        }
    }

    /// Unhealthy when nothing is acknowledged, degraded when something is wrong by which nothing is lost, and why.
    pub fn health(&self) -> Health {
        let journal = self.core.journal.health();
        if journal != Health::Healthy {
            return journal;
        }
        let trouble = self.core.trouble.lock().clone();
        trouble.or_else(|| self.core.rescue.lock().clone()).map_or(journal, Health::Degraded)
    }

    /// Brings the index up to date and flushes everything to the disk.
    ///
    /// # Errors
    /// [`PitError::Io`], [`PitError::Index`]; what was acknowledged is in the journal all the same.
    pub fn flush(&self) -> PitResult<()> {
        self.check_open()?;
        self.core.flush()
    }

    /// Ends the background thread and flushes; later calls are [`PitError::Stopped`]. May be called twice.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn close(&self) -> PitResult<()> {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Waits for what is under way; what comes later is refused. Handles may live on, but the files must be free
        // for the next system in this process: a late write would go over that one's.
        drop(self.core.gate.write());
        let _closing = self.core.guard.closing();
        self.flusher.stop();
        self.core.flush_and_close()
    }

    /// Refuses what comes after the close.
    pub(crate) fn check_open(&self) -> PitResult<()> {
        self.core.check_open()
    }

    pub(super) fn changed(&self) {
        self.core.changes.changed();
    }

    fn count_get(&self, id: &ArtifactId) {
        self.core.counters.gets.fetch_add(1, Ordering::Relaxed);
        self.core.touches.count(id, now());
        self.core.changes.changed();
    }
}

impl Drop for ArtifactStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the artifact store's index could not be brought up to date");
        }
    }
}

impl Core {
    fn open(
        folder: &Path,
        durability: Durability,
        guard: StateGuard,
        progress: &RecoveryProgress,
    ) -> PitResult<Self> {
        if fs::metadata(folder).is_ok_and(|found| !found.is_dir()) {
            return Err(PitError::NotAFolder { path: folder.to_owned(), found: "a file" });
        }
        refuse_missing_journal(folder)?;
        let segments = folder.join("segments");
        make_folder(&segments)?;
        let changes = Arc::<Changes>::default();
        let segments = Arc::new(Segments::open(&segments, durability, Arc::clone(&changes))?);
        let files = Files::open(folder, durability)?;
        let Recovered { journal, index, deleted, rescue } = recover(folder, durability, progress)?;
        // A crash may have come between the record of a deletion and the deletion.
        for (id, place) in deleted {
            if index.get(&id)?.is_none() {
                files.abandon(&id, place);
            }
        }
        // What was made of the journal just now needs no look.
        let is_new = !index.has_base();
        let core = Self {
            segments,
            files,
            journal,
            index: RwLock::new(index),
            touches: Touches::default(),
            damage: Arc::default(),
            deletions: Deletions::default(),
            checked: AtomicBool::new(is_new),
            vouched: AtomicBool::new(is_new),
            rebuilds: AtomicU64::new(0),
            trouble: Mutex::new(None),
            rescue: Mutex::new(rescue),
            flushing: Mutex::new(()),
            reserve: Reserve::new(folder),
            counters: Counters::default(),
            changes,
            closed: Arc::default(),
            gate: RwLock::new(()),
            guard: UntilClosed::new(guard),
        };
        core.shorten_journal_if_possible(progress);
        Ok(core)
    }

    fn check_open(&self) -> PitResult<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(PitError::Stopped { member: MEMBER });
        }
        Ok(())
    }

    /// For whoever changes files: the store is not closed before the answer is dropped. Not to be held twice.
    pub(super) fn enter(&self) -> PitResult<RwLockReadGuard<'_, ()>> {
        let guard = self.gate.read();
        self.check_open()?;
        if self.journal.is_broken() {
            let _one_at_a_time = self.flushing.lock();
            self.mend_alone()?;
        }
        Ok(guard)
    }

    pub(super) fn entry(&self, id: &ArtifactId) -> PitResult<Option<Arc<Entry>>> {
        self.look(|index| index.get(id))
    }

    pub(super) fn describe(&self, id: &ArtifactId, entry: &Entry) -> PitResult<Metadata> {
        if entry.more.is_none() {
            return Ok(self.metadata_of(id, entry));
        }
        Ok(self.metadata_of(id, &self.look(|index| index.whole(id, entry))?))
    }

    /// What is known about an artifact, of whose lists the entry has all.
    pub(super) fn metadata_of(&self, id: &ArtifactId, entry: &Entry) -> Metadata {
        let (reads, last) = self.touches.of(id);
        let last_read = entry.last_read.max(last);
        Metadata {
            id: *id,
            size: entry.size,
            created: entry.created,
            last_put: entry.last_put,
            names: entry.names.clone(),
            tags: entry.tags.clone(),
            parents: entry.parents.clone(),
            reads: entry.reads + reads,
            last_read: (last_read > 0.0).then_some(last_read),
            archived: entry.place == Place::Archive,
        }
    }

    pub(super) fn count_put(&self, known: bool) {
        self.counters.puts.fetch_add(1, Ordering::Relaxed);
        if known {
            self.counters.deduplicated.fetch_add(1, Ordering::Relaxed);
        }
        self.changes.changed();
    }

    /// Reads a whole artifact and checks it.
    pub(super) fn read(&self, id: &ArtifactId) -> PitResult<Vec<u8>> {
        let (mut reader, entry) = self.open_blob(id)?;
        let size = usize::try_from(entry.size).map_err(|_| PitError::OverLimit {
            what: "artifact",
            name: id.to_string(),
            wanted: entry.size,
            limit: usize::MAX as u64,
        })?;
        let mut data = memory::with_room(size)?;
        if let Some(chunks) = reader.chunks() {
            data.resize(size, 0);
            self.read_chunks(id, &entry, chunks, &mut data)?;
            return Ok(data);
        }
        match reader.read_to_end(&mut data) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(id, &entry, "the artifact's bytes end too soon"));
            }
            Err(error) => {
                self.damage.found(id);
                return Err(PitError::io("read artifact", id.to_string())(error));
            }
            Ok(_) => {}
        }
        if ArtifactId::of(&data) != *id {
            return Err(self.damaged(id, &entry, "the artifact's bytes do not match its id"));
        }
        Ok(data)
    }

    /// The same of one in chunks.
    fn read_chunks(
        &self,
        id: &ArtifactId,
        entry: &Entry,
        chunks: &Chunks,
        data: &mut [u8],
    ) -> PitResult<()> {
        let mut left = &mut *data;
        for number in 0..chunks.count() {
            let Some((chunk, rest)) = left.split_at_mut_checked(chunks.length(number)) else {
                break;
            };
            chunks.read(number, chunk)?;
            left = rest;
        }
        if ArtifactId::of(data) == *id {
            return Ok(());
        }
        let reason = "the artifact's bytes do not match its id";
        Err(chunks.find_damage().unwrap_or_else(|| self.damaged(id, entry, reason)))
    }

    pub(super) fn open_blob(&self, id: &ArtifactId) -> PitResult<(ArtifactReader, Arc<Entry>)> {
        let mut lookups = 1;
        loop {
            let (entry, chunks) = self.look(|index| {
                let entry = index.get(id)?.ok_or_else(|| not_found(id))?;
                if entry.place != Place::Chunks {
                    return Ok((entry, None));
                }
                let (chunks, hold) = (index.chunks(id)?, Hold::new(self.segments.holds()));
                for chunk in &chunks {
                    hold.add(chunk.segment);
                }
                Ok((entry, Some((chunks, hold))))
            })?;
            let opened = match (entry.place, chunks) {
                (_, Some((chunks, hold))) => {
                    let (segments, damage) = (Arc::clone(&self.segments), Arc::clone(&self.damage));
                    let chunks = Arc::new(Chunks::new(*id, chunks, segments, damage, hold));
                    return Ok((
                        self.reader(Source::Chunks(chunks, Buffer::default()), &entry),
                        entry,
                    ));
                }
                (Place::Segment(number, offset), None) => {
                    self.segments.file(number).map(|file| (file, offset))
                }
                (place, None) => self.files.open_blob(id, place).map(|file| (Arc::new(file), 0)),
            };
            match opened {
                Ok((file, start)) => {
                    return Ok((self.reader(Source::File(file, start), &entry), entry));
                }
                Err(error) if is_absent(&error) && lookups < LOOKUPS => lookups += 1,
                Err(error) => {
                    if is_absent(&error) {
                        self.damage.found(id);
                    }
                    return Err(error);
                }
            }
        }
    }

    fn reader(&self, source: Source, entry: &Entry) -> ArtifactReader {
        ArtifactReader::new(source, entry.size, Arc::clone(&self.closed))
    }

    fn damaged(&self, id: &ArtifactId, entry: &Entry, reason: &'static str) -> PitError {
        self.damage.found(id);
        let (path, offset) = match entry.place {
            Place::Segment(number, offset) => (self.segments.path(number), offset),
            place if place.is_file() => (self.files.path(id, place), 0),
            // Each of its chunks is what it was.
            _ => (self.journal.path().to_owned(), 0),
        };
        PitError::Corrupt { path, offset, reason }
    }
}

/// Refuses names and tags that cannot be.
pub(super) fn check(options: &PutOptions) -> PitResult<()> {
    options.name.iter().try_for_each(|name| check_word("artifact name", name))?;
    options.tags.iter().try_for_each(|tag| check_word("tag", tag))
}

/// Unix seconds.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
