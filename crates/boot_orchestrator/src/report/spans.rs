//! What the report shows beside the components: phases, gates, waits, the rollback with its stops, and what child
//! processes did while they started.

use std::time::Instant;

use component::{ComponentName, Phase};

use crate::event::boot_event::{BootEvent, Stamped};
use crate::report::boot_report::SpanReport;
use crate::report::children::ChildSpan;

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
