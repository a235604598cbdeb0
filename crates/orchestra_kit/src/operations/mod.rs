//! The Pit behind the same door as an extension: `artifact-store.put` and the rest, values in, values out.
//!
//! Called by the melody engine, by guests through the kit, and by whoever holds a [`Members`]. An operation runs on the
//! caller's thread, or waits on none (`waiting`). Invariant: the table of operations that is checked against is the one that is called.

mod arbitration;
mod artifacts;
mod dag;
mod holdings;
mod inputs;
mod members;
mod pool;
mod stale;
mod waiting;

pub use arbitration::Arbitration;
pub use holdings::Holdings;
pub use members::{Members, StandIn, known_operations};
pub use waiting::{Answer, WaitingCall};
