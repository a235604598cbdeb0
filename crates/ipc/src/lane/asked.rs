//! What the peer was asked for and has not answered: kept so that somebody can say what holds a guest up.
//!
//! Written with every call, so it allocates nothing and reads the coarse clock alone.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// So much of an operation's name is kept.
const NAME: usize = 55;

/// One call, as it was made.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    name: [u8; NAME],
    length: u8,
    pub(super) stream: bool,
    /// Calls are taken in the order of these.
    pub(super) order: u64,
    pub(super) at: Duration,
}

impl Asked {
    pub(super) fn new(operation: &str, stream: bool, order: u64) -> Self {
        let mut name = [0; NAME];
        let length = operation.len().min(NAME);
        name[..length].copy_from_slice(&operation.as_bytes()[..length]);
        Self { name, length: u8::try_from(length).unwrap_or(0), stream, order, at: coarse_now() }
    }

    /// The operation, as much of it as was kept.
    pub(super) fn operation(&self) -> String {
        String::from_utf8_lossy(&self.name[..usize::from(self.length)]).into_owned()
    }

    pub(super) fn is_of(&self, operation: &str) -> bool {
        let length = operation.len().min(NAME);
        self.name[..usize::from(self.length)] == operation.as_bytes()[..length]
    }
}

/// Since the machine's start, to a few milliseconds.
pub(super) fn coarse_now() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// An operation for which others wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// The operation that has its turn, or waits for it behind those streams.
    pub operation: String,
    /// For how long it has had no answer, and nobody else had one.
    pub since: Duration,
    /// How many calls wait behind it.
    pub behind: usize,
    /// The streams that were asked for before it and are not at their end.
    pub streams: Vec<String>,
}

impl std::fmt::Display for HeldUp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, since, behind, streams } = self;
        let waits =
            if *behind == 1 { "1 call waits".to_owned() } else { format!("{behind} calls wait") };
        write!(
            out,
            "`{operation}` has had no answer for {} s, and {waits} behind it",
            since.as_secs()
        )?;
        if let Some(stream) = streams.first() {
            write!(out, "; it may itself wait behind the stream `{stream}`")?;
        }
        Ok(())
    }
}
