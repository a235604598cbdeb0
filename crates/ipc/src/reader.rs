//! The one background thread of a process's lanes: it reads what nobody waits on, keeps deadlines, writes what had to
//! wait, and takes captured output in, line by line.
//!
//! Its callers are lanes (arming, timers) and whoever captures a pipe. It holds no lane alive. Invariant: it calls user
//! code only while it holds no lock, and survives a panic in it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use crate::clock;
use crate::error::IpcError;
use crate::lane::Core;

/// How soon the background thread looks again at a lane that it left to its callers.
const TICK: u64 = 1_000_000;
/// The longest captured line; a longer one is told in pieces.
const LINE: usize = 64 * 1024;

const READ: u64 = 0;
const WRITE: u64 = 1;
const PIPE: u64 = 2;
const WAKE: u64 = 3;

const fn token(id: u64, what: u64) -> EventData {
    EventData::new_u64((id << 2) | what)
}

/// What a captured pipe brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured<'a> {
    /// A line without its end; not necessarily text.
    Line(&'a [u8]),
    /// All writers are gone.
    End,
}

type Sink = Box<dyn FnMut(Captured<'_>) + Send>;

/// A pipe whose lines are told to somebody.
struct Pipe {
    source: OwnedFd,
    pending: Vec<u8>,
    sink: Sink,
}

/// Something that becomes readable once.
type Watch = (OwnedFd, Box<dyn FnOnce() + Send>);

enum Source {
    Lane(Weak<Core>),
    Pipe(Pipe),
    Watch(Watch),
}

#[derive(Default)]
struct State {
    sources: HashMap<u64, Source>,
    timers: BinaryHeap<Reverse<(u64, u64)>>,
    /// Until when the thread sleeps; 0 while it is awake.
    asleep_until: u64,
    closing: bool,
}

struct Shared {
    epoll: OwnedFd,
    wake: OwnedFd,
    next: AtomicU64,
    state: Mutex<State>,
}

/// Ends the thread when the last handle is dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state.lock().closing = true;
        self.0.wake();
    }
}

/// The background thread, as its users hold it. Clones are the same thread; it ends after the last one and the last
/// lane that uses it.
#[derive(Clone)]
pub struct Reader(Arc<Handle>);

