//! Whether what a node made is still there.

use crate::artifact_store::ArtifactId;

/// Something that knows which artifacts were deleted: the artifact store that runs beside the tracker.
pub trait Stored: Send + Sync {
    /// Whether it was deleted and not put again. False where that is not known, as of what was never put, or by a store that is
    /// closed: a tracker works without one.
    ///
    /// Called under the lock of a run and under no other of the tracker; it must be quick.
    fn is_deleted(&self, id: &ArtifactId) -> bool;
}
