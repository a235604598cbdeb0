//! Reading a lane's socket: in one blocking call while a caller waits, without waiting in the background.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::listening::Since;
use super::turn::{Patience, TICK};
use super::work::Work;
use super::{Core, count};
use crate::error::Closed;
use crate::frame::{Assembler, Space};

/// How many reads the background thread makes on one lane before it looks at the others.
const ROUNDS: usize = 16;

/// What a read brought.
pub(super) enum Received {
    Bytes,
    /// Nothing yet: a tick or the deadline passed.
    Nothing,
    /// Nothing yet: a signal came.
    Signal,
    End(Closed),
}

impl Core {
    /// Waits for bytes: for a tick at most, or where nothing was to be read last time as long as nobody has to be asked.
    pub(super) fn receive(
        &self,
        input: &mut Assembler,
        patience: Patience,
        idle: bool,
    ) -> Received {
        let Patience { deadline, asks } = patience;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let span = match left {
            // The socket's own timeout is one tick: in the common case reading is waiting, in one system call.
            Some(left) if left < TICK => Some(left),
            _ if !idle || asks.is_some_and(|every| every <= TICK) => {
                return self.read(input, RecvFlags::empty());
            }
            left => left.into_iter().chain(asks).min(),
        };
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut watched, span.map(timespec).as_ref()) {
            Ok(0) => Received::Nothing,
            Err(Errno::INTR) => Received::Signal,
            _ => self.read(input, RecvFlags::DONTWAIT),
        }
    }

    fn read(&self, input: &mut Assembler, flags: RecvFlags) -> Received {
        let read = match input.space() {
            Space::Scratch(room) => recv(&self.socket, room, flags).map(|(_, read)| read),
            Space::Long(data) => recv(&self.socket, rustix::buffer::spare_capacity(data), flags)
                .map(|(_, read)| read),
        };
        match read {
            Ok(0) => Received::End(Closed::Eof),
            Ok(read) => {
                input.wrote(read);
                count(&self.counters.bytes_in, read);
                Received::Bytes
            }
            Err(Errno::AGAIN) => Received::Nothing,
            Err(Errno::INTR) => Received::Signal,
            // A reset connection, or anything else that a broken socket says: nothing more will come.
            Err(_) => Received::End(Closed::Eof),
        }
    }

    /// Reads what is there without waiting.
    pub(super) fn read_now(&self, input: &mut Assembler, work: &mut Vec<Work>) {
        for _ in 0..ROUNDS {
            match self.read(input, RecvFlags::DONTWAIT) {
                Received::Bytes => self.take_frames(input, work),
                Received::End(reason) => return self.finish(reason, work),
                Received::Nothing | Received::Signal => return,
            }
        }
    }

    /// Gives every whole frame to its place.
    pub(super) fn take_frames(&self, input: &mut Assembler, work: &mut Vec<Work>) {
        loop {
            let taken = match input.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => self.dispatch(frame, input, work),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                return self.finish(Closed::Violation(error), work);
            }
        }
    }
}

impl Core {
    /// This moment, as the peer's silence is counted.
    pub(super) fn since(&self) -> Since {
        self.listening.lock().now()
    }

    /// Looks whether somebody reads, and says how long somebody has.
    pub(super) fn look(&self) -> Duration {
        let read = self.counters.bytes_in.load(Ordering::Relaxed);
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        let waits = matches!(poll(&mut watched, Some(&timespec(Duration::ZERO))), Ok(1..));
        let (heard, unheard) = self.listening.lock().look(read, waits);
        if unheard {
            self.ensure_read();
        }
        heard
    }
}

pub(super) fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
