//! The stale manager: which artifacts are kept, archived or deleted, and why.

mod glob;
mod in_use;
mod manager;
mod pins;
mod rule;
mod sweep;

pub use in_use::{InUse, NothingInUse};
pub use manager::{Explanation, StaleManager, Verdict};
pub use rule::{Action, QUALITY_TAG, Rule};
pub use sweep::{SweepFailure, SweepReport};
