//! What a lane tells its owner: the guest's handshake, its requests and events, its end.

use std::time::Instant;

use component::Code;

use super::Lane;
use crate::error::{Closed, RemoteFailure};
use crate::frame::{LOOP_WAITS, SERVING_WAITS};
use crate::handshake::{Hello, Refused, Welcome};
use crate::payload::Payload;

/// Which thread of a guest does nothing else while it waits for a call of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blocks {
    /// The one that takes its requests.
    Serving,
    /// The one on which its asynchronous operations run.
    Loop,
}

impl Blocks {
    pub(super) const fn flag(self) -> u16 {
        match self {
            Self::Serving => SERVING_WAITS,
            Self::Loop => LOOP_WAITS,
        }
    }

    pub(super) const fn of(flags: u16) -> Option<Self> {
        if flags & SERVING_WAITS != 0 {
            Some(Self::Serving)
        } else if flags & LOOP_WAITS != 0 {
            Some(Self::Loop)
        } else {
            None
        }
    }
}

/// A request of the peer. It must be answered once, with [`Lane::reply`], also when it was cancelled.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundRequest {
    /// What to answer under.
    pub correlation: u64,
    /// The operation.
    pub operation: String,
    /// Its inputs, a map.
    pub inputs: Payload,
    /// When its caller stops waiting.
    pub deadline: Option<Instant>,
    /// How urgent it is.
    pub priority: i32,
    /// Whether the caller takes items.
    pub stream: bool,
    /// Which thread of the peer waits for it and does nothing else, where the peer says so.
    pub blocks: Option<Blocks>,
}

/// What a lane's owner hears. Called on whichever thread reads the lane, never under a lock, and must not block for
/// long: the background thread serves every lane. `hello`, `ready`, `publish`, `subscribe`, `unsubscribe`, `stopped`
/// and `closed` are called one at a time and in order; `request` and `cancelled` may be called by several threads at once.
pub trait Inbound: Send + Sync {
    /// A guest introduces itself: welcome or refuse it. (Host's side.)
    ///
    /// # Errors
    /// [`Refused`] ends the lane after it was sent.
    fn hello(&self, hello: Hello) -> Result<Welcome, Refused> {
        Err(Refused {
            code: Code::PROTOCOL_VIOLATION.as_str().to_owned(),
            reason: format!("nobody expects `{}` here", hello.name),
        })
    }

    /// The guest answers calls from here on. (Host's side.)
    fn ready(&self) {}

    /// The guest cannot start, and exits. (Host's side.)
    fn failed(&self, _failure: RemoteFailure) {}

    /// The guest calls an operation. (Host's side; a guest takes requests with [`Lane::next_request`].)
    fn request(&self, lane: &Lane, request: InboundRequest) {
        let message = format!("there is no operation `{}`", request.operation);
        let failure = RemoteFailure::new(Code::UNKNOWN_OPERATION, message);
        // A lane that closed meanwhile has nobody to tell.
        let _ = lane.reply(request.correlation, Err(failure));
    }

    /// The peer gave a request up that is not answered yet. Its answer is still owed. It may be told before
    /// [`Self::request`] tells of the request itself, where two threads read the lane in turn; then
    /// [`Lane::is_cancelled`] says so.
    fn cancelled(&self, _lane: &Lane, _correlation: u64) {}

    /// A value was published.
    fn publish(&self, _topic: &str, _value: Payload) {}

    /// The guest wants what is published on a topic. (Host's side.)
    fn subscribe(&self, _lane: &Lane, _topic: &str) {}

    /// The guest wants no more of it. (Host's side.)
    fn unsubscribe(&self, _lane: &Lane, _topic: &str) {}

    /// So many events of a topic were dropped on their way here. (Guest's side.)
    fn dropped(&self, _topic: &str, _count: u64) {}

    /// The guest is done and about to exit. (Host's side.)
    fn stopped(&self) {}

    /// The lane is closed; the last thing that is told.
    fn closed(&self, _reason: Closed) {}
}

/// An owner that wants to hear nothing.
impl Inbound for () {}
