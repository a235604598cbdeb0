//! A token by which another thread (a signal handler, Ctrl-C, `shutdown()`) interrupts a boot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use crate::desk::Message;

/// Interrupts a boot: it rolls back and fails with code `interrupted`. Cheap to clone; has no effect once the boot ended.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    reason: Option<String>,
    wakers: Vec<Sender<Message>>,
}

impl Cancel {
    /// A token that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Interrupts the boot; the first reason (`SIGTERM`, `Ctrl-C`) is the one that is told.
    pub fn cancel(&self, reason: impl Into<String>) {
        let mut state = self.state();
        state.reason.get_or_insert_with(|| reason.into());
        for waker in state.wakers.drain(..) {
            // A boot that has ended has no ear any more: there is nothing left to interrupt.
            let _ = waker.send(Message::Wake);
        }
    }

    /// Whether someone interrupted.
    pub fn is_cancelled(&self) -> bool {
        self.state().reason.is_some()
    }

    /// Why, where someone interrupted.
    pub fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// Wakes this channel at the interruption; at once if it has happened.
    pub(crate) fn wake(&self, waker: &Sender<Message>) {
        let mut state = self.state();
        if state.reason.is_some() {
            let _ = waker.send(Message::Wake);
        } else {
            state.wakers.push(waker.clone());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
