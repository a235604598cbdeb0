//! The long lists of an artifact: its names, tags and parents beyond the first few, in rows of their own.
//!
//! Called by the index as it works out a change, and by whoever wants a whole list. Invariant: what a put costs does not
//! grow with how many names, tags or parents the content has already.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::ArtifactId;
use super::index::{Change, Index, derived_key, tag_key, version_key};
use super::record::{Entry, More, Put, Words, encode};
use crate::PitResult;

/// So many of each are in the entry itself.
const FEW: usize = 16;

impl Index {
    /// The entry with its whole lists.
    pub(super) fn whole(&self, id: &ArtifactId, entry: &Entry) -> PitResult<Entry> {
        let mut whole = Entry { more: More::default(), ..entry.clone() };
        whole.names.extend(self.more_names(id, entry)?);
        whole.tags.extend(self.more_tags(id, entry)?);
        whole.tags.sort_unstable();
        whole.parents.extend(self.more_parents(id, entry)?);
        Ok(whole)
    }

    pub(super) fn has_tag(&self, id: &ArtifactId, entry: &Entry, tag: &str) -> PitResult<bool> {
        let known = entry.tags.binary_search_by(|known| known.as_str().cmp(tag)).is_ok();
        Ok(known || entry.more.tags > 0 && self.has_row(&key(b'g', id, tag.as_bytes()))?)
    }

    fn has_parent(&self, id: &ArtifactId, entry: &Entry, parent: &ArtifactId) -> PitResult<bool> {
        let known = entry.parents.contains(parent);
        Ok(known || entry.more.parents > 0 && self.has_row(&key(b'q', id, parent.as_bytes()))?)
    }

    /// Whether that version of the name is this artifact.
    fn is_version(
        &self,
        id: &ArtifactId,
        entry: &Entry,
        name: &str,
        version: u64,
    ) -> PitResult<bool> {
        if entry.names.iter().any(|(known, of)| known == name && *of == version) {
            return Ok(true);
        }
        if entry.more.names == 0 {
            return Ok(false);
        }
        let row = self.rows().get(&version_key(name, version))?;
        Ok(row.map(|row| self.row::<ArtifactId>(&row)).transpose()? == Some(*id))
    }

    /// Works out which names, tags and parents of a put are new.
    pub(super) fn prepare_words(
        &self,
        change: &mut Change,
        entry: &mut Entry,
        put: &Put,
    ) -> PitResult<()> {
        let id = &put.id;
        if let Some(name) = &put.name {
            let last = self.last_version(name)?;
            // The same content put again as the newest version is that version.
            if !self.is_version(id, entry, name, last)? {
                change.add_name(id, entry, name, last + 1)?;
                change.set_last_version(name, last + 1);
            }
        }
        let mut seen = HashSet::new();
        for tag in &put.tags {
            if seen.insert(tag) && !self.has_tag(id, entry, tag)? {
                change.add_tag(id, entry, tag)?;
            }
        }
        let mut seen = HashSet::new();
        for parent in &put.parents {
            if seen.insert(parent) && !self.has_parent(id, entry, parent)? {
                change.add_parent(id, entry, parent)?;
            }
        }
        Ok(())
    }

    /// Takes the rows away in which the rest of the lists is, and those that lead from there to the artifact.
    pub(super) fn prepare_unlisted_words(
        &self,
        change: &mut Change,
        id: &ArtifactId,
        entry: &Entry,
    ) -> PitResult<()> {
        if entry.more.is_none() {
            return Ok(());
        }
        for (name, version) in self.more_names(id, entry)? {
            change.remove_row(version_key(&name, version));
        }
        for tag in self.more_tags(id, entry)? {
            change.remove_row(tag_key(&tag, entry.sequence));
        }
        for parent in self.more_parents(id, entry)? {
            change.remove_row(derived_key(&parent, entry.sequence));
        }
        for kind in *b"mgpq" {
            for (key, _) in self.rows().scan(&key(kind, id, b""), None, usize::MAX)? {
                change.remove_row(key);
            }
        }
        Ok(())
    }

    fn more_names(&self, id: &ArtifactId, entry: &Entry) -> PitResult<Vec<(String, u64)>> {
        if entry.more.names == 0 { Ok(Vec::new()) } else { self.values(b'm', id) }
    }

    fn more_tags(&self, id: &ArtifactId, entry: &Entry) -> PitResult<Vec<String>> {
        if entry.more.tags == 0 { Ok(Vec::new()) } else { self.values(b'g', id) }
    }

    fn more_parents(&self, id: &ArtifactId, entry: &Entry) -> PitResult<Vec<ArtifactId>> {
        if entry.more.parents == 0 { Ok(Vec::new()) } else { self.values(b'p', id) }
    }

