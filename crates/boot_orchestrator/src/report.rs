//! What a boot was: made from its events, told as JSON and as text.
//!
//! The JSON keys are a promise (`BootReport::to_json`). A report of a failed boot has the same keys.

use component::{ComponentName, Phase};
use serde::Serialize;

use crate::event::{Stamped, Status};

/// The report of one boot.
#[derive(Debug, Clone, Serialize)]
pub struct BootReport {
    /// The version of this document.
    pub schema: u32,
    /// Whether the system became ready.
    pub ok: bool,
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
    /// Budgets that were exceeded.
    pub budget_violations: Vec<BudgetViolation>,
    /// The first failure.
    pub error: Option<ErrorReport>,
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
}

/// A budget that was exceeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetViolation {
    /// `ready`, `overhead`, `memory`, or `phases.<name>`.
    pub name: String,
    /// The budget: seconds, for `memory` MiB.
    pub limit: f64,
    /// What it was.
    pub actual: f64,
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

impl BootReport {
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

fn phase_word<S: serde::Serializer>(phase: &Phase, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(phase.as_str())
}

fn status_word<S: serde::Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.as_str())
}

fn name_word<S: serde::Serializer>(name: &ComponentName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

fn name_words<S: serde::Serializer>(names: &[ComponentName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(ComponentName::as_str))
}
