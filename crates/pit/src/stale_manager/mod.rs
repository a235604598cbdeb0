//! The stale manager: which artifacts are kept, archived or deleted, and why.

mod in_use;
mod keeper;
mod limits;
mod manager;
mod pattern;
mod pins;
mod rule;
mod score;
mod store_limits;
mod sweep;

pub use in_use::{InUse, NothingInUse};
pub use limits::Enforced;
pub use manager::{Explanation, StaleManager, Verdict};
pub use pattern::NamePattern;
pub use rule::{Action, Rule};
pub use score::{QUALITY_TAG, Score};
pub use store_limits::StoreLimits;
pub use sweep::{SweepFailure, SweepOptions, SweepReport};
