//! How a boot is run: deadlines, budgets, retries, sinks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::Phase;

use crate::event::boot_event::{BootEvent, EventSink};
use crate::report::budgets::Budgets;
use crate::report::children::ChildSpans;
use crate::report::grants::Grants;
use crate::report::outside::OutsideWork;
use crate::run::default_deadlines;
use crate::run::interruption::Interruption;
use crate::run::phase_latch::PhaseLatch;

/// The limits of one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseLimits {
    /// Its deadline; what the boot has left when none.
    pub timeout: Option<Duration>,
    /// What it should take; going over is told, and fails nothing.
    pub budget: Option<Duration>,
}

/// The limits of every phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseTable([PhaseLimits; Phase::ALL.len()]);

impl PhaseTable {
    /// The limits of this phase.
    pub const fn of(&self, phase: Phase) -> PhaseLimits {
        self.0[phase as usize]
    }

    /// What each phase should take, in their order.
    pub(crate) fn budgets(&self) -> [Option<Duration>; Phase::ALL.len()] {
        self.0.map(|limits| limits.budget)
    }

    /// Sets the limits of this phase.
    pub const fn set(&mut self, phase: Phase, limits: PhaseLimits) {
        self.0[phase as usize] = limits;
    }
}

/// How often and when a start that failed in a transient way is tried again, inside its component's deadline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// The pause before the second; it doubles with each.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Retry {
    /// The pause after this attempt (counted from 1) failed; none when it was the last.
    pub fn after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(20);
        Some(self.pause.saturating_mul(1 << doublings).min(self.longest))
    }
}

impl Default for Retry {
    fn default() -> Self {
        let (pause, longest) = (Duration::from_millis(50), Duration::from_secs(1));
        Self { attempts: 4, pause, longest }
    }
}

/// How a boot is run.
#[derive(Clone)]
pub struct BootOptions {
    /// The system's name, for the report.
    pub system: Arc<str>,
    /// The deadline of the whole boot, counted from `called`; waits at a latch do not count.
    pub deadline: Duration,
    /// Whether its caller named that deadline: then it holds for a recovery too, which is not counted otherwise.
    pub deadline_is_named: bool,
    /// The deadline of a component that names none.
    pub component_deadline: Duration,
    /// How long a start that was given up may take to end before nobody waits for it.
    pub grace: Duration,
    /// The deadline of each stop of a rollback.
    pub stop_deadline: Duration,
    /// The deadline of a whole rollback.
    pub rollback_deadline: Duration,
    /// Deadline and budget of each phase.
    pub phases: PhaseTable,
    /// The budgets of the system.
    pub budgets: Budgets,
    /// Retries of transient failures.
    pub retry: Retry,
    /// Holds phases back until they are asked for.
    pub latch: Option<PhaseLatch>,
    /// The moment of the call of `boot()`; when none, that of [`crate::Boot::run`].
    pub called: Option<Instant>,
    /// The moment of the process's start; when none, as the kernel has it.
    pub launched: Option<Instant>,
    /// `VmHWM` in bytes before anything of the boot was done; when none, read at [`crate::Boot::run`].
    pub memory_before: Option<u64>,
    /// Work beside the engine, for the report.
    pub outside: OutsideWork,
    /// What child processes did while they started, for the report.
    pub children: ChildSpans,
    /// What components were granted, for the report.
    pub grants: Grants,
    /// What is told right after the boot began.
    pub told_first: Vec<BootEvent>,
    /// Who wants to see the events.
    pub sinks: Vec<Arc<dyn EventSink>>,
    /// Interrupts the boot.
    pub interruption: Interruption,
}

impl Default for BootOptions {
    fn default() -> Self {
        Self {
            system: Arc::from("symphony"),
            deadline: default_deadlines::BOOT,
            deadline_is_named: false,
            component_deadline: default_deadlines::COMPONENT,
            // `boot()` returns 250 ms after its deadline: what remains is for the stacks and the stops.
            grace: Duration::from_millis(100),
            stop_deadline: default_deadlines::STOP,
            rollback_deadline: default_deadlines::ROLLBACK,
            phases: PhaseTable::default(),
            budgets: Budgets::default(),
            retry: Retry::default(),
            latch: None,
            called: None,
            launched: None,
            memory_before: None,
            outside: OutsideWork::default(),
            children: ChildSpans::default(),
            grants: Grants::default(),
            told_first: Vec::new(),
            sinks: Vec::new(),
            interruption: Interruption::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_attempts() {
        let retry = Retry {
            attempts: 5,
            pause: Duration::from_millis(50),
            longest: Duration::from_millis(150),
        };
        let pauses: Vec<_> =
            (1..=5).map(|attempt| retry.after(attempt).map(|pause| pause.as_millis())).collect();
        assert_eq!(pauses, [Some(50), Some(100), Some(150), Some(150), None]);
    }
}