impl Reader {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`IpcError`] when the system has no descriptor or no thread left.
    pub fn new() -> Result<Self, IpcError> {
        let failed = |error: Errno| IpcError::new("set up the background reader", error);
        let shared = Arc::new(Shared {
            epoll: epoll::create(CreateFlags::CLOEXEC).map_err(failed)?,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?,
            next: AtomicU64::new(1),
            state: Mutex::default(),
        });
        epoll::add(&shared.epoll, &shared.wake, token(0, WAKE), EventFlags::IN).map_err(failed)?;
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("symphony-lanes".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| IpcError::new("start the background reader", error))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Tells every line of a pipe to `sink`, on the background thread, which must not be blocked; then its end.
    ///
    /// # Errors
    /// [`IpcError`] when the pipe cannot be watched.
    pub fn capture(
        &self,
        source: OwnedFd,
        sink: impl FnMut(Captured<'_>) + Send + 'static,
    ) -> Result<(), IpcError> {
        let failed = |error: Errno| IpcError::new("capture a pipe", error);
        // A pipe with half a line in it must not hold up every lane of this thread.
        rustix::io::ioctl_fionbio(&source, true).map_err(failed)?;
        self.add(Source::Pipe(Pipe { source, pending: Vec::new(), sink: Box::new(sink) }))
            .map_err(failed)
    }

    /// Calls `ready` once, on the background thread, when the descriptor becomes readable (a pidfd: when it exits).
    ///
    /// # Errors
    /// [`IpcError`] when the descriptor cannot be watched.
    pub fn watch(
        &self,
        source: OwnedFd,
        ready: impl FnOnce() + Send + 'static,
    ) -> Result<(), IpcError> {
        self.add(Source::Watch((source, Box::new(ready))))
            .map_err(|error| IpcError::new("watch a descriptor", error))
    }

    fn add(&self, source: Source) -> rustix::io::Result<()> {
        let shared = &self.0.0;
        let id = self.next_id();
        // Taken before the kernel knows the descriptor: an event that comes at once has to find its source.
        let mut state = shared.state.lock();
        match &source {
            Source::Pipe(Pipe { source, .. }) | Source::Watch((source, _)) => {
                let flags = EventFlags::IN | EventFlags::ONESHOT;
                epoll::add(&shared.epoll, source, token(id, PIPE), flags)?;
            }
            Source::Lane(_) => {}
        }
        state.sources.insert(id, source);
        Ok(())
    }

    /// The descriptors of the thread, of every lane and of every captured pipe, which a forked child must let go of.
    /// Never waits: where another thread held the lock at the fork, only the thread's own are told.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let shared = &self.0.0;
        let mut found = vec![shared.epoll.as_raw_fd(), shared.wake.as_raw_fd()];
        if let Some(state) = shared.state.try_lock() {
            found.extend(state.sources.values().filter_map(|source| match source {
                Source::Lane(lane) => lane.upgrade().map(|lane| {
                    let number = lane.socket().as_raw_fd();
                    // In a child that was forked there may be nobody to end it.
                    std::mem::forget(lane);
                    number
                }),
                Source::Pipe(Pipe { source, .. }) | Source::Watch((source, _)) => {
                    Some(source.as_raw_fd())
                }
            }));
        }
        found
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.0.0.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn register(&self, core: &Arc<Core>) -> Result<(), IpcError> {
        let shared = &self.0.0;
        shared.state.lock().sources.insert(core.id(), Source::Lane(Arc::downgrade(core)));
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        epoll::add(&shared.epoll, core.socket(), token(core.id(), READ), flags).map_err(|error| {
            shared.state.lock().sources.remove(&core.id());
            IpcError::new("watch a lane", error)
        })
    }

    /// Arms a lane for one event. False: it is not watched any more.
    pub(crate) fn arm_read(&self, socket: &OwnedFd, id: u64) -> bool {
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        epoll::modify(&self.0.0.epoll, socket, token(id, READ), flags).is_ok()
    }

    pub(crate) fn add_write(&self, socket: &OwnedFd, id: u64) -> bool {
        let flags = EventFlags::OUT | EventFlags::ONESHOT;
        epoll::add(&self.0.0.epoll, socket, token(id, WRITE), flags).is_ok()
    }

    pub(crate) fn arm_write(&self, socket: &OwnedFd, id: u64) {
        let flags = EventFlags::OUT | EventFlags::ONESHOT;
        if epoll::modify(&self.0.0.epoll, socket, token(id, WRITE), flags).is_err() {
            self.timer(id, clock::now() + 10 * TICK);
        }
    }

    /// Has the lane's timer called at that moment.
    pub(crate) fn timer(&self, id: u64, at: u64) {
        let mut state = self.0.0.state.lock();
        state.timers.push(Reverse((at, id)));
        let wake = at < state.asleep_until;
        drop(state);
        if wake {
            self.0.0.wake();
        }
    }

    pub(crate) fn forget(&self, lane: &Core) {
        let _ = epoll::delete(&self.0.0.epoll, lane.socket());
        self.0.0.state.lock().sources.remove(&lane.id());
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Shared {
    fn wake(&self) {
        // Full means that a wake is on its way already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn lane(&self, id: u64) -> Option<Arc<Core>> {
        match self.state.lock().sources.get(&id) {
            Some(Source::Lane(lane)) => lane.upgrade(),
            _ => None,
        }
    }

    fn run(&self) {
        let mut watched: HashMap<u64, u64> = HashMap::new();
        let mut events = [MaybeUninit::<Event>::uninit(); 64];
        let mut ticked = clock::now();
        loop {
            let Some(sleep) = self.prepare_sleep(!watched.is_empty()) else { return };
            let ready: Vec<u64> = match epoll::wait(&self.epoll, &mut events, sleep.as_ref()) {
                Ok((ready, _)) => ready.iter().map(|event| event.data.u64()).collect(),
                Err(Errno::INTR) => Vec::new(),
                Err(error) => {
                    tracing::error!(%error, "the background reader cannot wait and ends");
                    return;
                }
            };
            self.state.lock().asleep_until = 0;
            let mut seen = HashSet::new();
            for event in ready {
                let (id, what) = (event >> 2, event & 3);
                match what {
                    READ => {
                        if let Some(lane) = self.lane(id)
                            && guarded(|| lane.on_readable()).unwrap_or(true)
                        {
                            seen.insert(id);
                        }
                    }
                    WRITE => {
                        if let Some(lane) = self.lane(id) {
                            lane.on_writable();
                        }
                    }
                    PIPE => self.on_pipe(id),
                    _ => {
                        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                    }
                }
            }
            self.run_timers();
            let now = clock::now();
            if now.saturating_sub(ticked) >= TICK {
                ticked = now;
                watched.retain(|id, activity| {
                    self.lane(*id).is_some_and(|lane| lane.on_tick(activity))
                });
            }
            for id in seen {
                watched.entry(id).or_insert(0);
            }
        }
    }

    /// How long to sleep: `None` to end, else a timeout or for ever.
    #[expect(clippy::option_option, reason = "no sleep at all and endless sleep are both there")]
    fn prepare_sleep(&self, ticking: bool) -> Option<Option<Timespec>> {
        let mut state = self.state.lock();
        if state.closing {
            return None;
        }
        let now = clock::now();
        let timer = state.timers.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        let until = if ticking { timer.min(now + TICK) } else { timer };
        state.asleep_until = until;
        if until == u64::MAX {
            return Some(None);
        }
        let span = until.saturating_sub(now);
        Some(Some(Timespec {
            tv_sec: i64::try_from(span / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(span % 1_000_000_000).unwrap_or(0),
        }))
    }

    fn run_timers(&self) {
        let now = clock::now();
        let mut due = HashSet::new();
        {
            let mut state = self.state.lock();
            while let Some(Reverse((at, id))) = state.timers.peek().copied()
                && at <= now
            {
                state.timers.pop();
                due.insert(id);
            }
        }
        for id in due {
            if let Some(lane) = self.lane(id) {
                lane.on_timer();
            }
        }
    }

    /// Reads a captured pipe, or tells a watcher. It is out of the table meanwhile, so no lock is held.
    fn on_pipe(&self, id: u64) {
        let source = self.state.lock().sources.remove(&id);
        match source {
            Some(Source::Pipe(mut pipe)) => {
                let flags = EventFlags::IN | EventFlags::ONESHOT;
                // A sink that panicked is not told any more; the pipe's writers see it closed.
                let goes_on = guarded(|| pipe.read()).unwrap_or(false)
                    && epoll::modify(&self.epoll, &pipe.source, token(id, PIPE), flags).is_ok();
                if goes_on {
                    self.state.lock().sources.insert(id, Source::Pipe(pipe));
                }
            }
            Some(Source::Watch((_, ready))) => {
                guarded(ready);
            }
            _ => {}
        }
    }
}

impl Pipe {
    /// Tells the lines that are there. False: the pipe has ended.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 8192];
        for _ in 0..16 {
            match rustix::io::read(&self.source, &mut buffer) {
                Ok(read) if read > 0 => self.take(&buffer[..read]),
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Ok(_) | Err(_) => {
                    if !self.pending.is_empty() {
                        self.tell_pending();
                    }
                    (self.sink)(Captured::End);
                    return false;
                }
            }
        }
        true
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            if self.pending.is_empty() {
                (self.sink)(Captured::Line(line));
            } else {
                self.pending.extend_from_slice(line);
                self.tell_pending();
            }
            bytes = &rest[1..];
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= LINE {
            self.tell_pending();
        }
    }

    fn tell_pending(&mut self) {
        let line = std::mem::take(&mut self.pending);
        (self.sink)(Captured::Line(&line));
    }
}

/// Calls user code; a panic in it must not end the thread that serves every lane.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call)).ok();
    if result.is_none() {
        tracing::error!("a callback of the background reader panicked");
    }
    result
}
