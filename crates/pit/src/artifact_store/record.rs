//! The records of the store's journal and the values of its index, as msgpack.
//!
//! A change of these shapes is a new [`FORMAT`] version.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ArtifactId, PutOptions};
use crate::journal::{Format, MAX_RECORD};
use crate::{PitError, PitResult};

pub(super) const MEMBER: &str = "artifact-store";
pub(super) const FORMAT: Format = Format { magic: *b"symartf\0", version: 3 };
/// The version before, in which no content lay in chunks; its records are read as they are.
pub(super) const FORMAT_BEFORE: Format = Format { version: 2, ..FORMAT };
/// A record that comes from a call is shorter than the longest by so much: what is written of it anew has some numbers more.
const DOOR: usize = 4096;
/// Names and tags are part of index keys.
pub(super) const MAX_WORD: usize = 1024;

/// Where the bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    #[serde(rename = "s")]
    Segment(u32, u64),
    #[serde(rename = "f")]
    File,
    #[serde(rename = "a")]
    Archive,
    /// In chunks, of which the index has a list.
    #[serde(rename = "c")]
    Chunks,
}

impl Place {
    /// Whether it is a file of its own.
    pub(super) fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Archive)
    }
}

/// A part of large content, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) id: ArtifactId,
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) size: u32,
}

/// One thing that happened to the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    /// Content was put: for the first time, at `place`, or again.
    #[serde(rename = "p")]
    Put(Put),
    #[serde(rename = "d")]
    Delete(ArtifactId),
    #[serde(rename = "m")]
    Move(ArtifactId, Place),
    /// Reads since the last such record: how many, and when last.
    #[serde(rename = "r")]
    Reads(Vec<(ArtifactId, u64, f64)>),
    /// A whole entry, when the journal is written anew.
    #[serde(rename = "e")]
    Entry(ArtifactId, Entry),
    /// The last version that a name had, when the journal is written anew.
    #[serde(rename = "v")]
    Version(String, u64),
    /// The next sequence number, when the journal is written anew.
    #[serde(rename = "q")]
    Sequence(u64),
    /// A put of content that lies in these chunks.
    #[serde(rename = "P")]
    PutChunks(Put, Vec<Chunk>),
    #[serde(rename = "M")]
    MoveChunks(Vec<Chunk>),
    /// A whole entry whose content lies in these chunks, when the journal is written anew.
    #[serde(rename = "E")]
    EntryChunks(ArtifactId, Entry, Vec<Chunk>),
    /// More names, tags and parents of the entry before, when the journal is written anew: no record grows with all of them.
    #[serde(rename = "w")]
    Words(ArtifactId, Words),
}

/// Names, tags and parents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Words {
    pub(super) names: Vec<(String, u64)>,
    pub(super) tags: Vec<String>,
    pub(super) parents: Vec<ArtifactId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Put {
    pub(super) id: ArtifactId,
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) at: f64,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) parents: Vec<ArtifactId>,
}

impl Put {
    pub(super) fn new(
        id: ArtifactId,
        place: Place,
        size: u64,
        at: f64,
        options: &PutOptions,
    ) -> Self {
        let PutOptions { name, tags, parents } = options.clone();
        Self { id, place, size, at, name, tags, parents }
    }
}

impl Words {
    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty() && self.parents.is_empty()
    }
}

/// All that the index knows about one artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its number in the order of first puts.
    pub(super) sequence: u64,
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) created: f64,
    pub(super) last_put: f64,
    pub(super) names: Vec<(String, u64)>,
    pub(super) tags: Vec<String>,
    pub(super) parents: Vec<ArtifactId>,
    pub(super) reads: u64,
    pub(super) last_read: f64,
    /// What the index has of the lists in rows of their own; a record of the journal has all of them in itself.
    #[serde(default, skip_serializing_if = "More::is_none")]
    pub(super) more: More,
}

/// How many names, tags and parents of an entry are in rows of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct More {
    pub(super) names: u64,
    pub(super) tags: u64,
    pub(super) parents: u64,
}

impl More {
    /// Whether all is in the entry.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn encode(value: &impl Serialize) -> PitResult<Vec<u8>> {
    encode_within(MAX_RECORD, value)
}

/// The same for what a call brings, before anything of it is written.
pub(super) fn encode_at_door(record: &Record) -> PitResult<Vec<u8>> {
    encode_within(MAX_RECORD - DOOR, record)
}

fn encode_within(limit: usize, value: &impl Serialize) -> PitResult<Vec<u8>> {
    let bytes = rmp_serde::to_vec(value)
        .map_err(|error| PitError::Internal { member: MEMBER, reason: error.to_string() })?;
    if bytes.len() > limit {
        return Err(PitError::OverLimit {
            what: "a record of",
            name: MEMBER.to_owned(),
            wanted: bytes.len() as u64,
            limit: limit as u64,
        });
    }
    Ok(bytes)
}

/// Decodes what [`encode`] made; its checksum was right, so anything else is a bug or another version.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> PitResult<T> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| PitError::Internal { member: MEMBER, reason: error.to_string() })
}

/// Refuses names and tags that could not be index keys or that nobody could type.
pub(super) fn check_word(what: &'static str, word: &str) -> PitResult<()> {
    if word.is_empty() || word.len() > MAX_WORD || word.chars().any(char::is_control) {
        return Err(PitError::Invalid {
            what,
            value: word.chars().take(80).collect(),
            expected: "1 to 1024 bytes without control characters",
        });
    }
    Ok(())
}
