//! How many operations run at once, and who takes requests while one waits for its reader.
//!
//! Used by the serving threads and by a stream that has no room. Invariants: no more operations run at a time than the
//! guest has threads; one that waits for its reader is not one of them, and requests are taken in its place.

use parking_lot::{Condvar, Mutex};

struct State {
    /// How many operations may run at once.
    threads: usize,
    running: usize,
    /// Threads that serve, those of streams that wait too.
    serving: usize,
    /// Streams that wait for their readers.
    away: usize,
}

/// The turns of one guest.
pub(crate) struct Turns {
    state: Mutex<State>,
    free: Condvar,
}

impl Turns {
    pub(crate) fn new(threads: usize) -> Self {
        let state = State { threads, running: 0, serving: threads, away: 0 };
        Self { state: Mutex::new(state), free: Condvar::new() }
    }

    /// Waits for a turn; it is over when what is returned is dropped.
    pub(crate) fn take(&self) -> Turn<'_> {
        self.wait_for_one();
        Turn(self)
    }

    fn wait_for_one(&self) {
        let mut state = self.state.lock();
        while state.running >= state.threads {
            self.free.wait(&mut state);
        }
        state.running += 1;
    }

    /// Whether this thread is one more than is needed; it leaves then.
    pub(crate) fn is_one_too_many(&self) -> bool {
        let mut state = self.state.lock();
        let more = state.serving > state.threads + state.away;
        state.serving -= usize::from(more);
        more
    }

    /// Whoever has a turn waits for its reader. True: a thread is wanted that takes requests meanwhile.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.state.lock();
        state.running -= 1;
        state.away += 1;
        self.free.notify_one();
        let wanted = state.serving < state.threads + state.away;
        state.serving += usize::from(wanted);
        wanted
    }

    /// The thread that was wanted cannot be had.
    pub(crate) fn has_no_thread(&self) {
        self.state.lock().serving -= 1;
    }

    /// The one that left goes on, as soon as there is a turn.
    pub(crate) fn come_back(&self) {
        self.wait_for_one();
        self.state.lock().away -= 1;
    }
}

/// A turn that is under way.
pub(crate) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.free.notify_one();
    }
}
