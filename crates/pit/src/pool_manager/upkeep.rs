//! What wakes whoever keeps the pools of a manager in the background.
//!
//! Callers: the manager rings; the door to Python, which has the threads, waits. It holds no manager, so that a keeper does not
//! keep one in its place.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Idle workers are asked no more often in the background, whatever a pool wishes for its leases.
pub(super) const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// What wakes whoever keeps the pools of a manager.
#[derive(Debug, Default)]
pub struct Upkeep {
    state: Mutex<Signal>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Signal {
    kept: bool,
    rung: bool,
    closed: bool,
    due: Option<Instant>,
}

impl Upkeep {
    /// Waits until pools may be due. False: the manager is closed, and nothing will be due any more.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return false;
            }
            let is_due = state.due.is_some_and(|due| Instant::now() >= due);
            if state.rung || is_due {
                (state.rung, state.due) = (false, None);
                return true;
            }
            match state.due {
                Some(due) => drop(self.bell.wait_until(&mut state, due)),
                None => self.bell.wait(&mut state),
            }
        }
    }

    /// Whether the caller is the first who wants to keep the pools.
    pub(super) fn claim(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().kept, true)
    }

    /// Whoever keeps the pools cannot any more: somebody else may.
    pub fn leave(&self) {
        self.state.lock().kept = false;
    }

    /// Wakes whoever waits.
    pub(super) fn ring(&self) {
        let mut state = self.state.lock();
        if state.kept {
            state.rung = true;
            self.bell.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.bell.notify_all();
    }

    /// Wakes whoever waits at that moment, or before it.
    pub(super) fn wake_at(&self, due: Instant) {
        let mut state = self.state.lock();
        if state.due.is_none_or(|before| due < before) {
            state.due = Some(due);
            self.bell.notify_one();
        }
    }
}
