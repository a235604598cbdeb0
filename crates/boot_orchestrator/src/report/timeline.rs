//! The events of a boot as spans: of phases, gates, waits, starts and health answers.
//!
//! Report, critical path and overhead read this; it reads nothing but the events, so they agree with what was told.

use component::Phase;

use crate::event::boot_event::{BootEvent, Stamped, Status};
use crate::event::text::ended_with;
use crate::graph::plan::Plan;

/// A span in seconds after the call of `boot()`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// The spans of one phase.
#[derive(Debug, Clone, Default)]
pub(crate) struct PhaseSpans {
    pub(crate) wait: Option<Span>,
    pub(crate) begun: Option<f64>,
    pub(crate) gate: Option<f64>,
    pub(crate) finished: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) status: Option<Status>,
}

/// The spans of one component.
#[derive(Debug, Clone, Default)]
pub(crate) struct ComponentSpans {
    pub(crate) begun: Option<f64>,
    pub(crate) finished: Option<f64>,
    /// How often its start was tried again.
    pub(crate) retries: u32,
    pub(crate) health: Option<Span>,
    pub(crate) status: Option<Status>,
    pub(crate) reason: Option<String>,
}

/// All spans of a boot.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// When everything was ready, or the rollback began.
    pub(crate) end: f64,
    pub(crate) phases: Vec<PhaseSpans>,
    /// In plan order.
    pub(crate) components: Vec<ComponentSpans>,
}

impl Timeline {
    pub(crate) fn of(plan: &Plan, events: &[Stamped], end: f64) -> Self {
        let mut timeline = Self {
            end,
            phases: vec![PhaseSpans::default(); Phase::ALL.len()],
            components: vec![ComponentSpans::default(); plan.components().len()],
        };
        for event in events {
            timeline.take(plan, event);
        }
        timeline
    }

    fn take(&mut self, plan: &Plan, stamped: &Stamped) {
        let at = stamped.at;
        if let Some(number) = stamped.event.component().and_then(|name| plan.find(name.as_str())) {
            take_component(&mut self.components[number as usize], at, &stamped.event);
        } else if let Some(phase) = stamped.event.phase() {
            take_phase(&mut self.phases[phase as usize], at, &stamped.event);
        }
    }
}

fn take_phase(spans: &mut PhaseSpans, at: f64, event: &BootEvent) {
    match event {
        BootEvent::WaitFinished { seconds, .. } => {
            spans.wait = Some(Span { from: at - seconds, to: at });
        }
        BootEvent::PhaseStarted { .. } => spans.begun = Some(at),
        BootEvent::GateStarted { .. } => spans.gate = Some(at),
        BootEvent::PhaseFinished { status, seconds, .. } => {
            (spans.finished, spans.status, spans.seconds) = (Some(at), Some(*status), *seconds);
        }
        _ => {}
    }
}

fn take_component(spans: &mut ComponentSpans, at: f64, event: &BootEvent) {
    match event {
        BootEvent::ComponentStarted { .. } => spans.begun = Some(at),
        BootEvent::ComponentRetried { .. } => spans.retries += 1,
        BootEvent::ComponentFinished { status, reason, .. } => {
            (spans.finished, spans.status) = (Some(at), Some(*status));
            spans.reason.clone_from(reason);
        }
        BootEvent::FailedLate { reason, .. } => {
            spans.reason = Some(match spans.reason.take() {
                Some(why) => ended_with(&why, reason),
                None => reason.clone(),
            });
        }
        BootEvent::ComponentSkipped { reason, .. } => {
            (spans.status, spans.reason) = (Some(Status::Skipped), Some(reason.clone()));
        }
        BootEvent::HealthFinished { health, seconds, reason, .. } => {
            spans.health = Some(Span { from: at - seconds, to: at });
            if spans.status != Some(Status::Failed) {
                spans.status = Some(match *health {
                    "healthy" => Status::Ready,
                    "degraded" => Status::Degraded,
                    _ => Status::Failed,
                });
                spans.reason.clone_from(reason);
            }
        }
        BootEvent::StopFinished { .. } if spans.status != Some(Status::Failed) => {
            spans.status = Some(Status::Stopped);
        }
        _ => {}
    }
}
