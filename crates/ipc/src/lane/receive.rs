//! Reading a lane's socket: in one blocking call while a caller waits, without waiting in the background.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::turn::TICK;
use super::work::Work;
use super::{Core, count};
use crate::error::Closed;
use crate::frame::{Assembler, Space};

/// How many reads the background thread makes on one lane before it looks at the others.
const ROUNDS: usize = 16;

/// What a read brought.
pub(super) enum Received {
    Bytes,
    /// Nothing yet: a tick or the deadline passed, or a signal came.
    Nothing,
    End(Closed),
}

impl Core {
    /// Waits for bytes: for a tick at most, or for ever if nobody has to be asked and nothing was to be read last time.
    pub(super) fn receive(
        &self,
        input: &mut Assembler,
        deadline: Option<Instant>,
        ask: bool,
        idle: bool,
    ) -> Received {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let span = match left {
            // The socket's own timeout is one tick: in the common case reading is waiting, in one system call.
            Some(left) if left < TICK => Some(left),
            _ if !idle || ask => return self.read(input, RecvFlags::empty()),
            left => left,
        };
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut watched, span.map(timespec).as_ref()) {
            Ok(0) | Err(Errno::INTR) => Received::Nothing,
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
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
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
                Received::Nothing => return,
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

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
