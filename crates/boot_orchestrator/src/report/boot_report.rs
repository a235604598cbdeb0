//! What a boot was: made from its events, told as JSON and as text.
//!
//! The JSON keys are a promise (`BootReport::to_json`). A report of a failed boot has the same keys.

use std::time::{Duration, Instant};

use component::{ComponentName, Health, Phase};
use serde::Serialize;

use crate::event::boot_event::{BootEvent, Stamped, Status};
use crate::graph::plan::Plan;
use crate::report::budgets::BudgetViolation;
use crate::report::children::ChildSpans;
use crate::report::grants::{GrantReport, Grants};
use crate::report::json_words::{is_one, name_word, name_words, phase_word, status_word};
use crate::report::outside::{Outside, OutsideWork, Stretch};
use crate::report::spans::{self, SpanReport};
use crate::report::timeline::{Span, Timeline};
use crate::report::{critical_path, memory, overhead, savings};

/// The report of one boot.
#[derive(Debug, Clone, Serialize)]
pub struct BootReport {
    /// The version of this document.
    pub schema: u32,
    /// Whether the system became ready.
    pub ok: bool,
    /// `healthy`, or `degraded` where a part of it is not as it should be; none when it never became ready.
    pub state: Option<&'static str>,
    /// Its name.
    pub system: String,
    /// From the call of `boot()` until everything was ready; none when it never was.
    pub ready_seconds: Option<f64>,
    /// From the process's start until everything was ready.
    pub since_launch_seconds: Option<f64>,
    /// Wall time in which nothing but Symphony was on the critical path (see `overhead`).
    pub overhead_seconds: f64,
    /// From the call of `boot()` until the gate of the Orchestra Kit had passed.
    pub infrastructure_seconds: Option<f64>,
    /// The rise of the process's peak memory, in MiB.
    pub memory_mb: f64,
    /// The five phases.
    pub phases: Vec<PhaseReport>,
    /// Every component, in plan order.
    pub components: Vec<ComponentReport>,
    /// The components that the boot waited for, one after the other.
    #[serde(serialize_with = "name_words")]
    pub critical_path: Vec<ComponentName>,
    /// For each of them, how much sooner the system would have been ready if it had taken no time; nothing where it never was.
    pub savings: Vec<Saving>,
    /// Budgets that were exceeded.
    pub budget_violations: Vec<BudgetViolation>,
    /// What the boot went on without, and why; none where it started everything.
    pub safe_mode: Option<SafeModeReport>,
    /// The first failure.
    pub error: Option<ErrorReport>,
    /// What is no component's start: phases, gates, waits, the rollback and its stops, the start-up of child processes.
    pub spans: Vec<SpanReport>,
    /// Every event of the boot; not in the JSON.
    #[serde(skip)]
    pub events: Vec<Stamped>,
}

/// A phase in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseReport {
    /// Its name.
    #[serde(serialize_with = "phase_word")]
    pub name: Phase,
    /// How it ended.
    #[serde(serialize_with = "status_word")]
    pub status: Status,
    /// How long it took, its gate included and a wait at its latch not.
    pub seconds: f64,
    /// What it should have taken.
    pub budget_seconds: Option<f64>,
}

/// A component in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentReport {
    /// Its name.
    #[serde(serialize_with = "name_word")]
    pub name: ComponentName,
    /// Its phase.
    #[serde(serialize_with = "phase_word")]
    pub phase: Phase,
    /// How it stands at the end.
    #[serde(serialize_with = "status_word")]
    pub status: Status,
    /// Seconds after the call of `boot()`; none when it never began.
    pub started_at: Option<f64>,
    /// How long its start took, retries included.
    pub seconds: f64,
    /// What it waited for.
    #[serde(serialize_with = "name_words")]
    pub requires: Vec<ComponentName>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often its start was tried; told where that was more than once.
    #[serde(skip_serializing_if = "is_one")]
    pub attempts: u32,
    /// How far each of its grants is held; told of what runs under a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<GrantReport>>,
}

/// What a step of the critical path would save.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Saving {
    /// The step.
    #[serde(serialize_with = "name_word")]
    pub name: ComponentName,
    /// By how much sooner the system would be ready if the step took no time.
    pub seconds: f64,
}

