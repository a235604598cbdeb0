//! Which artifacts the unfinished runs hold: the stale manager asks before it deletes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts by artifact id; an id is present while at least one run holds it.
#[derive(Debug, Default)]
pub(super) struct References(Mutex<HashMap<Arc<str>, u32>>);

impl References {
    pub(super) fn hold(&self, artifact: &Arc<str>) {
        *self.0.lock().entry(Arc::clone(artifact)).or_insert(0) += 1;
    }

    pub(super) fn release<'a>(&self, artifacts: impl Iterator<Item = &'a Arc<str>>) {
        let mut counts = self.0.lock();
        for artifact in artifacts {
            if let Some(count) = counts.get_mut(artifact) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(artifact);
                }
            }
        }
    }

    pub(super) fn holds(&self, artifact: &str) -> bool {
        self.0.lock().contains_key(artifact)
    }

    pub(super) fn all(&self) -> BTreeSet<Arc<str>> {
        self.0.lock().keys().cloned().collect()
    }
}
