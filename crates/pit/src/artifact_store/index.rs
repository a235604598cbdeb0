//! What the records of the journal add up to: entries, names, tags and order, kept as rows.
//!
//! Invariant: a change is prepared (all that can fail), then journaled, then applied (which cannot fail), all under
//! the store's lock. So the index is always the sum of the journal up to `mark`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ArtifactId;
use super::cache::EntryCache;
use super::record::{Entry, More, Place, Put, Record, decode, encode};
use super::rows::{Batch, Rows};
use crate::journal::Mark;
use crate::{PitError, PitResult};

#[derive(Debug)]
pub(super) struct Index {
    rows: Rows,
    cache: EntryCache,
    sums: Sums,
    /// Segments in which nothing may live any more.
    emptied: BTreeSet<u32>,
}

/// What is kept beside the rows; written with each batch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    /// The journal up to here is in the index.
    generation: u64,
    offset: u64,
    /// Journal records that led here; against `artifacts` it says how much of the journal is history.
    pub(super) records: u64,
    pub(super) next_sequence: u64,
    pub(super) artifacts: u64,
    pub(super) bytes: u64,
    /// The bytes of artifacts that are files of their own.
    pub(super) files: u64,
    /// Bytes in use in each segment.
    pub(super) live: BTreeMap<u32, u64>,
}

/// A prepared change.
#[derive(Debug)]
pub(super) struct Change {
    entries: Vec<(ArtifactId, Option<Arc<Entry>>)>,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    next_sequence: u64,
    artifacts: i64,
    bytes: i64,
    files: i64,
    pub(super) live: Vec<(u32, i64)>,
}

/// A page of the walk over all artifacts, in the order of first puts.
pub(super) type Page = Vec<(ArtifactId, Arc<Entry>)>;

/// The key names the version of the rows' shapes too: rows of another version have no sums and are rebuilt.
const SUMS: &[u8] = b"s3";

