//! A lane: one process's end of a stream socket to one peer, the same type on the host's and on the guest's side.
//!
//! Who reads the socket is decided in `turn`: a caller that waits reads for itself and for the others, and when nobody
//! waits the background [`Reader`] does. What is pending lies in `book`, what could not be written yet in `output`.
//! Invariants: user code never runs while a lane's lock or its reading is held; a peer's bytes cost at most the
//! limits of [`LaneOptions`]; every call is answered exactly once.

mod asked;
mod book;
mod call;
mod credit;
mod dispatch;
mod inbound;
mod listening;
mod nested;
mod options;
mod output;
mod receive;
mod round_robin;
mod serve;
mod shared;
mod stream;
mod turn;
mod waiter;
mod work;

pub use asked::HeldUp;
pub use call::{CallId, CallOptions, Done, Submission};
pub use inbound::{Blocks, Inbound, InboundRequest};
pub use options::{LaneOptions, LaneStats, Side};
pub use round_robin::CallerId;
pub use serve::{Next, Resume};
pub(crate) use shared::Core;
pub use shared::Lane;
pub use stream::Items;

use shared::count;