/// What a boot in safe mode went on without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SafeModeReport {
    /// The names of extensions and components.
    pub without: Vec<String>,
    /// Why.
    pub reason: String,
    /// Whether somebody asked for it; else it is because of boots that failed.
    pub asked_for: bool,
}

/// The first failure in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorReport {
    /// Its stable word.
    pub code: &'static str,
    /// What failed.
    pub message: String,
    /// The phase.
    pub phase: Option<&'static str>,
    /// The component.
    pub component: Option<String>,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

/// Of what a report is made, besides the events.
pub(crate) struct Source<'a> {
    pub(crate) plan: &'a Plan,
    /// The system's name.
    pub(crate) system: &'a str,
    /// The moment of the process's start; when none, as the kernel has it.
    pub(crate) launched: Option<Instant>,
    pub(crate) called: Instant,
    /// What each phase should have taken.
    pub(crate) phase_budgets: [Option<Duration>; Phase::ALL.len()],
    pub(crate) outside: &'a OutsideWork,
    pub(crate) children: &'a ChildSpans,
    pub(crate) grants: &'a Grants,
    /// When everything was ready, or the rollback began: seconds after the call.
    pub(crate) end: f64,
    pub(crate) memory_before: u64,
}

/// Makes the report of a boot that ended.
pub(crate) fn build(
    source: &Source<'_>,
    events: Vec<Stamped>,
    error: Option<ErrorReport>,
) -> BootReport {
    let Source { plan, called, end, .. } = *source;
    let timeline = Timeline::of(plan, &events, end);
    let outside = source.outside.list();
    let stretches: Vec<_> = outside
        .iter()
        .map(|one| {
            let at = |moment: Instant| moment.saturating_duration_since(called).as_secs_f64();
            let span = Span { from: at(one.from), to: at(one.to) };
            Stretch { span, awaited_by: one.awaited_by.clone() }
        })
        .collect();
    let outside_names: Vec<_> = outside.iter().map(|one| one.name.clone()).collect();
    let pieces = critical_path::pieces(plan, &timeline);
    let pieces = critical_path::through(plan, pieces, &stretches);
    let foreign: u64 = outside.iter().map(|one| one.memory).sum();
    let ok = error.is_none();
    let critical_path = critical_path::names(plan, &pieces, &outside_names);
    let savings =
        if ok { savings::seconds(plan, &timeline, &pieces, &stretches) } else { Vec::new() };
    let savings = critical_path
        .iter()
        .zip(savings)
        .map(|(name, seconds)| Saving { name: name.clone(), seconds })
        .collect();
    let launched = source.launched.or_else(memory::process_start);
    let since_launch =
        launched.map(|launched| called.saturating_duration_since(launched).as_secs_f64() + end);
    let kit = &timeline.phases[Phase::OrchestraKit as usize];
    let passed = matches!(kit.status, Some(Status::Ready | Status::Degraded));
    let budget_violations = events
        .iter()
        .filter_map(|stamped| match &stamped.event {
            BootEvent::BudgetExceeded { name, limit, actual } => {
                Some(BudgetViolation { name: name.clone(), limit: *limit, actual: *actual })
            }
            _ => None,
        })
        .collect();
    let mut components = with_outside(components(plan, &timeline), &outside, &stretches);
    for (name, grants) in source.grants.take() {
        if let Some(component) = components.iter_mut().find(|component| component.name == name) {
            component.grants = Some(grants);
        }
    }
    let safe_mode = events.iter().find_map(|stamped| match &stamped.event {
        BootEvent::SafeMode { without, reason, asked_for } => Some(SafeModeReport {
            without: without.clone(),
            reason: reason.clone(),
            asked_for: *asked_for,
        }),
        _ => None,
    });
    BootReport {
        schema: 1,
        ok,
        state: ok.then(|| state(&components)),
        system: source.system.to_owned(),
        ready_seconds: ok.then_some(end),
        since_launch_seconds: since_launch.filter(|_| ok),
        overhead_seconds: overhead::seconds(plan, &pieces),
        infrastructure_seconds: kit.finished.filter(|_| passed),
        memory_mb: memory::peak().saturating_sub(source.memory_before + foreign) as f64
            / (1024.0 * 1024.0),
        phases: phases(&timeline, &source.phase_budgets, ok),
        components,
        critical_path,
        savings,
        budget_violations,
        safe_mode,
        error,
        spans: spans::of(&events, source.children.take(), called),
        events,
    }
}