impl Index {
    /// Opens the rows; the mark says how much of the journal they cover.
    pub(super) fn open(path: &Path) -> PitResult<(Self, Option<Mark>)> {
        let rows = Rows::open(path)?;
        let sums = match rows.get(SUMS) {
            Ok(bytes) => bytes.and_then(|bytes| decode::<Sums>(&bytes).ok()),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the index is unreadable and is rebuilt");
                None
            }
        };
        let mark =
            sums.as_ref().map(|sums| Mark { generation: sums.generation, offset: sums.offset });
        let (cache, emptied) = (EntryCache::default(), BTreeSet::new());
        let index = Self { rows, cache, sums: sums.unwrap_or_default(), emptied };
        Ok((index, mark))
    }

    /// An index of the same file without any rows, in the place of this one once it has them.
    pub(super) fn emptied(&self) -> PitResult<Self> {
        let (cache, sums) = (EntryCache::default(), Sums::default());
        Ok(Self { rows: self.rows.emptied()?, cache, sums, emptied: BTreeSet::new() })
    }

    /// Looks at the checksums of the database.
    pub(super) fn check(&mut self) -> PitResult<()> {
        self.rows.check()
    }

    /// The same; a damaged database is left as it is.
    pub(super) fn check_in_use(&self) -> PitResult<()> {
        self.rows.check_in_use()
    }

    /// The database's file, where it is too large to be looked at before it is read.
    pub(super) fn large(&self) -> PitResult<Option<PathBuf>> {
        self.rows.large()
    }

    /// Forgets everything, to be rebuilt from the journal.
    pub(super) fn reset(&mut self) -> PitResult<()> {
        self.sums = Sums::default();
        self.cache = EntryCache::default();
        self.rows.reset()
    }

    pub(super) fn sums(&self) -> &Sums {
        &self.sums
    }

    pub(super) fn get(&self, id: &ArtifactId) -> PitResult<Option<Arc<Entry>>> {
        if let Some(entry) = self.cache.get(id) {
            return Ok(Some(entry));
        }
        let Some(bytes) = self.rows.get(&entry_key(id))? else { return Ok(None) };
        let entry = Arc::new(self.row::<Entry>(&bytes)?);
        self.cache.insert(*id, &entry);
        Ok(Some(entry))
    }

    /// The artifacts that have a version of `name`, oldest first.
    pub(super) fn versions(&self, name: &str) -> PitResult<Vec<ArtifactId>> {
        self.ids(&word_key(b'n', name))
    }

    /// The last version number that `name` was given; 0 for none.
    pub(super) fn last_version(&self, name: &str) -> PitResult<u64> {
        let row = self.rows.get(&word_key(b'v', name))?;
        Ok(row.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// The artifacts with `tag`, in the order of their first puts.
    pub(super) fn tagged(&self, tag: &str) -> PitResult<Vec<ArtifactId>> {
        self.ids(&word_key(b't', tag))
    }

    /// The artifacts that were made from it directly, in the order of their first puts.
    pub(super) fn derived(&self, parent: &ArtifactId) -> PitResult<Vec<ArtifactId>> {
        self.ids(&derived_prefix(parent))
    }

    /// All artifacts, in the order of their first puts.
    pub(super) fn all(&self) -> PitResult<Vec<ArtifactId>> {
        self.ids(b"o")
    }

    /// A page of all artifacts, those after `sequence`.
    pub(super) fn page(&self, after: Option<u64>, limit: usize) -> PitResult<Page> {
        let after = after.map(order_key);
        let mut page = Page::with_capacity(limit);
        for (_, id) in self.rows.scan(b"o", after.as_deref(), limit)? {
            let id = self.row::<ArtifactId>(&id)?;
            // Not through the cache: a walk over everything would empty it of what is in use.
            if let Some(bytes) = self.rows.get(&entry_key(&id))? {
                page.push((id, Arc::new(self.row::<Entry>(&bytes)?)));
            }
        }
        Ok(page)
    }

    /// The names that were ever used, with their last versions, a page of them.
    pub(super) fn names(&self, after: Option<&str>, limit: usize) -> PitResult<Vec<(String, u64)>> {
        let after = after.map(|name| word_key(b'v', name));
        let rows = self.rows.scan(b"v", after.as_deref(), limit)?;
        let mut names = Vec::with_capacity(rows.len());
        for (key, version) in rows {
            let name = String::from_utf8_lossy(key.get(3..).unwrap_or_default()).into_owned();
            names.push((name, version.try_into().map_or(0, u64::from_be_bytes)));
        }
        Ok(names)
    }

    /// Works out what `record` changes; nothing is changed yet.
    pub(super) fn prepare(&self, record: &Record) -> PitResult<Change> {
        self.rows.check_open()?;
        let mut change = Change {
            entries: Vec::new(),
            rows: Vec::new(),
            next_sequence: self.sums.next_sequence,
            artifacts: 0,
            bytes: 0,
            files: 0,
            live: Vec::new(),
        };
        match record {
            Record::Put(put) => self.prepare_put(&mut change, put)?,
            Record::Delete(id) => {
                if let Some(entry) = self.get(id)? {
                    if entry.place == Place::Chunks {
                        self.prepare_unlist(&mut change, id)?;
                    }
                    self.prepare_unlisted_words(&mut change, id, &entry)?;
                    change.remove(*id, &entry);
                }
            }
            Record::Move(id, place) => {
                if let Some(entry) = self.get(id)? {
                    if entry.place == Place::Chunks {
                        self.prepare_unlist(&mut change, id)?;
                    }
                    change.release(&entry);
                    let moved = Entry { place: *place, ..Entry::clone(&entry) };
                    change.occupy(&moved);
                    change.set(*id, moved)?;
                }
            }
            Record::Reads(reads) => {
                for (id, count, last) in reads {
                    if let Some(entry) = self.get(id)? {
                        let mut entry = Entry::clone(&entry);
                        entry.reads += count;
                        entry.last_read = entry.last_read.max(*last);
                        change.set(*id, entry)?;
                    }
                }
            }
            Record::PutChunks(put, chunks) => {
                self.prepare_chunks(&mut change, put, chunks)?;
                self.prepare_put(&mut change, put)?;
            }
            Record::MoveChunks(chunks) => self.prepare_moves(&mut change, chunks)?,
            Record::Entry(id, entry) => change.add_whole(*id, entry)?,
            Record::EntryChunks(id, entry, chunks) => {
                self.prepare_list(&mut change, id, chunks)?;
                change.add_whole(*id, entry)?;
            }
            Record::Words(id, words) => {
                if let Some(entry) = self.get(id)? {
                    let mut entry = Entry::clone(&entry);
                    change.add_words(id, &mut entry, words)?;
                    change.set(*id, entry)?;
                }
            }
            Record::Version(name, version) => change.set_last_version(name, *version),
            Record::Sequence(next) => change.next_sequence = *next,
        }
        Ok(change)
    }

    fn prepare_put(&self, change: &mut Change, put: &Put) -> PitResult<()> {
        let existing = self.get(&put.id)?;
        let mut entry = existing.as_deref().cloned().unwrap_or_else(|| Entry {
            sequence: change.next_sequence,
            place: put.place,
            size: put.size,
            created: put.at,
            last_put: put.at,
            names: Vec::new(),
            tags: Vec::new(),
            parents: Vec::new(),
            reads: 0,
            last_read: 0.0,
            more: More::default(),
        });
        entry.last_put = entry.last_put.max(put.at);
        if put.place == Place::Chunks {
            // Where it was damaged elsewhere it lies here now, and was released there.
            entry.place = put.place;
        }
        self.prepare_words(change, &mut entry, put)?;
        if existing.is_some() { change.set(put.id, entry) } else { change.add(put.id, entry) }
    }

    /// Applies a change whose record was journaled up to `mark`.
    pub(super) fn apply(&mut self, change: Change, mark: Mark) {
        let sums = &mut self.sums;
        sums.generation = mark.generation;
        sums.offset = mark.offset;
        sums.records += 1;
        sums.next_sequence = change.next_sequence;
        sums.artifacts = sums.artifacts.saturating_add_signed(change.artifacts);
        sums.bytes = sums.bytes.saturating_add_signed(change.bytes);
        sums.files = sums.files.saturating_add_signed(change.files);
        for (segment, bytes) in change.live {
            let live = sums.live.entry(segment).or_default();
            *live = live.saturating_add_signed(bytes);
            if *live == 0 {
                sums.live.remove(&segment);
                self.emptied.insert(segment);
            }
        }
        for (id, entry) in change.entries {
            match entry {
                Some(entry) => self.cache.insert(id, &entry),
                None => self.cache.remove(&id),
            }
        }
        self.rows.apply(change.rows);
    }

    /// The error for rows that are not as they were written.
    pub(super) fn damage(&self, reason: String) -> PitError {
        self.rows.damage(reason)
    }

    /// Says that the journal was written anew and ends at `mark`, with `records` records.
    pub(super) fn moved_to(&mut self, mark: Mark, records: u64) {
        self.sums.generation = mark.generation;
        self.sums.offset = mark.offset;
        self.sums.records = records;
    }

    /// Says that nothing may live in the segment.
    pub(super) fn may_be_empty(&mut self, segment: u32) {
        self.emptied.insert(segment);
    }

    /// The segments in which nothing lives any more since this was asked last.
    pub(super) fn take_emptied(&mut self) -> impl Iterator<Item = u32> + use<> {
        let emptied = std::mem::take(&mut self.emptied);
        let dead: Vec<_> =
            emptied.into_iter().filter(|segment| self.sums.live(*segment) == 0).collect();
        dead.into_iter()
    }

    /// Whether rows are read from the database, too, and not from memory alone.
    pub(super) fn has_base(&self) -> bool {
        self.rows.has_base()
    }

    pub(super) fn waiting(&self) -> usize {
        self.rows.waiting()
    }

    /// Takes all that waits, with the mark, as one batch.
    pub(super) fn freeze(&mut self) -> PitResult<Option<Batch>> {
        self.rows.check_open()?;
        let sums = encode(&self.sums)?;
        let untouched = self.sums == Sums::default();
        if self.rows.waiting() == 0 && (untouched || self.rows.get(SUMS)?.as_ref() == Some(&sums)) {
            return Ok(None);
        }
        self.rows.apply([(SUMS.to_vec(), Some(sums))]);
        Ok(self.rows.freeze())
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The rows, for [`Rows::thaw`].
    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }

    fn ids(&self, prefix: &[u8]) -> PitResult<Vec<ArtifactId>> {
        self.rows.scan(prefix, None, usize::MAX)?.iter().map(|(_, id)| self.row(id)).collect()
    }

    /// What a row says; one that says nothing is damage of the index, which the journal can mend.
    pub(super) fn row<T: DeserializeOwned>(&self, bytes: &[u8]) -> PitResult<T> {
        decode(bytes).map_err(|error| self.rows.damage(error.to_string()))
    }

    /// The error for a row that other rows name and that is not there.
    pub(super) fn says_nothing_of(&self, what: &str) -> PitError {
        self.rows.damage(format!("it says nothing of {what} that it names"))
    }
}

impl Change {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.rows.push((key, Some(value)));
    }

    pub(super) fn remove_row(&mut self, key: Vec<u8>) {
        self.rows.push((key, None));
    }

    /// Says which version of a name is its last.
    pub(super) fn set_last_version(&mut self, name: &str, version: u64) {
        self.put(word_key(b'v', name), version.to_be_bytes().to_vec());
    }

    fn set(&mut self, id: ArtifactId, entry: Entry) -> PitResult<()> {
        self.put(entry_key(&id), encode(&entry)?);
        self.entries.push((id, Some(Arc::new(entry))));
        Ok(())
    }

    /// Adds an entry that was not there, but for the rows of its names, tags and parents.
    pub(super) fn add(&mut self, id: ArtifactId, entry: Entry) -> PitResult<()> {
        self.put(order_key(entry.sequence), encode(&id)?);
        self.next_sequence = self.next_sequence.max(entry.sequence + 1);
        self.artifacts += 1;
        self.bytes += signed(entry.size);
        self.occupy(&entry);
        self.set(id, entry)
    }

    fn remove(&mut self, id: ArtifactId, entry: &Entry) {
        self.rows.push((entry_key(&id), None));
        self.rows.push((order_key(entry.sequence), None));
        for parent in &entry.parents {
            self.rows.push((derived_key(parent, entry.sequence), None));
        }
        for (name, version) in &entry.names {
            self.rows.push((version_key(name, *version), None));
        }
        for tag in &entry.tags {
            self.rows.push((tag_key(tag, entry.sequence), None));
        }
        self.artifacts -= 1;
        self.bytes -= signed(entry.size);
        self.release(entry);
        self.entries.push((id, None));
    }

    fn occupy(&mut self, entry: &Entry) {
        self.count(entry, signed(entry.size));
    }

    pub(super) fn release(&mut self, entry: &Entry) {
        self.count(entry, -signed(entry.size));
    }

    fn count(&mut self, entry: &Entry, bytes: i64) {
        match entry.place {
            Place::Segment(number, _) => self.live.push((number, bytes)),
            Place::File | Place::Archive => self.files += bytes,
            // Each chunk is counted once, whoever has it.
            Place::Chunks => {}
        }
    }
}

