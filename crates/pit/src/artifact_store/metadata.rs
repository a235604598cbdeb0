//! What callers tell the store about an artifact, and what it tells them.

use super::ArtifactId;

/// What goes with the bytes of a put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Makes this artifact the newest version of that name.
    pub name: Option<String>,
    /// Words to find it by; added to those it has.
    pub tags: Vec<String>,
    /// What it was made from; added to those it has. History: a parent may be gone.
    pub parents: Vec<ArtifactId>,
}

/// All that is known about an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Its id.
    pub id: ArtifactId,
    /// Its length in bytes.
    pub size: u64,
    /// When it was first put, in Unix seconds.
    pub created: f64,
    /// When it was last put again; deduplicated content counts as new to the one who put it.
    pub last_put: f64,
    /// The names it has, each with the version that it is of that name.
    pub names: Vec<(String, u64)>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// What it was made from.
    pub parents: Vec<ArtifactId>,
    /// How often it was read. A crash may lose the count of the last seconds.
    pub reads: u64,
    /// When it was last read, in Unix seconds.
    pub last_read: Option<f64>,
    /// Whether it was moved to the archive folder; it reads as before.
    pub archived: bool,
}

impl Metadata {
    /// When it was last put or read, in Unix seconds.
    pub fn last_used(&self) -> f64 {
        self.last_read.map_or(self.last_put, |read| read.max(self.last_put))
    }
}

/// What [`super::ArtifactStore::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Artifacts that were read and hashed.
    pub checked: u64,
    /// Artifacts whose bytes are missing or are not those that were put.
    pub bad: Vec<ArtifactId>,
    /// What was wrong with the journal, and what was done about it; none where it is whole.
    pub journal: Option<String>,
}

/// What [`super::ArtifactStore::collect`] took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Files that no record named.
    pub files: u64,
    /// Bytes that were given back to the disk, of files and of segments.
    pub bytes: u64,
}

/// Counters of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Artifacts that are stored.
    pub artifacts: u64,
    /// Their bytes, each artifact once.
    pub bytes: u64,
    /// The bytes that are stored for them: what two have in common counts once.
    pub stored_bytes: u64,
    /// Puts since the store was opened.
    pub puts: u64,
    /// Puts since then whose content was there already.
    pub deduplicated: u64,
    /// Reads since then.
    pub gets: u64,
    /// Bytes in segments that no artifact uses any more.
    pub dead_bytes: u64,
    /// The length of the journal.
    pub journal_bytes: u64,
    /// Journal records that the index had missed and that were replayed at open.
    pub replayed: u64,
    /// Bytes of a torn tail that were removed at open.
    pub truncated: u64,
    /// Index rows that wait for the next batch.
    pub pending_rows: u64,
    /// Batches that could not be brought to the index; the journal has it all.
    pub failed_flushes: u64,
}
