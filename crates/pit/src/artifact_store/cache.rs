//! Recently used index entries, decoded.
//!
//! Invariant: only filled while the index is locked for reading and only changed while it is locked for writing, so a
//! cached entry is never older than the rows.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ArtifactId;
use super::record::Entry;

const SHARDS: usize = 16;
/// Entries per generation and shard: 16 × 2 × 2048 of perhaps 200 bytes.
const GENERATION: usize = 2048;

/// Two generations per shard: a full young one becomes the old one, and what stood there unread goes.
#[derive(Debug, Default)]
pub(super) struct EntryCache {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<ArtifactId, Arc<Entry>>,
    old: HashMap<ArtifactId, Arc<Entry>>,
}

impl EntryCache {
    pub(super) fn get(&self, id: &ArtifactId) -> Option<Arc<Entry>> {
        let mut shard = self.shard(id).lock();
        if let Some(entry) = shard.young.get(id) {
            return Some(Arc::clone(entry));
        }
        let entry = shard.old.remove(id)?;
        shard.insert(*id, &entry);
        Some(entry)
    }

    pub(super) fn insert(&self, id: ArtifactId, entry: &Arc<Entry>) {
        self.shard(&id).lock().insert(id, entry);
    }

    pub(super) fn remove(&self, id: &ArtifactId) {
        let mut shard = self.shard(id).lock();
        shard.young.remove(id);
        shard.old.remove(id);
    }

    fn shard(&self, id: &ArtifactId) -> &Mutex<Shard> {
        &self.shards[usize::from(id.as_bytes()[31]) % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, id: ArtifactId, entry: &Arc<Entry>) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&id);
        self.young.insert(id, Arc::clone(entry));
    }
}
