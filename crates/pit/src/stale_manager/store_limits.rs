//! What a store keeps at most: for how long, and how many bytes.
//!
//! Said by `[system.store]`, kept by the manager.

use std::time::Duration;

use crate::{PitError, PitResult};

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

    /// Refuses what would empty the store.
    ///
    /// # Errors
    /// [`PitError::Invalid`] of a `keep` or a `cap` of 0.
    pub fn check(&self) -> PitResult<()> {
        let refused =
            |what, expected| Err(PitError::Invalid { what, value: "0".to_owned(), expected });
        if self.keep.is_some_and(|keep| keep.is_zero()) {
            return refused("keep", "seconds above 0: 0 would delete everything");
        }
        if self.cap == Some(0) {
            return refused("cap", "bytes above 0: 0 would delete everything");
        }
        Ok(())
    }
}
