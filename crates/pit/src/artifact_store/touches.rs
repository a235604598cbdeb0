//! Reads that the index does not know yet: counted in memory, journaled once per batch.

use std::collections::HashMap;
use std::mem;

use parking_lot::Mutex;

use super::ArtifactId;

const SHARDS: usize = 16;

/// How often and when last, for each artifact that was read since the last batch.
#[derive(Debug, Default)]
pub(super) struct Touches {
    shards: [Mutex<HashMap<ArtifactId, (u64, f64)>>; SHARDS],
}

impl Touches {
    pub(super) fn count(&self, id: &ArtifactId, now: f64) {
        let mut shard = self.shard(id).lock();
        let touch = shard.entry(*id).or_default();
        *touch = (touch.0 + 1, touch.1.max(now));
    }

    pub(super) fn of(&self, id: &ArtifactId) -> (u64, f64) {
        self.shard(id).lock().get(id).copied().unwrap_or_default()
    }

    pub(super) fn forget(&self, id: &ArtifactId) {
        self.shard(id).lock().remove(id);
    }

    pub(super) fn take(&self) -> Vec<(ArtifactId, u64, f64)> {
        self.shards
            .iter()
            .flat_map(|shard| mem::take(&mut *shard.lock()))
            .map(|(id, (reads, last))| (id, reads, last))
            .collect()
    }

    /// Gives back what was taken and could not be journaled.
    pub(super) fn restore(&self, touches: Vec<(ArtifactId, u64, f64)>) {
        for (id, reads, last) in touches {
            let mut shard = self.shard(&id).lock();
            let touch = shard.entry(id).or_default();
            *touch = (touch.0 + reads, touch.1.max(last));
        }
    }

    fn shard(&self, id: &ArtifactId) -> &Mutex<HashMap<ArtifactId, (u64, f64)>> {
        &self.shards[usize::from(id.as_bytes()[30]) % SHARDS]
    }
}
