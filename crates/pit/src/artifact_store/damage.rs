//! Which contents were found damaged or missing since the store was opened.
//!
//! Callers: whatever reads a blob marks it, a put asks. Invariant: a mark only makes a put store its bytes anew, so a
//! mark too many costs one write, and none is ever a reason to refuse or to delete.

use std::collections::HashSet;

use parking_lot::RwLock;

use super::ArtifactId;

#[derive(Debug, Default)]
pub(super) struct Damage {
    ids: RwLock<HashSet<ArtifactId>>,
}

impl Damage {
    pub(super) fn found(&self, id: &ArtifactId) {
        self.ids.write().insert(*id);
    }

    /// The content is whole again, or gone.
    pub(super) fn forget(&self, id: &ArtifactId) {
        // Nearly always there is none, and then readers do not wait for this.
        if self.knows(id) {
            self.ids.write().remove(id);
        }
    }

    pub(super) fn knows(&self, id: &ArtifactId) -> bool {
        self.ids.read().contains(id)
    }
}
