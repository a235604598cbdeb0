//! The spine of a boot: one closed enum of events, in started/finished pairs with durations.
//!
//! The executor emits them; report, timeline, logger, observer and tests are sinks and see the same values. A sink is
//! called on the thread that emits, before anything that depends on the event begins; it must return at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use component::{ComponentName, Failure, Phase, Step};

/// How a phase or a component stands in events and in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It works.
    Ready,
    /// It works with less than it should have.
    Degraded,
    /// It does not work.
    Failed,
    /// It worked and was taken down.
    Stopped,
    /// It never began.
    Skipped,
}

impl Status {
    /// The word in reports and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How loud an event is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Components.
    Debug,
    /// The boot and its phases, and what takes long.
    Info,
    /// Something is not as it should be, and the boot goes on.
    Warning,
    /// The boot fails.
    Error,
}

/// What happened. Durations are seconds.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields say what they are, the variants what happened")]
pub enum BootEvent {
    /// The boot began.
    BootStarted { system: Arc<str>, components: usize },
    /// It ended: everything is ready, or everything is stopped.
    BootFinished { status: Status, seconds: f64, error: Option<String> },
    /// It goes on without these, because of boots before it or because it was asked to.
    SafeMode { without: Vec<String>, reason: String, asked_for: bool },
    /// A phase waits until its latch is opened.
    WaitStarted { phase: Phase },
    /// The latch was opened.
    WaitFinished { phase: Phase, seconds: f64 },
    /// A phase began.
    PhaseStarted { phase: Phase, components: usize },
    /// Its gate passed, or it failed.
    PhaseFinished { phase: Phase, status: Status, seconds: f64 },
    /// A component's start began.
    ComponentStarted { component: ComponentName, phase: Phase },
    /// A start failed in a way that is declared transient, and is tried again.
    ComponentRetried { component: ComponentName, attempt: u32, delay: f64, reason: String },
    /// A start whose work is counted, as a recovery, came further.
    ComponentProgressed { component: ComponentName, phase: Phase, done: u64, total: u64 },
    /// A component's start ended, whatever its outcome.
    ComponentFinished {
        component: ComponentName,
        phase: Phase,
        status: Status,
        seconds: f64,
        reason: Option<String>,
        /// Whether it failed because a deadline of its phase, or of the boot, passed: the boot fails with it, required or not.
        late: bool,
    },
    /// A component never began, because of what it needs.
    ComponentSkipped { component: ComponentName, phase: Phase, reason: String },
    /// The gate after a phase asks everyone how they are.
    GateStarted { phase: Phase },
    /// The gate passed or stays shut.
    GateFinished { phase: Phase, status: Status, seconds: f64 },
    /// A component is asked how it is.
    HealthStarted { component: ComponentName },
    /// It answered, or did not.
    HealthFinished {
        component: ComponentName,
        health: &'static str,
        seconds: f64,
        reason: Option<String>,
    },
    /// A step was given up: past its deadline, or because the boot fails.
    StepGivenUp { component: ComponentName, step: Step, seconds: f64 },
    /// A start that had been given up ended well after all; it is stopped at once.
    StartedLate { component: ComponentName },
    /// A start that had been given up ended with an error of its own after all.
    FailedLate { component: ComponentName, reason: String },
    /// A budget was exceeded. Limit and actual are seconds, for `memory` MiB.
    BudgetExceeded { name: String, limit: f64, actual: f64 },
    /// What had started is being stopped, because of this failure.
    RollbackStarted { reason: String },
    /// Nothing is left of the boot.
    RollbackFinished { seconds: f64, stopped: usize, errors: usize },
    /// A component's stop began.
    StopStarted { component: ComponentName },
    /// A component's stop ended, whatever its outcome.
    StopFinished { component: ComponentName, seconds: f64, reason: Option<String> },
    /// A running system is being taken down.
    ShutdownStarted { components: usize },
    /// It is down.
    ShutdownFinished { seconds: f64, stopped: usize, errors: usize },
}

