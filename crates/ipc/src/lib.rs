//! Bytes between processes: frames, values, the handshake, lanes and the bus.
//!
//! A [`Lane`] is one process's end of a stream socket to one peer; the same type serves on the host's and on the
//! guest's side. A [`Bus`] owns the one background thread that serves all lanes of a process, and its topics. This
//! crate knows nothing of extensions, of the Pit or of Python; `docs/protocol.md` says the same byte by byte.

mod bus;
mod clock;
mod error;
mod frame;
mod handshake;
mod hooks;
mod inherited;
mod lane;
mod payload;
mod reader;
mod scan;
mod sync;
mod value;

pub use bus::{Bus, Loan, Policy, Subscription, Topic};
pub use clock::{moment, monotonic_seconds};
pub use error::{
    CallError, Closed, IpcError, ProtocolError, ReceiveError, RemoteFailure, ValueError,
};
pub use frame::{
    Assembler, Frame, HEADER, Header, Kind, LOOP_WAITS, MAGIC, MAX_LENGTH, SERVING_WAITS, STREAM,
    Space, VERSION,
};
pub use handshake::{Hello, Input, Operation, PROTOCOL, Refused, SCHEMAS, Welcome};
pub use hooks::{Hook, Hooks};
pub use inherited::{LANE_VARIABLE, inherited};
pub use lane::{
    Blocks, CallId, CallOptions, CallerId, Done, HeldUp, Inbound, InboundRequest, Items, Lane,
    LaneOptions, LaneStats, Next, Resume, Side, Submission,
};
pub use payload::Payload;
pub use reader::{Captured, Reader};
pub use value::{MAX_DEPTH, MAX_VALUES, Value, check, decode, encode};
