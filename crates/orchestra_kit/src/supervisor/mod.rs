//! The one process that starts and ends extensions, seen from both ends.
//!
//! The root starts it ([`client`]); its own interpreter drives it ([`server`]); between them go the messages of
//! [`protocol`] over one sequenced-packet socket. Invariant: when the root ends, by whatever means, no process that
//! the supervisor started is left.

mod beside;
pub mod client;
mod connects;
mod descriptors;
mod environment;
mod marks;
mod own_process;
pub mod protocol;
pub mod server;
mod start;
mod tree;
mod watch;

pub use beside::Beside;
pub use client::Supervisor;
pub use connects::resolve;
pub use environment::Environment;
pub use own_process::Launch;
pub(crate) use protocol::is_shortage;
pub use protocol::{Ending, Program, Span, SpawnRequest, Status, Termination};
pub use server::{Order, RESOLVER, Server};
pub use start::{LANE_VARIABLE, Prepared, Start};
pub use tree::end_below;
pub use watch::{Process, Watch};
