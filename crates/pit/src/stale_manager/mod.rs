//! The stale manager: which artifacts are kept, archived or deleted, and why.

mod in_use;
mod manager;
mod pattern;
mod pins;
mod rule;
mod score;
mod sweep;

pub use in_use::{InUse, NothingInUse};
pub use manager::{Explanation, StaleManager, Verdict};
pub use pattern::NamePattern;
pub use rule::{Action, Rule};
pub use score::{QUALITY_TAG, Score};
pub use sweep::{SweepFailure, SweepOptions, SweepReport};
