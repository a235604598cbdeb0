//! `pit.stale`.

use ::pit::artifact_store::ArtifactId;
use ::pit::stale_manager::{
    Action, NamePattern, Rule, StaleManager as Manager, StoreLimits, SweepOptions, SweepReport,
};
use component::Code;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::member_ref::{Calling, MemberRef};
use crate::door::enter::{enter, wait_asking};
use crate::door::error::{Fields, raise};
use crate::door::span::span;

/// What to keep, archive or delete.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct StaleManager {
    member: MemberRef<Manager>,
}

impl StaleManager {
    pub(super) fn new(member: MemberRef<Manager>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn manager(&self, py: Python<'_>) -> PyResult<Calling<'_, Manager>> {
        self.member.get(py)
    }
}

fn id_of(py: Python<'_>, id: &str) -> PyResult<ArtifactId> {
    id.parse().map_err(|error: ::pit::PitError| raise(py, &error))
}

#[pymethods]
impl StaleManager {
    /// Adds a rule, or replaces the one of its name. The first rule whose conditions all hold decides.
    ///
    /// Args:
    ///     name: Its name.
    ///     action: What is done: `keep`, `archive` or `delete`.
    ///     older_than: Put longer ago than this, in seconds.
    ///     unused_for: Neither put nor read for longer than this, in seconds.
    ///     reads_below: Read fewer times than this.
    ///     larger_than: More bytes than this.
    ///     tag: It has this tag.
    ///     named: One of its names fits this pattern: `*` for any run of characters, `/` too, `?` for one; everything else
    ///         stands for itself.
    ///     quality_below: It has a tag `quality=…` with less than this.
    ///     score_below: Its score, from 0 to 1, is less than this: half of it says how lately it was used, the rest how often
    ///         and how good it is, and large ones are worth less.
    ///
    /// Raises:
    ///     InvalidValueError: There is no such action, a number is none, or it would delete everything.
    #[pyo3(signature = (name, action, *, older_than = None, unused_for = None, reads_below = None,
        larger_than = None, tag = None, named = None, quality_below = None, score_below = None))]
    fn rule(
        &self,
        py: Python<'_>,
        name: String,
        action: &str,
        older_than: Option<f64>,
        unused_for: Option<f64>,
        reads_below: Option<u64>,
        larger_than: Option<u64>,
        tag: Option<String>,
        named: Option<String>,
        quality_below: Option<f64>,
        score_below: Option<f64>,
    ) -> PyResult<()> {
        let manager = self.manager(py)?;
        let action = match action {
            "keep" => Action::Keep,
            "archive" => Action::Archive,
            "delete" => Action::Delete,
            other => {
                let message =
                    format!("`{other}` is not an action; the actions are keep, archive and delete");
                return Err(Fields::new(Code::INVALID_VALUE, message).raise(py));
            }
        };
        let mut rule = Rule::new(name, action);
        // Here nothing given is another thing than a span without end: no artifact is as old as that.
        let age = |name, given: Option<f64>| given.map(|given| span(py, name, given)).transpose();
        rule.older_than = age("older_than", older_than)?;
        rule.unused_for = age("unused_for", unused_for)?;
        rule.reads_below = reads_below;
        rule.larger_than = larger_than;
        rule.tag = tag;
        rule.named = named.map(NamePattern::new);
        rule.quality_below = quality_below;
        rule.score_below = score_below;
        enter(py, || manager.rule(rule))?.map_err(|error| raise(py, &error))
    }

    /// What the rules say of an artifact: `keep`, `archive` or `delete`.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn evaluate(&self, py: Python<'_>, id: &str) -> PyResult<&'static str> {
        let manager = self.manager(py)?;
        let id = id_of(py, id)?;
        let verdict = enter(py, || manager.evaluate(&id))?.map_err(|error| raise(py, &error))?;
        Ok(verdict.as_str())
    }

    /// What the rules say of an artifact, and why: the rule and what of it holds.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn explain(&self, py: Python<'_>, id: &str) -> PyResult<String> {
        let manager = self.manager(py)?;
        let id = id_of(py, id)?;
        let explanation = enter(py, || manager.explain(&id))?.map_err(|error| raise(py, &error))?;
        Ok(explanation.to_string())
    }

    /// Keeps an artifact whatever the rules say, also after a restart.
    ///
    /// Raises:
    ///     NotFoundError: There is no such artifact.
    ///     InvalidValueError: That is no id.
    fn pin(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        let manager = self.manager(py)?;
        let id = id_of(py, id)?;
        enter(py, || manager.pin(&id))?.map(|_| ()).map_err(|error| raise(py, &error))
    }

    /// Lets the rules decide again about an artifact that is pinned.
    ///
    /// Raises:
    ///     InvalidValueError: That is no id.
    fn unpin(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        let manager = self.manager(py)?;
        let id = id_of(py, id)?;
        enter(py, || manager.unpin(&id))?.map(|_| ()).map_err(|error| raise(py, &error))
    }

    /// Judges every artifact and does what the rules say, on the calling thread. What is pinned or in use is never touched.
    ///
    /// Args:
    ///     dry_run: Only tell it.
    ///     explain: Say in `reasons` of the report why, for each artifact that is touched or that only a pin or a run keeps
    ///         from it.
    ///     limit: At most so many are archived or deleted; `None`: all.
    ///     rate: At most so many a second; `None`: as fast as it goes.
    ///
    /// Returns:
    ///     What was done, as `symphony.records.SweepReport` tells it.
    ///
    /// Raises:
    ///     InvalidValueError: The rate is no number above 0.
    #[pyo3(signature = (*, dry_run = false, explain = false, limit = None, rate = None))]
    fn sweep<'py>(
        &self,
        py: Python<'py>,
        dry_run: bool,
        explain: bool,
        limit: Option<u64>,
        rate: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let manager = self.manager(py)?;
        let options = SweepOptions { dry_run, explain, limit, rate };
        let report = wait_asking(py, |asks| manager.sweep_with(&options, asks))?
            .map_err(|error| raise(py, &error))?;
        told(py, &report, explain)
    }

    /// Archives and deletes now what `[system.store]` does not keep: what was not used for as long as `keep` says is archived,
    /// after as long again deleted; and beyond `cap` the least valuable is deleted. A system does this by itself.
    ///
    /// What is pinned, held by a run or kept by a rule stays.
    ///
    /// Args:
    ///     keep: Seconds, in the place of what the system says.
    ///     cap: Bytes, in the place of what the system says.
    ///     dry_run: Only tell it.
    ///
    /// Returns:
    ///     What was done, as `symphony.records.EnforceReport` tells it.
    ///
    /// Raises:
    ///     InvalidValueError: `keep` is no number of seconds above 0, or `cap` is 0.
    #[pyo3(signature = (*, keep = None, cap = None, dry_run = false))]
    fn enforce<'py>(
        &self,
        py: Python<'py>,
        keep: Option<f64>,
        cap: Option<u64>,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let manager = self.manager(py)?;
        let keep = keep.map(|given| span(py, "keep", given)).transpose()?;
        let said = manager.limits();
        let limits = StoreLimits { keep: keep.or(said.keep), cap: cap.or(said.cap) };
        let enforced = wait_asking(py, |asks| manager.enforce_now(&limits, dry_run, asks))?
            .map_err(|error| raise(py, &error))?;
        let fields = told(py, &enforced.sweep, false)?;
        fields.set_item("stored_bytes", enforced.stored_bytes)?;
        fields.set_item("is_over", enforced.is_over)?;
        Ok(fields)
    }
}

/// What a sweep did, for Python.
fn told<'py>(py: Python<'py>, report: &SweepReport, explain: bool) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("dry_run", report.dry_run)?;
    fields.set_item("examined", report.examined)?;
    fields.set_item("kept", report.kept)?;
    fields.set_item(
        "archived",
        report.archived.iter().map(ToString::to_string).collect::<Vec<_>>(),
    )?;
    fields
        .set_item("deleted", report.deleted.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    fields.set_item("deleted_bytes", report.deleted_bytes)?;
    let failures =
        report.failures.iter().map(|failure| (failure.id.to_string(), failure.error.to_string()));
    fields.set_item("failures", failures.collect::<Vec<_>>())?;
    if explain {
        let reasons = PyDict::new(py);
        for explanation in &report.explained {
            reasons.set_item(explanation.id.to_string(), explanation.to_string())?;
        }
        fields.set_item("reasons", reasons)?;
    }
    Ok(fields)
}
