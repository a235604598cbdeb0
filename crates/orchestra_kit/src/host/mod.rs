//! Where an extension runs: in a process of its own, as a library in this one, or served by this one for a test.
//!
//! [`crate::extension`] holds the life and knows only these two traits. Invariant: of every run that was begun the host
//! reports exactly one end, whatever happens, unless it ended by being refused at once.

mod caller;
mod capture;
mod errand;
mod freed;
mod guest;
mod in_process;
mod inbound;
mod options;
mod pit;
mod private_folders;
mod process;
mod program;
mod servers;
mod shares;
mod start_spans;
mod variables;
mod workers;

pub use caller::Caller;
pub(crate) use caller::Way;
pub(crate) use errand::Errand;
pub use errand::Respond;
pub use guest::{Guest, Host, StartSpan, Stop, Stream};
pub use in_process::{InProcess, InProcessRun};
pub use options::ProcessHostOptions;
pub(crate) use pit::PitHost;
pub(crate) use process::ProcessHost;
pub use process::{Routed, Router};
pub(crate) use shares::{Kind, Shares};
pub(crate) use workers::Workers;
