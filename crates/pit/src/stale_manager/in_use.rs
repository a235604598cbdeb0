//! Who else holds an artifact.

use crate::artifact_store::ArtifactId;

/// Something that knows which artifacts are in use: the DAG tracker's active runs.
pub trait InUse: Send + Sync {
    /// What uses the artifact, as words for a person (`run 7`); none when nothing does.
    ///
    /// Called often and under no lock of the stale manager; it must be quick.
    fn in_use(&self, id: &ArtifactId) -> Option<String>;

    /// Calls `delete`, which says whether the artifact is gone, unless something uses it, which is the answer then. Until that
    /// has ended nothing comes to use it; as here, where nothing could come in between.
    fn unless_in_use(&self, id: &ArtifactId, delete: &mut dyn FnMut() -> bool) -> Option<String> {
        let user = self.in_use(id);
        if user.is_none() {
            delete();
        }
        user
    }
}

/// For a system without a DAG tracker.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingInUse;

impl InUse for NothingInUse {
    fn in_use(&self, _: &ArtifactId) -> Option<String> {
        None
    }
}
