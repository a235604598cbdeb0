//! A latch before each phase, for a boot that its caller takes step by step.
//!
//! `ConductorBootstrap` opens a phase, waits until its gate has passed, and goes on. The wait is declared: it counts
//! neither against the deadline of the boot nor as overhead.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use component::Phase;
use crossbeam_channel::Sender;

use super::step_table::Message;
use super::sync::{Condvar, Mutex, MutexGuard};

/// Holds each phase back until it is asked for. Cheap to clone.
#[derive(Clone, Default)]
pub struct PhaseLatch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<PhaseMarks>,
    changed: Condvar,
}

#[derive(Default)]
struct PhaseMarks {
    opened: Option<Phase>,
    passed: Option<Phase>,
    ended: bool,
    waker: Option<Sender<Message>>,
}

/// What became of a phase that was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Its gate has passed.
    Passed,
    /// The boot ended without it; the thread that runs the boot has the failure.
    Ended,
    /// Neither happened in time.
    TimedOut,
}

impl PhaseLatch {
    /// A latch with every phase shut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets this phase begin, and all before it.
    pub fn open(&self, phase: Phase) {
        let mut state = self.state();
        state.opened = state.opened.max(Some(phase));
        if let Some(waker) = &state.waker {
            // A boot that has ended has no ear any more; its caller learns that from `wait`.
            let _ = waker.send(Message::Wake);
        }
    }

    /// Whether this phase may begin.
    pub fn is_open(&self, phase: Phase) -> bool {
        self.state().opened >= Some(phase)
    }

    /// Waits until the gate of this phase has passed, or the boot ended without it.
    pub fn wait(&self, phase: Phase, timeout: Duration) -> Passage {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state();
        loop {
            if state.passed >= Some(phase) {
                return Passage::Passed;
            }
            if state.ended {
                return Passage::Ended;
            }
            let left = deadline.map_or(Duration::from_secs(3600), |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Passage::TimedOut;
            }
            state =
                self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn wake(&self, waker: &Sender<Message>) {
        self.state().waker = Some(waker.clone());
    }

    pub(crate) fn passed(&self, phase: Phase) {
        self.state().passed = Some(phase);
        self.0.changed.notify_all();
    }

    pub(crate) fn ended(&self) {
        let mut state = self.state();
        state.ended = true;
        state.waker = None;
        drop(state);
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, PhaseMarks> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