impl Sums {
    /// The bytes that are stored for what is there, each piece once.
    pub(super) fn stored(&self) -> u64 {
        self.live.values().sum::<u64>() + self.files
    }

    pub(super) fn live(&self, segment: u32) -> u64 {
        self.live.get(&segment).copied().unwrap_or_default()
    }
}

pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The error for an id that is not there.
pub(super) fn not_found(id: &ArtifactId) -> PitError {
    PitError::NotFound { kind: "artifact", name: id.to_string() }
}

fn entry_key(id: &ArtifactId) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(b'a');
    key.extend_from_slice(id.as_bytes());
    key
}

fn order_key(sequence: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(b'o');
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// A length before the word: no word's rows stand among those of another that it begins.
fn word_key(kind: u8, word: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(word.len() + 11);
    key.push(kind);
    // Words were checked to be at most MAX_WORD bytes.
    key.extend_from_slice(&u16::try_from(word.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(word.as_bytes());
    key
}

pub(super) fn version_key(name: &str, version: u64) -> Vec<u8> {
    let mut key = word_key(b'n', name);
    key.extend_from_slice(&version.to_be_bytes());
    key
}

/// Of what was made from `parent`, in the order of first puts.
pub(super) fn derived_key(parent: &ArtifactId, sequence: u64) -> Vec<u8> {
    let mut key = derived_prefix(parent);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

fn derived_prefix(parent: &ArtifactId) -> Vec<u8> {
    let mut key = Vec::with_capacity(41);
    key.push(b'd');
    key.extend_from_slice(parent.as_bytes());
    key
}

pub(super) fn tag_key(tag: &str, sequence: u64) -> Vec<u8> {
    let mut key = word_key(b't', tag);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}
