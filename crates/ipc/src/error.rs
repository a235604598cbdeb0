//! What can go wrong on a lane, as fields. Callers match on [`CallError`]; a host records [`Closed`].

use std::borrow::Cow;
use std::time::Duration;

use component::{Code, Hint};
use serde::{Deserialize, Serialize};

use crate::frame::Kind;

/// How long the word or the type of a failure may be that is sent, in bytes.
const WORD: usize = 1024;
/// How long its message, and its traceback.
const TEXT: usize = 256 * 1024;
/// How many causes it may have.
const CAUSES: usize = 64;
/// How long each may be, and where all of it has to fit the short frames of a guest's start.
const CAUSE: usize = TEXT / 4;
const CAUSE_OF_START: usize = TEXT / 64;

/// Bytes that are not one value of the protocol's subset of msgpack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The bytes end inside a value.
    #[error("the value ends too early, at byte {at}")]
    Truncated {
        /// Where more was expected.
        at: usize,
    },
    /// There is something after the value.
    #[error("{count} bytes stand after the value")]
    Trailing {
        /// How many bytes.
        count: usize,
    },
    /// A byte that begins nothing that the protocol allows (an extension type, for instance).
    #[error("byte 0x{marker:02x} at {at} begins no value that the protocol allows")]
    Marker {
        /// The byte.
        marker: u8,
        /// Where it stands.
        at: usize,
    },
    /// A text that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    Text {
        /// Where it begins.
        at: usize,
    },
    /// A map key that is no text.
    #[error("the map key at byte {at} is not a text")]
    Key {
        /// Where it begins.
        at: usize,
    },
    /// An unsigned number beyond what a signed 64-bit one can hold.
    #[error("the number at byte {at} does not fit a signed 64-bit integer")]
    Range {
        /// Where it begins.
        at: usize,
    },
    /// Lists and maps inside each other, more than the protocol allows.
    #[error("lists and maps are nested deeper than {limit}")]
    Depth {
        /// The limit.
        limit: usize,
    },
    /// More single values than the protocol allows.
    #[error("the value holds more than {limit} single values")]
    Count {
        /// The limit.
        limit: usize,
    },
    /// No memory is left for its bytes.
    #[error(transparent)]
    NoMemory(#[from] component::memory::NoMemory),
    /// A value of another shape than its reader needs.
    #[error("the value is not what is expected here: {reason}")]
    Shape {
        /// What was expected, or what the decoder said.
        reason: String,
    },
}

impl Hint for ValueError {
    fn code(&self) -> Code {
        match self {
            Self::NoMemory(error) => error.code(),
            _ => Code::INVALID_VALUE,
        }
    }

    fn hints(&self) -> Vec<String> {
        if let Self::NoMemory(error) = self {
            return error.hints();
        }
        vec![
            "values are None, bool, 64-bit int, float, text, bytes, list, and map with text keys"
                .to_owned(),
        ]
    }
}

/// What a peer did that the protocol forbids. It costs the peer its lane and harms nobody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first two bytes of a frame are wrong.
    #[error("a frame begins with 0x{found:04x} instead of 0x5359")]
    Magic {
        /// What stood there.
        found: u16,
    },
    /// A frame of a version that this side does not speak.
    #[error("a frame of version {found}; this side speaks version 1")]
    Version {
        /// The version.
        found: u8,
    },
    /// A frame of a kind that does not exist.
    #[error("a frame of unknown kind {found}")]
    Kind {
        /// The kind's number.
        found: u8,
    },
    /// It subscribed to more topics than it may.
    #[error(
        "it is subscribed to {topics} topics, or the names of its topics have more than {bytes} bytes"
    )]
    Subscriptions {
        /// To how many it may be.
        topics: usize,
        /// How many bytes their names may have.
        bytes: usize,
    },
    /// Reserved bytes that are not zero.
    #[error("the reserved bytes of a frame are not zero")]
    Reserved,
    /// A frame longer than this side allows.
    #[error("a frame of {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// What the header says.
        length: u32,
        /// The limit at that moment.
        limit: u32,
    },
    /// A lawful frame at a moment when it is not lawful.
    #[error("a `{kind}` frame came {when}")]
    Unexpected {
        /// What came.
        kind: Kind,
        /// When: a fragment such as "before the handshake".
        when: &'static str,
    },
    /// A frame whose payload cannot be read.
    #[error("the payload of a `{kind}` frame is wrong: {source}")]
    Payload {
        /// The frame's kind.
        kind: Kind,
        /// What is wrong with it.
        source: ValueError,
    },
    /// A request under a correlation id that is still in use.
    #[error("request {correlation} came twice")]
    Duplicate {
        /// The correlation id.
        correlation: u64,
    },
    /// Stream items beyond the credit that was given.
    #[error("stream {correlation} sent more items, or more bytes of them, than it had credit for")]
    Credit {
        /// The correlation id.
        correlation: u64,
    },
    /// The peer does not read what it makes this side write.
    #[error("{queued} bytes of replies wait for a peer that does not read")]
    NotReading {
        /// How many bytes wait.
        queued: usize,
    },
}

