//! A token by which another thread (a signal handler, Ctrl-C, `shutdown()`) interrupts a boot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use component::{Code, ComponentName, Failure, Phase};
use crossbeam_channel::Sender;

use crate::run::fault::Fault;
use crate::run::step_table::Message;

/// Interrupts a boot: it rolls back and fails with code `interrupted`. Cheap to clone; has no effect once the boot ended.
#[derive(Clone, Default)]
pub struct Interruption(Arc<Mutex<Request>>);

#[derive(Default)]
struct Request {
    reason: Option<String>,
    fault: Option<Fault>,
    wakers: Vec<Sender<Message>>,
}

impl Interruption {
    /// A token that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Interrupts the boot; the first reason (`SIGTERM`, `Ctrl-C`) is the one that is told.
    pub fn interrupt(&self, reason: impl Into<String>) {
        let mut state = self.state();
        state.reason.get_or_insert_with(|| reason.into());
        for waker in state.wakers.drain(..) {
            // A boot that has ended has no ear any more: there is nothing left to interrupt.
            let _ = waker.send(Message::Wake);
        }
    }

    /// Fails the boot from outside of its components: by work beside them that the caller does, like an import. What was
    /// told first, an interruption or a failure, is what the boot fails with.
    pub fn fail(&self, message: String, phase: Phase, name: &str, failure: Failure) {
        let fault = Fault::caused_by(message.as_str(), failure)
            .in_phase(phase)
            .of(&ComponentName::from(name));
        {
            let mut state = self.state();
            if state.reason.is_none() {
                state.fault = Some(fault);
            }
        }
        self.interrupt(message);
    }

    /// Whether somebody interrupted the boot, rather than failed it.
    pub fn is_wanted(&self) -> bool {
        let state = self.state();
        state.reason.is_some() && state.fault.is_none()
    }

    /// Lets go of what it was failed with: the boot has ended, and somebody may be a part of that failure himself.
    pub fn forget(&self) {
        self.state().fault = None;
    }

    /// What the boot fails with, where someone interrupted or failed it.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let state = self.state();
        let reason = state.reason.as_ref()?;
        let interrupted =
            || Fault::new(Code::INTERRUPTED, format!("the boot was interrupted by {reason}"));
        Some(state.fault.clone().unwrap_or_else(interrupted))
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

    fn state(&self) -> MutexGuard<'_, Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
