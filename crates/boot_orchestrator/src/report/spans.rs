//! What the report shows beside the components: phases, gates, waits, the rollback with its stops, and what child
//! processes did while they started.

use std::time::Instant;

use component::{ComponentName, Phase};
use serde::Serialize;

use crate::event::boot_event::{BootEvent, Stamped};
use crate::report::children::ChildSpan;
use crate::report::json_words::{optional_name_word, optional_phase_word};

/// A stretch of time in the report that is no component's start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanReport {
    /// `phase`, `gate`, `wait`, `rollback`, `stop`, or what a child process did.
    pub name: String,
    /// The component that stopped, or that the child process belongs to.
    #[serde(serialize_with = "optional_name_word")]
    pub component: Option<ComponentName>,
    /// The phase, of a phase, a gate or a wait.
    #[serde(serialize_with = "optional_phase_word")]
    pub phase: Option<Phase>,
    /// The number of the child process; none for what happened in this one.
    pub pid: Option<u32>,
    /// Seconds after the call of `boot()`; below zero for a child that was started before.
    pub started_at: f64,
    /// How long it took.
    pub seconds: f64,
}

/// The spans of a boot, in the order in which they began.
pub(crate) fn of(events: &[Stamped], children: Vec<ChildSpan>, called: Instant) -> Vec<SpanReport> {
    let mut spans: Vec<SpanReport> = events.iter().filter_map(of_event).collect();
    let at = |moment: Instant| {
        // A child may have been started before the boot was called for.
        let after = moment.saturating_duration_since(called).as_secs_f64();
        after - called.saturating_duration_since(moment).as_secs_f64()
    };
    spans.extend(children.into_iter().map(|child| SpanReport {
        name: child.name,
        component: Some(child.component),
        phase: None,
        pid: child.pid,
        started_at: at(child.from),
        seconds: child.to.saturating_duration_since(child.from).as_secs_f64(),
    }));
    spans.sort_by(|one, other| one.started_at.total_cmp(&other.started_at));
    spans
}

/// Everything that ended says how long it took.
fn of_event(stamped: &Stamped) -> Option<SpanReport> {
    let (name, phase, component, seconds): (_, Option<Phase>, Option<&ComponentName>, _) =
        match &stamped.event {
            BootEvent::PhaseFinished { phase, seconds, .. } => {
                ("phase", Some(*phase), None, seconds)
            }
            BootEvent::GateFinished { phase, seconds, .. } => ("gate", Some(*phase), None, seconds),
            BootEvent::WaitFinished { phase, seconds } => ("wait", Some(*phase), None, seconds),
            BootEvent::RollbackFinished { seconds, .. } => ("rollback", None, None, seconds),
            BootEvent::StopFinished { component, seconds, .. } => {
                ("stop", None, Some(component), seconds)
            }
            _ => return None,
        };
    Some(SpanReport {
        name: name.to_owned(),
        component: component.cloned(),
        phase,
        pid: None,
        started_at: stamped.at - seconds,
        seconds: *seconds,
    })
}