impl Hint for ProtocolError {
    fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::PROTOCOL_MISMATCH,
            _ => Code::PROTOCOL_VIOLATION,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec!["docs/protocol.md describes every frame byte by byte".to_owned()]
    }
}

/// Why a lane is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The peer's end is gone: it exited, crashed or closed the socket.
    #[error("the peer closed its end")]
    Eof,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(ProtocolError),
    /// This side closed the lane.
    #[error("this side closed the lane")]
    Local,
}

/// An operation that failed in the peer: the payload of an `Error` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.text())]
pub struct RemoteFailure {
    /// Its stable word.
    pub code: String,
    /// What failed.
    pub message: String,
    /// The type of the error in its own language (`ValueError`), where it has one.
    #[serde(default)]
    pub type_name: String,
    /// The traceback as text, where there is one.
    #[serde(default)]
    pub traceback: String,
    /// Why, outermost cause first.
    #[serde(default)]
    pub causes: Vec<String>,
}

impl RemoteFailure {
    /// A failure with its word and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message: message.into(),
            type_name: String::new(),
            traceback: String::new(),
            causes: Vec::new(),
        }
    }

    /// What failed, for people: it begins with the type where the message alone says nothing, as that of a `KeyError`.
    fn text(&self) -> Cow<'_, str> {
        let (kind, message) = (self.type_name.as_str(), self.message.as_str());
        let key_alone = kind.rsplit('.').next() == Some("KeyError");
        let says_something = !key_alone && message.trim().contains(char::is_whitespace);
        match (kind.is_empty(), message.is_empty()) {
            (true, true) => Cow::Borrowed("it gave no reason"),
            (false, true) => Cow::Borrowed(kind),
            (true, false) => Cow::Borrowed(message),
            (false, false) if says_something || message.starts_with(kind) => Cow::Borrowed(message),
            (false, false) => Cow::Owned(format!("{kind}: {message}")),
        }
    }

    /// The same with texts that fit one frame, whatever was raised: the middle of what is too long gives way.
    #[must_use]
    pub(crate) fn shortened(self) -> Self {
        self.with_causes_of(CAUSE)
    }

    /// The same with texts that fit a frame from a guest that is not ready yet.
    #[must_use]
    pub(crate) fn shortened_for_start(self) -> Self {
        self.with_causes_of(CAUSE_OF_START)
    }

    fn with_causes_of(mut self, length: usize) -> Self {
        for (text, limit) in [
            (&mut self.code, WORD),
            (&mut self.type_name, WORD),
            (&mut self.message, TEXT),
            (&mut self.traceback, TEXT),
        ] {
            shorten(text, limit);
        }
        self.causes.truncate(CAUSES);
        self.causes.iter_mut().for_each(|cause| shorten(cause, length));
        self
    }

    /// A failure made from an error that has a stable word.
    pub fn from_hint(error: &dyn Hint) -> Self {
        let mut failure = Self::new(error.code(), error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            failure.causes.push(cause.to_string());
            source = cause.source();
        }
        failure
    }
}

