//! What a store keeps at most: for how long, and how many bytes.
//!
//! Said by `[system.store]`, kept by the manager.

use std::time::Duration;

/// What the store keeps; none: everything, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreLimits {
    /// What was not used so long is archived, and after as long again deleted.
    pub keep: Option<Duration>,
    /// The bytes that it may take.
    pub cap: Option<u64>,
}

impl StoreLimits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        self.keep.is_none() && self.cap.is_none()
    }
}
