//! The frame: 32 bytes of header, little endian, and a payload; and the assembler that cuts a stream into frames.
//!
//! Pure: no socket is touched here. Invariant: no input makes the assembler panic or hold more than one frame's
//! announced length, and memory grows with what has arrived, never with what a header merely announces.

use bytes::Bytes;
use component::memory;

use crate::error::ProtocolError;

/// The first two bytes of every frame.
pub const MAGIC: u16 = 0x5359;
/// The version of the frame format.
pub const VERSION: u8 = 1;
/// The length of a header.
pub const HEADER: usize = 32;
/// The longest payload that any frame may have.
pub const MAX_LENGTH: u32 = 64 * 1024 * 1024;
/// Flag of a `Request`: the caller takes `Item` frames.
pub const STREAM: u16 = 1;
/// Flag of a guest's `Request`: the thread that takes its requests waits for the answer.
pub const SERVING_WAITS: u16 = 2;
/// Flag of a guest's `Request`: the thread of its asynchronous operations waits for the answer.
pub const LOOP_WAITS: u16 = 4;

/// How much of the stream is read at once while frames are small.
const SCRATCH: usize = 16 * 1024;
/// How much room a long frame is given ahead of the bytes that have arrived.
const STEP: usize = 1024 * 1024;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $number),* }

        impl Kind {
            /// Every kind, by its number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind of that number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Its name as documents and errors write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

kinds! {
    /// Guest: who I am and what I offer.
    Hello = 1, "Hello";
    /// Host: welcome, and your settings.
    Welcome = 2, "Welcome";
    /// Host: I will not have you, and why.
    Refused = 3, "Refused";
    /// Guest: I answer calls now.
    Ready = 4, "Ready";
    /// Either: run an operation.
    Request = 5, "Request";
    /// Either: its result.
    Reply = 6, "Reply";
    /// Either: it failed.
    Error = 7, "Error";
    /// One item of a streamed result.
    Item = 8, "Item";
    /// The streamed result is complete.
    End = 9, "End";
    /// The caller no longer wants the result.
    Cancel = 10, "Cancel";
    /// The reader of a stream has room for more items.
    Credit = 11, "Credit";
    /// A value for a topic.
    Publish = 12, "Publish";
    /// Guest: send me what is published there.
    Subscribe = 13, "Subscribe";
    /// Guest: no more of it.
    Unsubscribe = 14, "Unsubscribe";
    /// Are you there?
    Ping = 15, "Ping";
    /// I am here.
    Pong = 16, "Pong";
    /// Host: finish and exit.
    Stop = 17, "Stop";
    /// Guest: I am done and about to exit.
    Stopped = 18, "Stopped";
    /// Host: this many published values were dropped on their way to you.
    Dropped = 19, "Dropped";
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The 32 bytes before every payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Flags of the kind; unknown ones are ignored.
    pub flags: u16,
    /// A lane or topic number; 0 today.
    pub channel: u32,
    /// How long the payload is.
    pub length: u32,
    /// Which request this belongs to; 0 for none.
    pub correlation: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`; 0 for none.
    pub deadline: u64,
}

impl Header {
    /// A header of that kind with everything else 0.
    pub const fn new(kind: Kind, correlation: u64) -> Self {
        Self { kind, flags: 0, channel: 0, length: 0, correlation, deadline: 0 }
    }

    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..2].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[2] = VERSION;
        bytes[3] = self.kind as u8;
        bytes[4..6].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.channel.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.correlation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.deadline.to_le_bytes());
        bytes
    }

    /// Reads a header and checks it against `limit`, the longest payload allowed now.
    ///
    /// # Errors
    /// [`ProtocolError`] naming what is wrong.
    pub fn decode(bytes: &[u8; HEADER], limit: u32) -> Result<Self, ProtocolError> {
        let [m0, m1, version, kind, f0, f1, r0, r1, rest @ ..] = bytes;
        let magic = u16::from_le_bytes([*m0, *m1]);
        if magic != MAGIC {
            return Err(ProtocolError::Magic { found: magic });
        }
        if *version != VERSION {
            return Err(ProtocolError::Version { found: *version });
        }
        let kind = Kind::from_number(*kind).ok_or(ProtocolError::Kind { found: *kind })?;
        if (*r0, *r1) != (0, 0) {
            return Err(ProtocolError::Reserved);
        }
        let word =
            |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | (u64::from(word(at + 4)) << 32);
        let length = word(4);
        if length > limit {
            return Err(ProtocolError::TooLong { length, limit });
        }
        Ok(Self {
            kind,
            flags: u16::from_le_bytes([*f0, *f1]),
            channel: word(0),
            length,
            correlation: long(8),
            deadline: long(16),
        })
    }
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its payload, in memory of its own; empty where it [is lost](Self::is_lost).
    pub payload: Bytes,
}

impl Frame {
    /// Whether there was no memory for its payload, which was read over.
    pub fn is_lost(&self) -> bool {
        self.payload.len() != self.header.length as usize
    }
}

/// Where the next bytes of the stream are to be written.
pub enum Space<'a> {
    /// A part of the assembler's own buffer.
    Scratch(&'a mut [u8]),
    /// The rest of a long frame; at most its spare capacity may be appended.
    Long(&'a mut Vec<u8>),
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct Assembler {
    limit: u32,
    scratch: Vec<u8>,
    start: usize,
    end: usize,
    long: Option<(Header, Vec<u8>)>,
    /// A long frame that there is no memory for, and how many bytes of it are still to come.
    lost: Option<(Header, usize)>,
}

impl Assembler {
    /// An assembler that refuses payloads longer than `limit`.
    pub const fn new(limit: u32) -> Self {
        Self { limit, scratch: Vec::new(), start: 0, end: 0, long: None, lost: None }
    }

    /// Changes the longest payload that is allowed from the next header on.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(MAX_LENGTH);
    }

    /// Where the next bytes are to be written; it is never empty.
    pub fn space(&mut self) -> Space<'_> {
        self.give_up_without_memory();
        if let Some((_, data)) = self.long.as_mut() {
            return Space::Long(data);
        }
        if self.scratch.is_empty() {
            self.scratch.resize(SCRATCH, 0);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.scratch.len() {
            self.scratch.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Space::Scratch(&mut self.scratch[self.end..])
    }

    /// Makes room for more of a long frame; where there is none, what is there of it goes, and the rest is read over.
    fn give_up_without_memory(&mut self) {
        let Some((header, data)) = self.long.as_mut() else { return };
        let missing = header.length as usize - data.len();
        if data.capacity() == data.len()
            && memory::reserve(data, missing.min(STEP.max(data.len()))).is_err()
        {
            self.lost = Some((*header, missing));
            self.long = None;
        }
    }

    /// Says that `count` bytes were written to the scratch space (bytes of a long frame say it themselves).
    pub fn wrote(&mut self, count: usize) {
        if self.long.is_none() {
            self.end = (self.end + count).min(self.scratch.len());
        }
    }

    /// The next whole frame, where there is one.
    ///
    /// # Errors
    /// [`ProtocolError`] for a header that is not lawful; the stream cannot be followed any further then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        if let Some((header, data)) = self.long.take() {
            if data.len() < header.length as usize {
                self.long = Some((header, data));
                return Ok(None);
            }
            let mut data = data;
            // An allocator may give a vector more room than was asked for, and a read fills it all.
            let excess = data.split_off(header.length as usize);
            self.scratch.resize(SCRATCH.max(excess.len()), 0);
            self.scratch[..excess.len()].copy_from_slice(&excess);
            (self.start, self.end) = (0, excess.len());
            return Ok(Some(Frame { header, payload: Bytes::from(data) }));
        }
        if let Some((header, missing)) = self.lost.take() {
            let there = missing.min(self.end - self.start);
            self.start += there;
            if there < missing {
                self.lost = Some((header, missing - there));
                return Ok(None);
            }
            return Ok(Some(Frame { header, payload: Bytes::new() }));
        }
        let ready = &self.scratch[self.start..self.end];
        let Some((head, rest)) = ready.split_first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::decode(head, self.limit)?;
        let length = header.length as usize;
        if rest.len() >= length {
            let payload = Bytes::copy_from_slice(&rest[..length]);
            self.start += HEADER + length;
            return Ok(Some(Frame { header, payload }));
        }
        if HEADER + length > SCRATCH {
            let there = rest.len();
            match memory::with_room(length.min(STEP)) {
                Ok(mut data) => {
                    data.extend_from_slice(rest);
                    self.long = Some((header, data));
                }
                Err(_) => self.lost = Some((header, length - there)),
            }
            (self.start, self.end) = (0, 0);
        }
        Ok(None)
    }

    /// Takes in `bytes` and appends every frame that they complete.
    ///
    /// # Errors
    /// [`ProtocolError`] as [`Assembler::next_frame`]; frames before the fault have been appended.
    pub fn feed(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), ProtocolError> {
        while !bytes.is_empty() {
            let count = match self.space() {
                Space::Scratch(room) => {
                    let count = room.len().min(bytes.len());
                    room[..count].copy_from_slice(&bytes[..count]);
                    count
                }
                Space::Long(data) => {
                    let count = (data.capacity() - data.len()).min(bytes.len());
                    data.extend_from_slice(&bytes[..count]);
                    count
                }
            };
            self.wrote(count);
            bytes = &bytes[count..];
            while let Some(frame) = self.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(())
    }
}
