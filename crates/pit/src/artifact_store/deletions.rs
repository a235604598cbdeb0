//! Which artifacts were deleted since the store was opened, those whose first deletion is the newest.
//!
//! Deletions write here, and the DAG tracker asks before it takes an artifact for what a node made. Invariant: what it takes is
//! bounded. Nothing is taken out when content is put again, so whoever asks looks for the artifact itself too.

use std::collections::{HashSet, VecDeque};

use parking_lot::RwLock;

use super::ArtifactId;

/// So many are known: some 5 MiB.
const KNOWN: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Deletions(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashSet<ArtifactId>,
    /// The same, oldest first.
    order: VecDeque<ArtifactId>,
}

impl Deletions {
    pub(super) fn add(&self, id: &ArtifactId) {
        let mut known = self.0.write();
        if !known.ids.insert(*id) {
            return;
        }
        known.order.push_back(*id);
        if known.order.len() > KNOWN
            && let Some(oldest) = known.order.pop_front()
        {
            known.ids.remove(&oldest);
        }
    }

    pub(super) fn has(&self, id: &ArtifactId) -> bool {
        self.0.read().ids.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_no_more_of_them_than_there_is_room_for() {
        let deletions = Deletions::default();
        let id = |number: usize| ArtifactId::of(&number.to_le_bytes());
        for number in 0..KNOWN + 10 {
            deletions.add(&id(number));
            deletions.add(&id(number));
        }
        assert!(!deletions.has(&id(9)));
        assert!(deletions.has(&id(10)) && deletions.has(&id(KNOWN + 9)));
        let known = deletions.0.read();
        assert_eq!((known.ids.len(), known.order.len()), (KNOWN, KNOWN));
    }
}
