//! One extension's life: activation, calls, crashes, restarts, quarantine, stop.
//!
//! Knows no process and no library: what runs is behind [`crate::host`]. Invariants: the state moves only along
//! [`component::State::go`]; concurrent callers share one start; a call that was in flight when the extension crashed
//! fails and is never sent again, but for a server's that said that it only reads: once.

mod call;
mod ended;
mod figures;
mod life;
mod outcome;
mod restart;
mod stop;
mod stream;
mod submitted;
#[cfg(test)]
mod tests;
mod timer;
mod trial;
mod wait;

pub use call::ExtensionHandle;
pub use ended::Ended;
pub use figures::Figures;
pub use stop::StopReport;
pub use stream::Values;
pub use submitted::{Call, CallDone};
pub use trial::{Tag, VariantReport};

pub use life::Report;

pub(crate) use life::Extension;
pub(crate) use stop::stop_all;
pub(crate) use timer::{Alarm, Timer};
pub(crate) use trial::{Trial, Variant};
