//! A lane: one process's end of a stream socket to one peer, the same type on the host's and on the guest's side.
//!
//! Who reads the socket is decided in `turn`: a caller that waits reads for itself and for the others, and when nobody
//! waits the background [`Reader`] does. What is pending lies in `book`, what could not be written yet in `output`.
//! Invariants: user code never runs while a lane's lock or its reading is held; a peer's bytes cost at most the
//! limits of [`LaneOptions`]; every call is answered exactly once.

mod book;
mod call;
mod dispatch;
mod inbound;
mod options;
mod output;
mod receive;
mod serve;
mod stream;
mod turn;
mod waiter;
mod work;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

pub use call::{CallId, CallOptions, Done, Submission};
pub use inbound::{Inbound, InboundRequest};
pub use options::{LaneOptions, LaneStats, Side};
pub use stream::Items;

use crate::error::{CallError, Closed, IpcError};
use crate::frame::{Assembler, MAX_LENGTH};
use crate::reader::Reader;
use book::Book;
use output::Output;
use turn::{TICK, Turn};
use work::Work;

/// The longest frame that a host takes from a guest which has not said that it is ready.
const GREETING_LIMIT: u32 = 1024 * 1024;

/// Counters that anybody may read without stopping the lane.
#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    answers: AtomicU64,
    served: AtomicU64,
    late: AtomicU64,
    dropped: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

/// What all clones of a lane share.
pub(crate) struct Core {
    name: String,
    side: Side,
    id: u64,
    socket: OwnedFd,
    reader: Reader,
    handler: Arc<dyn Inbound>,
    max_frame: u32,
    out_limit: usize,
    turn: Mutex<Turn>,
    input: Mutex<Assembler>,
    output: Mutex<Output>,
    book: Mutex<Book>,
    inbox: Mutex<work::Inbox>,
    /// Grows whenever a caller reads: the background thread leaves an active lane to its callers.
    activity: AtomicU64,
    /// Calls whose answer nobody waits for on this lane: while there are any, somebody must always read.
    offhand: AtomicUsize,
    /// The deadline for which the background thread has a timer.
    timer: AtomicU64,
    counters: Counters,
}

/// One end of a connection to a peer. Clones are the same lane; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Lane(Arc<Core>);

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
        let core = Arc::new(Core {
            id: options.reader.next_id(),
            name: options.name,
            side: options.side,
            socket,
            reader: options.reader.clone(),
            handler,
            max_frame: options.max_frame.min(MAX_LENGTH),
            out_limit: options.out_limit,
            turn: Mutex::new(Turn::default()),
            input: Mutex::new(Assembler::new(limit)),
            output: Mutex::new(Output::default()),
            book: Mutex::new(Book::new(options.queue)),
            inbox: Mutex::default(),
            activity: AtomicU64::new(0),
            offhand: AtomicUsize::new(0),
            timer: AtomicU64::new(u64::MAX),
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
    fn lane(self: &Arc<Self>) -> Lane {
        Lane::from_core(Arc::clone(self))
    }

    fn closed_error(&self, reason: Closed) -> CallError {
        CallError::Closed { lane: self.name.clone(), reason }
    }

    /// Closes the lane, once: answers everything that is pending and hands what users must hear to `work`.
    fn finish(&self, reason: Closed, work: &mut Vec<Work>) {
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
                Work::Closed(reason) => self.handler.closed(reason),
                _ => {}
            }
        }
    }
}