impl BootEvent {
    /// The event's own word, for machines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BootStarted { .. } => "boot-started",
            Self::BootFinished { .. } => "boot-finished",
            Self::SafeMode { .. } => "safe-mode",
            Self::WaitStarted { .. } => "wait-started",
            Self::WaitFinished { .. } => "wait-finished",
            Self::PhaseStarted { .. } => "phase-started",
            Self::PhaseFinished { .. } => "phase-finished",
            Self::ComponentStarted { .. } => "component-started",
            Self::ComponentRetried { .. } => "component-retried",
            Self::ComponentProgressed { .. } => "component-progressed",
            Self::ComponentFinished { .. } => "component-finished",
            Self::ComponentSkipped { .. } => "component-skipped",
            Self::GateStarted { .. } => "gate-started",
            Self::GateFinished { .. } => "gate-finished",
            Self::HealthStarted { .. } => "health-started",
            Self::HealthFinished { .. } => "health-finished",
            Self::StepGivenUp { .. } => "step-given-up",
            Self::StartedLate { .. } => "started-late",
            Self::FailedLate { .. } => "failed-late",
            Self::BudgetExceeded { .. } => "budget-exceeded",
            Self::RollbackStarted { .. } => "rollback-started",
            Self::RollbackFinished { .. } => "rollback-finished",
            Self::StopStarted { .. } => "stop-started",
            Self::StopFinished { .. } => "stop-finished",
            Self::ShutdownStarted { .. } => "shutdown-started",
            Self::ShutdownFinished { .. } => "shutdown-finished",
        }
    }

    /// The phase that the event is about.
    pub const fn phase(&self) -> Option<Phase> {
        match self {
            Self::WaitStarted { phase }
            | Self::WaitFinished { phase, .. }
            | Self::PhaseStarted { phase, .. }
            | Self::PhaseFinished { phase, .. }
            | Self::ComponentStarted { phase, .. }
            | Self::ComponentProgressed { phase, .. }
            | Self::ComponentFinished { phase, .. }
            | Self::ComponentSkipped { phase, .. }
            | Self::GateStarted { phase }
            | Self::GateFinished { phase, .. } => Some(*phase),
            _ => None,
        }
    }

    /// The component that the event is about.
    pub const fn component(&self) -> Option<&ComponentName> {
        match self {
            Self::ComponentStarted { component, .. }
            | Self::ComponentRetried { component, .. }
            | Self::ComponentProgressed { component, .. }
            | Self::ComponentFinished { component, .. }
            | Self::ComponentSkipped { component, .. }
            | Self::HealthStarted { component }
            | Self::HealthFinished { component, .. }
            | Self::StepGivenUp { component, .. }
            | Self::StartedLate { component }
            | Self::FailedLate { component, .. }
            | Self::StopStarted { component }
            | Self::StopFinished { component, .. } => Some(component),
            _ => None,
        }
    }

    /// How much is done, and of how much, of what came further.
    pub const fn progress(&self) -> Option<(u64, u64)> {
        match self {
            Self::ComponentProgressed { done, total, .. } => Some((*done, *total)),
            _ => None,
        }
    }

    /// The duration of what finished.
    pub const fn seconds(&self) -> Option<f64> {
        match self {
            Self::BootFinished { seconds, .. }
            | Self::WaitFinished { seconds, .. }
            | Self::PhaseFinished { seconds, .. }
            | Self::ComponentFinished { seconds, .. }
            | Self::GateFinished { seconds, .. }
            | Self::HealthFinished { seconds, .. }
            | Self::StepGivenUp { seconds, .. }
            | Self::RollbackFinished { seconds, .. }
            | Self::StopFinished { seconds, .. }
            | Self::ShutdownFinished { seconds, .. } => Some(*seconds),
            _ => None,
        }
    }

    /// The status of what finished, where it has one.
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::BootFinished { status, .. }
            | Self::PhaseFinished { status, .. }
            | Self::ComponentFinished { status, .. }
            | Self::GateFinished { status, .. } => Some(*status),
            Self::ComponentSkipped { .. } => Some(Status::Skipped),
            _ => None,
        }
    }

    /// Why: of what was tried again, failed, was skipped, is not healthy or did not stop.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::BootFinished { error: reason, .. }
            | Self::ComponentFinished { reason, .. }
            | Self::HealthFinished { reason, .. }
            | Self::StopFinished { reason, .. } => reason.as_deref(),
            Self::ComponentRetried { reason, .. }
            | Self::ComponentSkipped { reason, .. }
            | Self::FailedLate { reason, .. }
            | Self::SafeMode { reason, .. }
            | Self::RollbackStarted { reason } => Some(reason),
            _ => None,
        }
    }

    /// How loud it is.
    pub const fn level(&self) -> Level {
        match self {
            Self::BootFinished { status: Status::Failed, .. }
            | Self::PhaseFinished { status: Status::Failed, .. }
            | Self::RollbackStarted { .. } => Level::Error,
            Self::BudgetExceeded { .. }
            | Self::SafeMode { .. }
            | Self::ComponentRetried { .. }
            | Self::StepGivenUp { .. }
            | Self::StartedLate { .. }
            | Self::FailedLate { .. }
            | Self::ComponentSkipped { .. }
            | Self::ComponentFinished { status: Status::Failed | Status::Degraded, .. }
            | Self::StopFinished { reason: Some(_), .. } => Level::Warning,
            Self::BootStarted { .. }
            | Self::BootFinished { .. }
            | Self::PhaseStarted { .. }
            | Self::PhaseFinished { .. }
            | Self::ComponentProgressed { .. }
            | Self::RollbackFinished { .. }
            | Self::ShutdownStarted { .. }
            | Self::ShutdownFinished { .. } => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// An event and its moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped {
    /// Seconds after the call of `boot()`. The moment at which the thing happened, so that an event told by another
    /// thread may stand after one with a slightly later moment.
    pub at: f64,
    /// What happened.
    pub event: BootEvent,
}

/// Something that wants to see the events.
pub trait EventSink: Send + Sync {
    /// Takes an event. Must not block; a panic of it is caught and changes nothing.
    fn event(&self, event: &Stamped);
}

impl<F: Fn(&Stamped) + Send + Sync> EventSink for F {
    fn event(&self, event: &Stamped) {
        self(event);
    }
}

/// Emits events to the sinks and keeps those of the boot for its report. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events {
    origin: Instant,
    sinks: Arc<[Arc<dyn EventSink>]>,
    kept: Arc<Mutex<Vec<Stamped>>>,
}

impl Events {
    pub(crate) fn new(origin: Instant, sinks: Vec<Arc<dyn EventSink>>) -> Self {
        Self { origin, sinks: sinks.into(), kept: Arc::default() }
    }

    pub(crate) fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.origin).as_secs_f64()
    }

    pub(crate) fn emit(&self, event: BootEvent) {
        self.emit_at(Instant::now(), event);
    }

    pub(crate) fn emit_at(&self, at: Instant, event: BootEvent) {
        let stamped = Stamped { at: self.seconds(at), event };
        for sink in self.sinks.iter() {
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                sink.event(&stamped);
            }));
            if told.is_err() {
                tracing::error!(target: "symphony.boot", event = stamped.event.name(), "an event sink panicked");
            }
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(stamped);
    }

    /// A start that was given up ended with a failure; one that says no more than that is no news.
    pub(crate) fn failed_late(&self, component: ComponentName, failure: &Failure) {
        if !failure.says_only_that_it_was_given_up() {
            self.emit(BootEvent::FailedLate { component, reason: failure.line() });
        }
    }

    /// The events so far; those that come after are told to the sinks and kept by nobody's report.
    pub(crate) fn kept(&self) -> Vec<Stamped> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
