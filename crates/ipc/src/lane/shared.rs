//! What all clones of a lane share, and the lane itself: opened, looked at, closed.
//!
//! Invariant: a lane closes once, and answers then everything that is pending.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::book::Book;
use super::inbound::Inbound;
use super::listening::Listening;
use super::options::{LaneOptions, LaneStats, Side};
use super::output::Output;
use super::turn::{TICK, Turn};
use super::work::{Inbox, Work};
use crate::error::{CallError, Closed, IpcError};
use crate::frame::{Assembler, MAX_LENGTH};
use crate::hooks;
use crate::reader::Reader;

/// The longest frame that a host takes from a guest which has not said that it is ready.
const GREETING_LIMIT: u32 = 1024 * 1024;

/// Counters that anybody may read without stopping the lane.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) calls: AtomicU64,
    pub(super) answers: AtomicU64,
    pub(super) served: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

/// What all clones of a lane share.
pub(crate) struct Core {
    pub(super) name: String,
    pub(super) side: Side,
    pub(super) id: u64,
    pub(super) socket: OwnedFd,
    pub(super) reader: Reader,
    pub(super) handler: Arc<dyn Inbound>,
    pub(super) max_frame: u32,
    pub(super) out_limit: usize,
    pub(super) patience: Duration,
    pub(super) in_limit: usize,
    pub(super) turn: Mutex<Turn>,
    pub(super) input: Mutex<Assembler>,
    pub(super) output: Mutex<Output>,
    pub(super) book: Mutex<Book>,
    pub(super) inbox: Mutex<Inbox>,
    /// How many calls are counted until they are answered.
    pub(super) counted: Arc<AtomicUsize>,
    /// Grows whenever a caller reads: the background thread leaves an active lane to its callers.
    pub(super) activity: AtomicU64,
    /// Calls whose answer nobody waits for on this lane: while there are any, somebody must always read.
    pub(super) offhand: AtomicUsize,
    /// The deadline for which the background thread has a timer.
    pub(super) timer: AtomicU64,
    pub(super) listening: Mutex<Listening>,
    pub(super) counters: Counters,
}

/// One end of a connection to a peer. Clones are the same lane; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Lane(pub(super) Arc<Core>);

impl Lane {
    /// Opens a lane over a connected stream socket and has the background thread of `options.reader` serve it.
    ///
    /// # Errors
    /// [`IpcError`] when the socket cannot be prepared or watched.
    pub fn open(
        socket: OwnedFd,
        options: LaneOptions<'_>,
        handler: Arc<dyn Inbound>,
    ) -> Result<Self, IpcError> {
        // Waiting callers block in one plain `recv`; everything else says that it does not want to wait.
        rustix::io::ioctl_fionbio(&socket, false)
            .and_then(|()| set_socket_timeout(&socket, Timeout::Recv, Some(TICK)))
            .map_err(|error| IpcError::new("prepare a lane's socket", error))?;
        let limit = match options.side {
            Side::Host => GREETING_LIMIT.min(options.max_frame),
            Side::Guest => options.max_frame,
        };
        let output = Output::default();
        let core = Arc::new(Core {
            id: options.reader.next_id(),
            name: options.name,
            side: options.side,
            socket,
            reader: options.reader.clone(),
            handler,
            max_frame: options.max_frame.min(MAX_LENGTH),
            out_limit: options.out_limit,
            patience: options.patience,
            in_limit: options.in_limit,
            turn: Mutex::new(Turn::default()),
            input: Mutex::new(Assembler::new(limit)),
            book: Mutex::new(Book::new(options.queue)),
            inbox: Mutex::default(),
            counted: output.counted(),
            output: Mutex::new(output),
            activity: AtomicU64::new(0),
            offhand: AtomicUsize::new(0),
            timer: AtomicU64::new(u64::MAX),
            listening: Mutex::default(),
            counters: Counters::default(),
        });
        {
            // An event may come before this returns; its handler then waits for the lock.
            let mut turn = core.turn.lock();
            core.reader.register(&core)?;
            turn.armed = true;
        }
        Ok(Self(core))
    }

    /// Whether both are the same lane.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its number, which no other lane of this process has.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The name given at its opening.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Why the lane is closed, where it is.
    pub fn closed(&self) -> Option<Closed> {
        self.0.book.lock().closed.clone()
    }

    /// Whether both sides have said that they are ready.
    pub fn is_ready(&self) -> bool {
        self.0.book.lock().is_open()
    }

    /// Closes the lane. Pending calls end as closed; the peer sees the end of the stream.
    pub fn close(&self) {
        let mut work = Vec::new();
        self.0.finish(Closed::Local, &mut work);
        self.0.perform(work);
    }

    /// What the lane did so far and what it holds now.
    pub fn stats(&self) -> LaneStats {
        let (pending, serving) = self.0.book.lock().depth();
        let counters = &self.0.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LaneStats {
            pending,
            serving,
            queued_bytes: self.0.output.lock().bytes(),
            calls: read(&counters.calls),
            answers: read(&counters.answers),
            served: read(&counters.served),
            late: read(&counters.late),
            dropped: read(&counters.dropped),
            bytes_in: read(&counters.bytes_in),
            bytes_out: read(&counters.bytes_out),
        }
    }

    pub(crate) const fn from_core(core: Arc<Core>) -> Self {
        Self(core)
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lane").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The lane itself, for those who are told about it.
    pub(super) fn lane(self: &Arc<Self>) -> Lane {
        Lane::from_core(Arc::clone(self))
    }

    pub(super) fn closed_error(&self, reason: Closed) -> CallError {
        CallError::Closed { lane: self.name.clone(), reason }
    }

    /// Closes the lane, once: answers everything that is pending and hands what users must hear to `work`.
    pub(super) fn finish(&self, reason: Closed, work: &mut Vec<Work>) {
        let Some(ended) = self.book.lock().close(reason.clone()) else { return };
        // Wakes whoever blocks in a read; what was already received stays readable, and is no longer wanted.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        self.output.lock().abandon();
        self.reader.forget(self);
        ended.deliver(|| self.closed_error(reason.clone()), work);
        work.push(Work::Closed(reason));
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let mut work = Vec::new();
        self.finish(Closed::Local, &mut work);
        for item in work {
            match item {
                Work::Done(done, result) => done(result),
                Work::Wake(hooks) => hooks::call(hooks),
                Work::Closed(reason) => self.handler.closed(reason),
                _ => {}
            }
        }
    }
}