/// Leaves the beginning and the end of a text that is too long, and says how much is gone.
fn shorten(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let head = (0..=limit / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let tail = text.len() - limit / 2;
    let tail = (tail..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let left_out = tail - head;
    *text = format!("{} [... {left_out} bytes ...] {}", &text[..head], &text[tail..]);
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No answer by the deadline. The peer was told to cancel.
    #[error("`{lane}` did not answer `{operation}` within {}", component::Seconds::from(*.after))]
    TimedOut {
        /// The lane's name.
        lane: String,
        /// What was called.
        operation: String,
        /// How long the caller waited.
        after: Duration,
    },
    /// Values of a stream waited without one being taken. The peer was told to cancel.
    #[error("nobody took a value of the stream `{operation}` of `{lane}` for {}, and it was ended", component::Seconds::from(*.after))]
    Unread {
        /// The lane's name.
        lane: String,
        /// What was called.
        operation: String,
        /// How long values may wait.
        after: Duration,
    },
    /// The call was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The caller's poll hook asked to give up. The peer was told to cancel.
    #[error("the wait was interrupted")]
    Interrupted,
    /// The lane closed before the answer.
    #[error("the lane to `{lane}` is closed: {reason}")]
    Closed {
        /// The lane's name.
        lane: String,
        /// Why it is closed.
        reason: Closed,
    },
    /// The peer's queue is full.
    #[error("the queue of `{lane}` is full ({queue} call{})", if *queue == 1 { "" } else { "s" })]
    Overloaded {
        /// The lane's name.
        lane: String,
        /// How many calls may be pending.
        queue: u32,
    },
    /// The operation failed in the peer.
    #[error(transparent)]
    Remote(RemoteFailure),
    /// The peer has no such operation.
    #[error("`{lane}` has no operation `{operation}`")]
    UnknownOperation {
        /// The lane's name.
        lane: String,
        /// What was called.
        operation: String,
    },
    /// The handshake is not done yet.
    #[error("`{lane}` is not ready yet")]
    NotReady {
        /// The lane's name.
        lane: String,
    },
    /// The host refused the guest.
    #[error("the host refused this extension: {reason}")]
    Refused {
        /// The stable word of the reason.
        code: String,
        /// The reason.
        reason: String,
    },
    /// The inputs or the result are longer than one frame may be.
    #[error("{length} bytes do not fit a frame; at most {limit} do")]
    TooLarge {
        /// How long they are.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A value that cannot be sent or read.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl Hint for CallError {
    fn code(&self) -> Code {
        match self {
            Self::TimedOut { .. } | Self::Unread { .. } => Code::CALL_TIMEOUT,
            Self::Cancelled => Code::CANCELLED,
            Self::Interrupted => Code::INTERRUPTED,
            Self::Closed { reason: Closed::Violation(error), .. } => error.code(),
            Self::Closed { reason: Closed::Eof, .. } => Code::EXTENSION_CRASHED,
            Self::Closed { reason: Closed::Local, .. } => Code::STOPPED,
            Self::Overloaded { .. } => Code::OVERLOADED,
            Self::Remote(failure) => Code::parse(&failure.code).unwrap_or(Code::REMOTE_ERROR),
            Self::UnknownOperation { .. } => Code::UNKNOWN_OPERATION,
            Self::NotReady { .. } => Code::UNHEALTHY,
            Self::Refused { code, .. } => Code::parse(code).unwrap_or(Code::PROTOCOL_MISMATCH),
            Self::TooLarge { .. } => Code::INVALID_VALUE,
            Self::Value(error) => error.code(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Overloaded { .. } => "call less at once, or raise `limits.queue` in its manifest",
            Self::TooLarge { .. } => "put large data into the artifact store and pass its id",
            Self::Value(error) => return error.hints(),
            Self::Closed { reason: Closed::Violation(error), .. } => return error.hints(),
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// The operating system refused something that a lane or the bus needs.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct IpcError {
    /// What was to be done: a fragment such as "watch a lane".
    pub what: &'static str,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

impl IpcError {
    pub(crate) fn new(what: &'static str, error: impl Into<std::io::Error>) -> Self {
        Self { what, source: error.into() }
    }
}

impl Hint for IpcError {
    fn code(&self) -> Code {
        Code::INTERNAL
    }

    fn hints(&self) -> Vec<String> {
        vec!["see whether the process is out of descriptors (`ulimit -n`)".to_owned()]
    }
}

/// Why a subscription has nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// Nothing came in time.
    #[error("nothing was published in time")]
    TimedOut,
    /// The topic's bus is gone.
    #[error("the bus is closed")]
    Closed,
}

impl Hint for ReceiveError {
    fn code(&self) -> Code {
        match self {
            Self::TimedOut => Code::CALL_TIMEOUT,
            Self::Closed => Code::STOPPED,
        }
    }
}

#[cfg(test)]
mod tests {
    use component::Code;

    use super::{RemoteFailure, TEXT};

    fn failure(type_name: &str, message: &str) -> RemoteFailure {
        let type_name = type_name.to_owned();
        RemoteFailure { type_name, ..RemoteFailure::new(Code::REMOTE_ERROR, message) }
    }

    #[test]
    fn the_type_is_told_where_the_message_alone_says_nothing() {
        for (kind, message, text) in [
            ("KeyError", "'user id'", "KeyError: 'user id'"),
            ("AssertionError", "", "AssertionError"),
            ("ValueError", "17", "ValueError: 17"),
            ("ValueError", "no such file", "no such file"),
            ("m.Panic", "m.Panic: it broke", "m.Panic: it broke"),
            ("", "x", "x"),
            ("", "", "it gave no reason"),
        ] {
            assert_eq!(failure(kind, message).to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_too_long_keeps_its_beginning_and_its_end() {
        let long = format!("begins{}ends", "\u{e4}".repeat(20 << 20));
        let short = failure("E", &long).shortened().message;
        assert!(short.starts_with("begins") && short.ends_with("ends"), "{} bytes", short.len());
        assert!(short.len() < TEXT + 100);
        assert_eq!(failure("E", "as it is").shortened().message, "as it is");
    }
}
