//! Three deadlines, one inside the other: the boot's, the phase's, the component's.
//!
//! A step is given the nearest of them; when it passes, `late` names the one that was meant.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use component::{Phase, Step};

use crate::run::options::BootOptions;

/// The moment after such a span from now, which may be as long as a caller likes.
pub(crate) fn after(span: Duration) -> Instant {
    Instant::now() + span.min(component::LONGEST)
}

/// The deadlines of a run.
pub(crate) struct Deadlines {
    boot: Option<Instant>,
    boot_limit: Duration,
    phase: Option<Instant>,
    phase_limit: Option<Duration>,
    component: Duration,
    /// Steps whose components were told that they are given up.
    given_up: HashSet<(u32, Step)>,
}

/// Which deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Boot(Duration),
    Phase(Phase, Duration),
}

impl Deadlines {
    pub(crate) fn new(called: Instant, options: &BootOptions) -> Self {
        Self {
            boot: called.checked_add(options.deadline),
            boot_limit: options.deadline,
            phase: None,
            phase_limit: None,
            component: options.component_deadline,
            given_up: HashSet::new(),
        }
    }

    /// A phase begins.
    pub(crate) fn enter(&mut self, at: Instant, limit: Option<Duration>) {
        self.phase_limit = limit;
        self.phase = limit.and_then(|limit| at.checked_add(limit));
    }

    /// The caller took its time at a latch: that is not the boot's.
    pub(crate) fn waited(&mut self, span: Duration) {
        self.boot = self.boot.and_then(|at| at.checked_add(span));
    }

    /// When the phase has to be done, by its own deadline or the boot's.
    pub(crate) fn of_phase(&self) -> Option<Instant> {
        self.phase.into_iter().chain(self.boot).min()
    }

    /// When a step that begins now has to be done by its component's own deadline.
    pub(crate) fn of_component(&self, own: Option<Duration>) -> (Option<Instant>, Duration) {
        let limit = own.unwrap_or(self.component);
        (Instant::now().checked_add(limit), limit)
    }

    /// Which deadline the phase has missed.
    pub(crate) fn missed(&self, phase: Phase) -> Bound {
        match (self.phase, self.boot, self.phase_limit) {
            (Some(own), boot, Some(limit)) if boot.is_none_or(|boot| own <= boot) => {
                Bound::Phase(phase, limit)
            }
            _ => Bound::Boot(self.boot_limit),
        }
    }

    pub(crate) fn give_up(&mut self, number: u32, step: Step) {
        self.given_up.insert((number, step));
    }

    pub(crate) fn is_given_up(&self, number: u32, step: Step) -> bool {
        self.given_up.contains(&(number, step))
    }
}
