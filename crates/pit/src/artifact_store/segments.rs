//! Append-only files that hold the small blobs, one after another.
//!
//! No framing: the journal says what lies where, and the id is the checksum. Bytes that no record names are dead.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};

use super::changes::Changes;
use super::holds::{Hold, Holds};
use super::record::Place;
use crate::disk::{self, OpenAs};
use crate::durability::BatchedSync;
use crate::journal_file::sync_folder_of;
use crate::{Durability, PitError, PitResult};

/// How long a segment becomes.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;
/// The newest segment goes too, when nothing lives in it and it is longer than this; a shorter one is written on.
pub(super) const WORTH_REMOVING: u64 = 1 << 20;
/// Segments kept open for reading.
const OPEN_FILES: usize = 64;

#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    durability: Durability,
    tail: Mutex<Tail>,
    open: RwLock<BTreeMap<u32, Arc<File>>>,
    holds: Arc<Holds>,
}

#[derive(Debug)]
struct Tail {
    segment: Option<Arc<Segment>>,
    next: u32,
    end: u64,
    /// Lengths of the segments that are full.
    sealed: BTreeMap<u32, (u64, Option<Arc<Segment>>)>,
}

#[derive(Debug)]
struct Segment {
    number: u32,
    path: PathBuf,
    file: Arc<File>,
    sync: BatchedSync,
    /// Blobs that were written here and whose record is not yet in the journal.
    pending: AtomicU32,
}

/// A blob that was written; its segment stays while this lives.
#[derive(Debug)]
pub(super) struct Stored {
    segment: Arc<Segment>,
    pub(super) place: Place,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.segment.pending.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Segments {
    pub(super) fn open(
        folder: &Path,
        durability: Durability,
        changes: Arc<Changes>,
    ) -> PitResult<Self> {
        let mut sealed = BTreeMap::new();
        let listing = fs::read_dir(folder).map_err(PitError::io("list the folder", folder))?;
        for file in listing {
            let file = file.map_err(PitError::io("list the folder", folder))?;
            let name = file.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("segment-"));
            let number = number.and_then(|number| u32::from_str_radix(number, 16).ok());
            if let Some(number) = number {
                let length = file.metadata().map_err(PitError::io("read", file.path()))?.len();
                sealed.insert(number, (length, None));
            }
        }
        let next = sealed.keys().next_back().map_or(0, |last| last + 1);
        let mut tail = Tail { segment: None, next, end: 0, sealed };
        // The last one goes on where it ended, if it has room.
        if let Some((number, length)) = tail.sealed.last_key_value().map(|(n, l)| (*n, l.0))
            && length < SEGMENT_BYTES
        {
            tail.sealed.remove(&number);
            tail.segment = Some(Arc::new(Segment::open(folder, number)?));
            tail.end = length;
        }
        let open = RwLock::new(BTreeMap::new());
        let (folder, tail, holds) = (folder.to_owned(), Mutex::new(tail), Holds::new(changes));
        Ok(Self { folder, durability, tail, open, holds })
    }

    /// Appends a blob; it is on the disk too where the durability asks for it.
    pub(super) fn append(&self, data: &[u8]) -> PitResult<Stored> {
        let stored = self.reserve(data.len() as u64)?;
        let (Place::Segment(_, offset), segment) = (stored.place, &stored.segment) else {
            return Ok(stored);
        };
        let writing = || PitError::io("append to", &segment.path);
        if let Err(error) = disk::write_all_at(&segment.file, data, offset) {
            self.give_back(&stored, data.len() as u64);
            return Err(writing()(error));
        }
        let ticket = segment.sync.wrote();
        if self.durability == Durability::Power {
            segment.sync.settle(&segment.file, ticket).map_err(writing())?;
        }
        Ok(stored)
    }

    /// Who keeps segments where they are.
    pub(super) fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// Makes a file of `length` bytes, to which `name` gives its name, a full segment. Nobody else removes it as long as
    /// `hold` lives.
    pub(super) fn adopt(
        &self,
        length: u64,
        hold: &Hold,
        name: impl FnOnce(&Path) -> PitResult<()>,
    ) -> PitResult<u32> {
        let number = {
            let mut tail = self.tail.lock();
            tail.next += 1;
            tail.next - 1
        };
        hold.add(number);
        let path = segment_path(&self.folder, number);
        // It may have its name and fail after that.
        name(&path).inspect_err(|_| drop(disk::remove(&path)))?;
        self.tail.lock().sealed.insert(number, (length, None));
        Ok(number)
    }