/// The word of a system that came up, by how its parts came up.
fn state(components: &[ComponentReport]) -> &'static str {
    let well = components.iter().all(|component| component.status == Status::Ready);
    if well { Health::Healthy.as_str() } else { Health::Degraded(String::new()).as_str() }
}

fn phases(timeline: &Timeline, budgets: &[Option<Duration>], ok: bool) -> Vec<PhaseReport> {
    Phase::ALL
        .into_iter()
        .zip(&timeline.phases)
        .zip(budgets)
        .map(|((phase, spans), budget)| PhaseReport {
            name: phase,
            status: match spans.status {
                None => Status::Skipped,
                Some(Status::Ready | Status::Degraded) if !ok => Status::Stopped,
                Some(status) => status,
            },
            seconds: spans.seconds,
            budget_seconds: budget.map(|budget| budget.as_secs_f64()),
        })
        .collect()
}

fn components(plan: &Plan, timeline: &Timeline) -> Vec<ComponentReport> {
    (0..)
        .zip(plan.components())
        .zip(&timeline.components)
        .map(|((number, planned), spans)| ComponentReport {
            name: planned.name().clone(),
            phase: planned.descriptor().phase,
            status: spans.status.unwrap_or(Status::Skipped),
            started_at: spans.begun,
            seconds: match (spans.begun, spans.finished) {
                (Some(begun), Some(finished)) => (finished - begun).max(0.0),
                _ => 0.0,
            },
            requires: plan.required_names(number).into_iter().cloned().collect(),
            reason: spans.reason.clone(),
            attempts: spans.retries + 1,
            grants: None,
        })
        .collect()
}

/// Puts work beside the engine in front of the components of its phase.
fn with_outside(
    mut components: Vec<ComponentReport>,
    outside: &[Outside],
    stretches: &[Stretch],
) -> Vec<ComponentReport> {
    for (one, stretch) in outside.iter().zip(stretches).rev() {
        let waiting = components.iter_mut().find(|component| stretch.holds(&component.name));
        if let Some(waiting) = waiting {
            waiting.requires.insert(0, one.name.clone());
        }
        let place = components
            .iter()
            .position(|component| component.phase >= one.phase)
            .unwrap_or(components.len());
        let report = ComponentReport {
            name: one.name.clone(),
            phase: one.phase,
            status: Status::Ready,
            started_at: Some(stretch.span.from),
            seconds: stretch.span.to - stretch.span.from,
            requires: Vec::new(),
            reason: None,
            attempts: 1,
            grants: None,
        };
        components.insert(place, report);
    }
    components
}

impl BootReport {
    /// The document of a boot that never began: all keys of any other, without figures.
    #[must_use]
    pub fn of_nothing() -> serde_json::Value {
        let report = Self {
            schema: 1,
            ok: false,
            state: None,
            system: String::new(),
            ready_seconds: None,
            since_launch_seconds: None,
            overhead_seconds: 0.0,
            infrastructure_seconds: None,
            memory_mb: 0.0,
            phases: Vec::new(),
            components: Vec::new(),
            critical_path: Vec::new(),
            savings: Vec::new(),
            budget_violations: Vec::new(),
            safe_mode: None,
            error: None,
            spans: Vec::new(),
            events: Vec::new(),
        };
        let mut document = report.to_value();
        for unknown in ["system", "overhead_seconds", "memory_mb"] {
            document[unknown] = serde_json::Value::Null;
        }
        document
    }

    /// The report as one JSON document.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// The report as a JSON value, into which a caller can put more (`run` adds `runs`).
    pub fn to_value(&self) -> serde_json::Value {
        // Every key is text and every value a plain one: it cannot fail, and if it did, the document says so.
        serde_json::to_value(self)
            .unwrap_or_else(|error| serde_json::json!({ "ok": false, "error": error.to_string() }))
    }
}
