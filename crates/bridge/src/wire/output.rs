//! The server's stdin: written at once where there is room, else by a thread of its own.
//!
//! Invariants: whoever sends never waits for the server; what waits for it is bounded.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// So many bytes may wait for a server that does not read.
const WAITING: usize = 64 * 1024 * 1024;

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsent {
    /// The server closed its end.
    #[error("the server does not read any more")]
    Closed,
    /// It does not read, and too much waits for it.
    #[error("the server does not read, and {} MiB wait for it", WAITING >> 20)]
    Full,
}

#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    /// None once it is closed.
    pipe: Option<OwnedFd>,
    /// It is closed as soon as the queue is empty.
    closing: bool,
}

/// The writing end.
#[derive(Clone)]
pub(super) struct Output(Arc<(Mutex<Queue>, Condvar)>);

impl Output {
    pub(super) fn new(pipe: OwnedFd) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let queue = Queue { pipe: Some(pipe), ..Queue::default() };
        let output = Self(Arc::new((Mutex::new(queue), Condvar::new())));
        let pumping = output.clone();
        let name = "symphony-stdin".to_owned();
        std::thread::Builder::new()
            .name(name)
            .stack_size(128 * 1024)
            .spawn(move || pumping.pump())?;
        Ok(output)
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Unsent> {
        let (queue, waiting) = &*self.0;
        let mut queue = queue.lock();
        let mut sent = 0;
        if queue.bytes.is_empty() {
            sent = queue.write(bytes)?;
        }
        if queue.pipe.is_none() || queue.closing {
            return Err(Unsent::Closed);
        }
        let rest = &bytes[sent..];
        if rest.is_empty() {
            return Ok(());
        }
        // A message that was begun is brought to its end, or what follows would not be understood.
        if sent == 0 && queue.bytes.len() + rest.len() > WAITING {
            return Err(Unsent::Full);
        }
        queue.bytes.extend(rest);
        waiting.notify_one();
        Ok(())
    }

    /// Closes it once everything was written.
    pub(super) fn close(&self) {
        let (queue, waiting) = &*self.0;
        let mut queue = queue.lock();
        queue.closing = true;
        if queue.bytes.is_empty() {
            queue.pipe = None;
        }
        waiting.notify_one();
    }

    /// Writes what waits, for as long as the server is there.
    fn pump(&self) {
        let (queue, waiting) = &*self.0;
        let mut guard = queue.lock();
        loop {
            while guard.bytes.is_empty() {
                if guard.closing || guard.pipe.is_none() {
                    guard.pipe = None;
                    return;
                }
                waiting.wait(&mut guard);
            }
            let part: Vec<u8> = guard.bytes.iter().take(64 * 1024).copied().collect();
            match guard.write(&part) {
                Ok(0) => {}
                Ok(sent) => {
                    guard.bytes.drain(..sent);
                    continue;
                }
                Err(_) => return,
            }
            let Some(pipe) = guard.pipe.as_ref().and_then(|pipe| pipe.try_clone().ok()) else {
                return;
            };
            drop(guard);
            let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
            // Whatever it says, the next write tells.
            let _ = poll(&mut [PollFd::new(&pipe, PollFlags::OUT)], Some(&second));
            guard = queue.lock();
        }
    }
}

impl Queue {
    /// As much as there is room for.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Unsent> {
        let Some(pipe) = &self.pipe else { return Err(Unsent::Closed) };
        let mut sent = 0;
        while sent < bytes.len() {
            match rustix::io::write(pipe, &bytes[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.pipe = None;
                    self.bytes.clear();
                    return Err(Unsent::Closed);
                }
            }
        }
        Ok(sent)
    }
}
