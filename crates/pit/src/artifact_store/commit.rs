//! How blobs and records come together: a put, a record, a deletion.
//!
//! Called by the store's methods and by its maintenance. Invariants: a record names only bytes that are there, and
//! nothing that an acknowledged record names is taken away.

use std::sync::Arc;

use super::chunk_writer::ChunkWriter;
use super::chunks::CHUNKED;
use super::files::Draft;
use super::index::{Index, not_found};
use super::record::{Entry, Place, Put, Record, encode_at_door};
use super::reserve::is_shortage;
use super::segments::Stored;
use super::store::{Core, LARGE_BLOB, check, now};
use super::{ArtifactId, Metadata, PutOptions};
use crate::{PitError, PitResult};

/// Bytes that are written and that no record names yet.
pub(super) enum Blob {
    Small(Stored),
    Large(Draft),
}

impl Core {
    pub(super) fn put(&self, data: &[u8], options: &PutOptions) -> PitResult<ArtifactId> {
        check(options)?;
        let id = ArtifactId::of(data);
        let size = data.len() as u64;
        let _open = self.enter()?;
        let known = self.has_whole(&id)?;
        if data.len() >= CHUNKED {
            if !known || !self.commit(id, size, options, None)? {
                self.commit_chunks(id, size, options, ChunkWriter::of(self, data)?)?;
            }
            self.count_put(known);
            return Ok(id);
        }
        let mut blob = if known { None } else { Some(self.write(&id, data)?) };
        while !self.commit(id, size, options, blob.take())? {
            // It was deleted, moved or found damaged between the look and the record.
            blob = Some(self.write(&id, data)?);
        }
        self.count_put(known);
        Ok(id)
    }

    /// Whether that content is there and was not found damaged.
    pub(super) fn has_whole(&self, id: &ArtifactId) -> PitResult<bool> {
        Ok(self.entry(id)?.is_some() && !self.damage.knows(id))
    }

    pub(super) fn write(&self, id: &ArtifactId, data: &[u8]) -> PitResult<Blob> {
        // Small content that was archived is mended where it is.
        let in_file = |entry: Arc<Entry>| entry.place.is_file();
        if data.len() < LARGE_BLOB && !self.entry(id)?.is_some_and(in_file) {
            return Ok(Blob::Small(self.segments.append(data)?));
        }
        Ok(Blob::Large(self.draft(data)?))
    }

    pub(super) fn draft(&self, data: &[u8]) -> PitResult<Draft> {
        let mut draft = self.files.draft()?;
        draft.write(data)?;
        self.files.settle(&draft)?;
        Ok(draft)
    }

    /// Records a put. False: the content is not there whole, and `blob` was none or for another kind of place.
    pub(super) fn commit(
        &self,
        id: ArtifactId,
        size: u64,
        options: &PutOptions,
        mut blob: Option<Blob>,
    ) -> PitResult<bool> {
        let mut index = self.index.write();
        let existing = index.get(&id)?;
        let whole = existing.is_some() && !self.damage.knows(&id);
        let place = match (existing.as_ref().map(|entry| entry.place), &blob) {
            (Some(place), _) if whole => place,
            (None | Some(Place::Segment(..)), Some(Blob::Small(stored))) => stored.place,
            (Some(Place::Archive), Some(Blob::Large(_))) => Place::Archive,
            (_, Some(Blob::Large(_))) => Place::File,
            _ => return Ok(false),
        };
        let record = Record::Put(Put::new(id, place, size, now(), options));
        let draft = blob.take_if(|blob| !whole && matches!(blob, Blob::Large(_)));
        let written = self.name_and_record(&mut index, &record, existing.as_deref(), place, draft);
        let is_named = |now: Option<Arc<Entry>>| now.is_some_and(|now| now.place == place);
        if written.is_err() && place.is_file() && !index.get(&id).map_or(true, is_named) {
            // No record names it: nobody would ever find or delete it.
            self.files.abandon(&id, place);
        }
        drop(index);
        // The blob's segment was held until its record was written.
        drop(blob);
        self.journal.settle(written?)?;
        Ok(true)
    }

    /// Gives a large blob its name, and journals the put after it.
    fn name_and_record(
        &self,
        index: &mut Index,
        record: &Record,
        existing: Option<&Entry>,
        place: Place,
        draft: Option<Blob>,
    ) -> PitResult<crate::journal::Written> {
        let Record::Put(Put { id, .. }) = record else { return self.record(index, record) };
        if let Some(Blob::Large(draft)) = draft {
            self.files.adopt(draft, id, place)?;
        }
        if existing.is_some_and(|old| old.place != place) {
            // First, so that no put is in the journal whose bytes are still the damaged ones.
            drop(self.record(index, &Record::Move(*id, place))?);
            self.release(index);
        }
        self.damage.forget(id);
        self.record(index, record)
    }

    /// Journals a deletion, if need be in the room that is kept for it.
    fn record_deletion(
        &self,
        index: &mut Index,
        id: &ArtifactId,
    ) -> PitResult<crate::journal::Written> {
        let record = Record::Delete(*id);
        match self.record(index, &record) {
            Err(PitError::Io { source, .. }) if is_shortage(&source) && self.reserve.release() => {
                self.record(index, &record)
            }
            written => written,
        }
    }

    /// Journals a record and applies it; the index is locked by the caller.
    pub(super) fn record(
        &self,
        index: &mut Index,
        record: &Record,
    ) -> PitResult<crate::journal::Written> {
        let change = index.prepare(record)?;
        let bytes = encode_at_door(record)?;
        let written = self.journal.write_all([bytes.as_slice()])?;
        index.apply(change, written.mark);
        Ok(written)
    }

    pub(super) fn delete(&self, id: &ArtifactId, seen: Option<&Metadata>) -> PitResult<bool> {
        // A failed index is made anew before the lock is taken.
        self.entry(id)?;
        let mut index = self.index.write();
        let entry = index.get(id)?.ok_or_else(|| not_found(id))?;
        if let Some(seen) = seen
            && *seen != self.metadata_of(id, &index.whole(id, &entry)?)
        {
            return Ok(false);
        }
        // Before it is gone, so that nobody finds it neither here nor there.
        self.deletions.add(id);
        let written = self.record_deletion(&mut index, id)?;
        self.touches.forget(id);
        self.damage.forget(id);
        self.release(&mut index);
        drop(index);
        // First: after a power cut the journal may still name what is taken away.
        self.journal.settle(written)?;
        if entry.place.is_file() {
            self.discard_unless_named(id, entry.place)?;
        }
        Ok(true)
    }

    /// Takes away the file of content that is gone, or lies elsewhere now.
    pub(super) fn discard_unless_named(&self, id: &ArtifactId, place: Place) -> PitResult<()> {
        // The name goes under the lock, lest a put of the same content adopts it; the file itself after it.
        let index = self.index.write();
        let stays = index.get(id)?.is_some_and(|entry| entry.place.is_file());
        let removed = if stays { None } else { self.files.discard(id, place)? };
        drop(index);
        drop(removed);
        Ok(())
    }
}