    /// The file that holds the segment.
    pub(super) fn file(&self, number: u32) -> PitResult<Arc<File>> {
        if let Some(file) = self.open.read().get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = segment_path(&self.folder, number);
        let file = Arc::new(disk::open(&path, OpenAs::Read).map_err(PitError::io("open", &path))?);
        let mut open = self.open.write();
        if open.len() >= OPEN_FILES {
            open.pop_first();
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// The segment's path, for errors.
    pub(super) fn path(&self, number: u32) -> PathBuf {
        segment_path(&self.folder, number)
    }

    /// All segments, oldest first.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let tail = self.tail.lock();
        let newest = tail.segment.as_ref().map(|segment| segment.number);
        tail.sealed.keys().copied().chain(newest).collect()
    }

    /// Full segments and their lengths, oldest first.
    pub(super) fn sealed(&self) -> Vec<(u32, u64)> {
        self.tail.lock().sealed.iter().map(|(number, (length, _))| (*number, *length)).collect()
    }

    /// The length of all segments together.
    pub(super) fn bytes(&self) -> u64 {
        let tail = self.tail.lock();
        tail.end + tail.sealed.values().map(|(length, _)| length).sum::<u64>()
    }

    /// Removes a full segment in which nothing lives. Call it under the store's lock, or a record may yet name it.
    pub(super) fn remove_dead(&self, number: u32) -> PitResult<()> {
        let mut tail = self.tail.lock();
        let busy = |segment: &Arc<Segment>| segment.pending.load(Ordering::Acquire) > 0;
        if tail.end >= WORTH_REMOVING
            && tail.segment.as_ref().is_some_and(|segment| segment.number == number)
        {
            // What follows goes to a new one; if this one is still in use, it goes later.
            let (end, segment) = (tail.end, tail.segment.take());
            tail.sealed.insert(number, (end, segment));
            tail.end = 0;
        }
        match tail.sealed.get(&number) {
            None => return Ok(()),
            Some((_, segment)) if segment.as_ref().is_some_and(busy) => return Ok(()),
            Some(_) if self.holds.keep(number) => return Ok(()),
            Some(_) => {}
        }
        let path = segment_path(&self.folder, number);
        disk::remove(&path).map_err(PitError::io("remove", &path))?;
        tail.sealed.remove(&number);
        self.open.write().remove(&number);
        Ok(())
    }

    /// Room that was not written to is for the next blob, unless one came after it.
    fn give_back(&self, stored: &Stored, size: u64) {
        let mut tail = self.tail.lock();
        let is_newest =
            tail.segment.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, &stored.segment));
        if let Place::Segment(_, offset) = stored.place
            && is_newest
            && tail.end == offset + size
        {
            tail.end = offset;
        }
    }

    fn reserve(&self, size: u64) -> PitResult<Stored> {
        let mut tail = self.tail.lock();
        let current = tail.segment.as_ref().filter(|segment| {
            // What follows a flush that failed goes elsewhere.
            tail.end + size <= SEGMENT_BYTES && !segment.sync.has_failed()
        });
        let segment = if let Some(segment) = current {
            Arc::clone(segment)
        } else {
            let segment = Arc::new(Segment::open(&self.folder, tail.next)?);
            if self.durability == Durability::Power {
                sync_folder_of(&segment.path)?;
            }
            let end = tail.end;
            if let Some(full) = tail.segment.replace(Arc::clone(&segment)) {
                tail.sealed.insert(full.number, (end, Some(full)));
            }
            tail.end = 0;
            segment
        };
        tail.next = tail.next.max(segment.number + 1);
        let place = Place::Segment(segment.number, tail.end);
        tail.end += size;
        segment.pending.fetch_add(1, Ordering::AcqRel);
        Ok(Stored { segment, place })
    }
}

impl Segment {
    fn open(folder: &Path, number: u32) -> PitResult<Self> {
        let path = segment_path(folder, number);
        let file = disk::open(&path, OpenAs::Made).map_err(PitError::io("open", &path))?;
        let sync = BatchedSync::default();
        Ok(Self { number, path, file: Arc::new(file), sync, pending: AtomicU32::new(0) })
    }
}

fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("segment-{number:08x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_flush_that_failed_goes_to_another_segment() {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments::open(folder.path(), Durability::Power, Arc::default()).unwrap();
        // `fdatasync` of such a file is refused, writing to it is not.
        let file = disk::open(Path::new("/dev/null"), OpenAs::Write).unwrap();
        segments.tail.lock().segment = Some(Arc::new(Segment {
            number: 0,
            path: segment_path(folder.path(), 0),
            file: Arc::new(file),
            sync: BatchedSync::default(),
            pending: AtomicU32::new(0),
        }));
        segments.tail.lock().next = 1;
        assert!(segments.append(b"lost").is_err());
        let stored = segments.append(b"kept").unwrap();
        assert_eq!(stored.place, Place::Segment(1, 0));
        assert_eq!(fs::read(segment_path(folder.path(), 1)).unwrap(), b"kept");
    }
}
