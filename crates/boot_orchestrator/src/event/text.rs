//! The events as people read them, in logs and on the terminal.

use component::Seconds;

use crate::event::boot_event::{BootEvent, Status};

/// A figure in its budget's unit: MiB of `memory`, else seconds.
#[must_use]
pub fn budget_figure(name: &str, figure: f64) -> String {
    if name == "memory" { format!("{figure:.1} MiB") } else { Seconds(figure).to_string() }
}

/// Why a start failed that was given up, and what it ended with after all.
pub(crate) fn ended_with(reason: &str, own: &str) -> String {
    format!("{reason}, and ended with: {own}")
}

fn reason(text: Option<&str>) -> String {
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

impl std::fmt::Display for BootEvent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BootStarted { system, components } => {
                write!(out, "booting `{system}`: {}", counted(*components, "component"))
            }
            Self::BootFinished { status: Status::Failed, seconds, error } => {
                write!(out, "boot failed after {}{}", Seconds(*seconds), reason(error.as_deref()))
            }
            Self::BootFinished { status, seconds, .. } => {
                write!(out, "boot {status} in {}", Seconds(*seconds))
            }
            Self::SafeMode { without, reason, .. } if without.is_empty() => {
                write!(out, "safe mode: {reason}")
            }
            Self::SafeMode { without, reason, .. } => {
                write!(out, "safe mode, without `{}`: {reason}", without.join("`, `"))
            }
            Self::WaitStarted { phase } => write!(out, "phase `{phase}` waits to be asked for"),
            Self::WaitFinished { phase, seconds } => {
                write!(out, "phase `{phase}` was asked for after {}", Seconds(*seconds))
            }
            Self::PhaseStarted { phase, components } => {
                write!(out, "phase `{phase}` started: {}", counted(*components, "component"))
            }
            Self::PhaseFinished { phase, status: Status::Failed, seconds } => {
                write!(out, "phase `{phase}` failed after {}", Seconds(*seconds))
            }
            Self::PhaseFinished { phase, status, seconds } => {
                write!(out, "phase `{phase}` {status} in {}", Seconds(*seconds))
            }
            Self::ComponentStarted { component, .. } => write!(out, "`{component}` starts"),
            Self::ComponentRetried { component, attempt, delay, reason } => write!(
                out,
                "`{component}` is tried again in {} (attempt {attempt}): {reason}",
                Seconds(*delay)
            ),
            Self::ComponentProgressed { component, done, total, .. } => {
                let percent = u128::from(*done) * 100 / u128::from(*total).max(1);
                write!(out, "`{component}` recovers: {percent} %")
            }
            Self::ComponentFinished { component, status, seconds, reason: why, .. } => {
                let joint = if *status == Status::Failed { "after" } else { "in" };
                let why = reason(why.as_deref());
                write!(out, "`{component}` {status} {joint} {}{why}", Seconds(*seconds))
            }
            Self::ComponentSkipped { component, reason, .. } => {
                write!(out, "`{component}` skipped: {reason}")
            }
            Self::GateStarted { phase } => write!(out, "gate of `{phase}` asks for health"),
            Self::GateFinished { phase, status, seconds } => {
                write!(out, "gate of `{phase}` {status} in {}", Seconds(*seconds))
            }
            Self::HealthStarted { component } => write!(out, "`{component}` is asked for health"),
            Self::HealthFinished { component, health, seconds, reason: why } => {
                let why = reason(why.as_deref());
                write!(out, "`{component}` is {health}, said after {}{why}", Seconds(*seconds))
            }
            Self::StepGivenUp { component, step, seconds } => {
                write!(out, "{step} of `{component}` given up after {}", Seconds(*seconds))
            }
            Self::StartedLate { component } => {
                write!(out, "`{component}` started after it was given up, and is stopped")
            }
            Self::FailedLate { component, reason } => {
                write!(out, "`{component}` failed after it was given up: {reason}")
            }
            Self::BudgetExceeded { name, limit, actual } => {
                let (actual, limit) = (budget_figure(name, *actual), budget_figure(name, *limit));
                write!(out, "budget `{name}` exceeded: {actual} of {limit}")
            }
            Self::RollbackStarted { reason } => write!(out, "rolling back: {reason}"),
            Self::RollbackFinished { seconds, stopped, errors } => write!(
                out,
                "rolled back in {}: {} stopped, {}",
                Seconds(*seconds),
                counted(*stopped, "component"),
                counted(*errors, "error")
            ),
            Self::StopStarted { component } => write!(out, "`{component}` stops"),
            Self::StopFinished { component, seconds, reason: None } => {
                write!(out, "`{component}` stopped in {}", Seconds(*seconds))
            }
            Self::StopFinished { component, seconds, reason: Some(why) } => {
                write!(out, "`{component}` did not stop in {}: {why}", Seconds(*seconds))
            }
            Self::ShutdownStarted { components } => {
                write!(out, "shutting down: {}", counted(*components, "component"))
            }
            Self::ShutdownFinished { seconds, stopped, errors } => write!(
                out,
                "shut down in {}: {} stopped, {}",
                Seconds(*seconds),
                counted(*stopped, "component"),
                counted(*errors, "error")
            ),
        }
    }
}
