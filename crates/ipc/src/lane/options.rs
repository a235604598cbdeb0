//! How a lane is opened, and what it tells about itself.

use std::time::Duration;

use crate::frame::MAX_LENGTH;
use crate::reader::Reader;

/// Which side of the lane this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Welcomes the peer and calls its operations; trusts nothing that it sends.
    Host,
    /// Introduces itself and serves operations.
    Guest,
}

/// What a lane needs at its opening.
pub struct LaneOptions<'a> {
    /// The peer's name, for errors and logs.
    pub name: String,
    /// How many calls may be pending at once, each way. A guest's is set by the host's welcome.
    pub queue: u32,
    /// The background thread that serves the lane.
    pub reader: &'a Reader,
    /// Which side this is.
    pub side: Side,
    /// The longest frame taken from the peer.
    pub max_frame: u32,
    /// How many bytes of events may wait for a peer that reads slowly; a host's replies have as much again. Calls may hold
    /// twice as much, those included that wait for their callers' turns, which no event gives way to.
    pub out_limit: usize,
    /// How long the items of a stream may wait without one being taken, before the stream is ended.
    pub patience: Duration,
    /// How many bytes the peer's requests that are not answered yet may hold here; one alone is always taken.
    pub in_limit: usize,
}

/// Nobody who still reads a stream leaves it alone for so long.
const PATIENCE: Duration = Duration::from_secs(300);

impl<'a> LaneOptions<'a> {
    /// The host's end of a lane to the guest of that name.
    pub fn host(name: impl Into<String>, queue: u32, reader: &'a Reader) -> Self {
        Self {
            name: name.into(),
            queue,
            reader,
            side: Side::Host,
            max_frame: MAX_LENGTH,
            out_limit: MAX_LENGTH as usize,
            patience: PATIENCE,
            in_limit: MAX_LENGTH as usize,
        }
    }

    /// A guest's end of its lane to the host.
    pub fn guest(reader: &'a Reader) -> Self {
        // What the host asks is not the host's to hold back, and the memory is the guest's own.
        Self { side: Side::Guest, in_limit: usize::MAX, ..Self::host("host", 256, reader) }
    }
}

/// What a lane did and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneStats {
    /// Calls to the peer without an answer, given up ones that the peer still owes included.
    pub pending: usize,
    /// Calls of the peer that are not answered yet.
    pub serving: usize,
    /// Bytes that wait for the peer to read.
    pub queued_bytes: usize,
    /// Calls made so far.
    pub calls: u64,
    /// Answers received so far.
    pub answers: u64,
    /// Calls of the peer taken in so far.
    pub served: u64,
    /// Answers to calls that had been given up, or to none.
    pub late: u64,
    /// Events dropped because the peer reads slowly.
    pub dropped: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes handed to the system or queued.
    pub bytes_out: u64,
}
