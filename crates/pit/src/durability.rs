//! What "acknowledged" survives: chosen once per system, kept by every journal.

/// When a write of a journal counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Written by `write(2)`: survives the death of this process.
    #[default]
    Process,
    /// Flushed to the disk as well, once per batch: survives a power cut.
    Power,
}