    fn values<T: DeserializeOwned>(&self, kind: u8, id: &ArtifactId) -> PitResult<Vec<T>> {
        let rows = self.rows().scan(&key(kind, id, b""), None, usize::MAX)?;
        rows.iter().map(|(_, value)| self.row(value)).collect()
    }

    fn has_row(&self, key: &[u8]) -> PitResult<bool> {
        Ok(self.rows().get(key)?.is_some())
    }
}

impl Change {
    /// Names an artifact, which does not have that version yet.
    pub(super) fn add_name(
        &mut self,
        id: &ArtifactId,
        entry: &mut Entry,
        name: &str,
        version: u64,
    ) -> PitResult<()> {
        self.put(version_key(name, version), encode(id)?);
        if entry.more.names == 0 && entry.names.len() < FEW {
            entry.names.push((name.to_owned(), version));
        } else {
            self.put(key(b'm', id, &entry.more.names.to_be_bytes()), encode(&(name, version))?);
            entry.more.names += 1;
        }
        Ok(())
    }

    /// Tags an artifact, which does not have that tag yet.
    pub(super) fn add_tag(
        &mut self,
        id: &ArtifactId,
        entry: &mut Entry,
        tag: &str,
    ) -> PitResult<()> {
        self.put(tag_key(tag, entry.sequence), encode(id)?);
        if entry.more.tags == 0 && entry.tags.len() < FEW {
            let place = entry.tags.partition_point(|known| known.as_str() < tag);
            entry.tags.insert(place, tag.to_owned());
        } else {
            self.put(key(b'g', id, tag.as_bytes()), encode(&tag)?);
            entry.more.tags += 1;
        }
        Ok(())
    }

    /// Gives an artifact a parent, which it does not have yet.
    pub(super) fn add_parent(
        &mut self,
        id: &ArtifactId,
        entry: &mut Entry,
        parent: &ArtifactId,
    ) -> PitResult<()> {
        self.put(derived_key(parent, entry.sequence), encode(id)?);
        if entry.more.parents == 0 && entry.parents.len() < FEW {
            entry.parents.push(*parent);
        } else {
            self.put(key(b'p', id, &entry.more.parents.to_be_bytes()), encode(parent)?);
            self.put(key(b'q', id, parent.as_bytes()), Vec::new());
            entry.more.parents += 1;
        }
        Ok(())
    }

    /// Adds a whole entry that was not there.
    pub(super) fn add_whole(&mut self, id: ArtifactId, whole: &Entry) -> PitResult<()> {
        let mut entry = Entry {
            names: Vec::new(),
            tags: Vec::new(),
            parents: Vec::new(),
            more: More::default(),
            ..whole.clone()
        };
        let Entry { names, tags, parents, .. } = whole.clone();
        self.add_words(&id, &mut entry, &Words { names, tags, parents })?;
        self.add(id, entry)
    }

    /// Adds names, tags and parents, none of which the artifact has.
    pub(super) fn add_words(
        &mut self,
        id: &ArtifactId,
        entry: &mut Entry,
        words: &Words,
    ) -> PitResult<()> {
        for (name, version) in &words.names {
            self.add_name(id, entry, name, *version)?;
        }
        for tag in &words.tags {
            self.add_tag(id, entry, tag)?;
        }
        for parent in &words.parents {
            self.add_parent(id, entry, parent)?;
        }
        Ok(())
    }
}

/// Takes the lists out of a whole entry, in pieces that fit into a record each.
pub(super) fn take_lists(entry: &mut Entry) -> Vec<Words> {
    let mut pieces = Pieces::default();
    for name in entry.names.drain(..) {
        pieces.with_room(name.0.len() + NUMBERS).names.push(name);
    }
    for tag in entry.tags.drain(..) {
        pieces.with_room(tag.len() + NUMBERS).tags.push(tag);
    }
    for parent in entry.parents.drain(..) {
        pieces.with_room(parent.as_bytes().len() + NUMBERS).parents.push(parent);
    }
    pieces.full.push(pieces.last);
    pieces.full
}

/// Bytes of the lists in a record; one word may go beyond it.
const PIECE: usize = 1 << 20;
/// What a word has beside its letters, at most.
const NUMBERS: usize = 16;

#[derive(Default)]
struct Pieces {
    full: Vec<Words>,
    last: Words,
    bytes: usize,
}

impl Pieces {
    fn with_room(&mut self, bytes: usize) -> &mut Words {
        if self.bytes > PIECE {
            self.full.push(std::mem::take(&mut self.last));
            self.bytes = 0;
        }
        self.bytes += bytes;
        &mut self.last
    }
}

/// A row of a list of an artifact.
fn key(kind: u8, id: &ArtifactId, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(33 + rest.len());
    key.push(kind);
    key.extend_from_slice(id.as_bytes());
    key.extend_from_slice(rest);
    key
}
