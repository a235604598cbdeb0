//! The report of a boot as Python sees it.

use std::sync::Arc;

use boot_orchestrator::{Baseline, BaselineError, BootReport as Report};
use component::{Code, ComponentName, Seconds};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::door::error::Fields;
use crate::door::picture::fragment;

/// A span as people read it.
#[pyfunction]
pub(crate) fn seconds_text(seconds: f64) -> String {
    Seconds(seconds).to_string()
}

/// A figure in its budget's unit.
#[pyfunction]
pub(crate) fn budget_text(name: &str, value: f64) -> String {
    boot_orchestrator::budget_figure(name, value)
}

/// The JSON document of a boot that never began.
#[pyfunction]
pub(crate) fn empty_report() -> String {
    Report::of_nothing().to_string()
}

/// How a boot went: its text is a waterfall, `to_json()` the document of the contract.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct BootReport {
    report: Arc<Report>,
}

impl BootReport {
    pub(crate) fn new(report: Arc<Report>) -> Self {
        Self { report }
    }
}

#[pymethods]
impl BootReport {
    #[getter]
    fn ok(&self) -> bool {
        self.report.ok
    }

    /// How it came up; `None` when it never did.
    #[getter]
    fn state(&self) -> Option<&'static str> {
        self.report.state
    }

    #[getter]
    fn system(&self) -> &str {
        &self.report.system
    }

    /// From the call of `boot()` until everything was ready; `None` when it never was.
    #[getter]
    fn ready_seconds(&self) -> Option<f64> {
        self.report.ready_seconds
    }

    /// From the process's start until everything was ready.
    #[getter]
    fn since_launch_seconds(&self) -> Option<f64> {
        self.report.since_launch_seconds
    }

    #[getter]
    fn overhead_seconds(&self) -> f64 {
        self.report.overhead_seconds
    }

    #[getter]
    fn infrastructure_seconds(&self) -> Option<f64> {
        self.report.infrastructure_seconds
    }

    #[getter]
    fn memory_mb(&self) -> f64 {
        self.report.memory_mb
    }

    #[getter]
    fn critical_path(&self) -> Vec<String> {
        self.report.critical_path.iter().map(ToString::to_string).collect()
    }

    /// For each step of the critical path, how much sooner the system would be ready if it took no time.
    #[getter]
    fn savings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let savings = self.report.savings.iter().map(|one| {
            let entry = PyDict::new(py);
            entry.set_item("name", one.name.as_str())?;
            entry.set_item("seconds", one.seconds)?;
            Ok(entry)
        });
        PyList::new(py, savings.collect::<PyResult<Vec<_>>>()?)
    }

    /// The budgets that were exceeded.
    #[getter]
    fn budget_violations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let violations = self.report.budget_violations.iter().map(|one| {
            let entry = PyDict::new(py);
            entry.set_item("name", &one.name)?;
            entry.set_item("limit", one.limit)?;
            entry.set_item("actual", one.actual)?;
            Ok(entry)
        });
        PyList::new(py, violations.collect::<PyResult<Vec<_>>>()?)
    }

    /// What a boot in safe mode went on without, and why; `None` where it started everything.
    #[getter]
    fn safe_mode<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(safe) = &self.report.safe_mode else { return Ok(None) };
        let entry = PyDict::new(py);
        entry.set_item("without", &safe.without)?;
        entry.set_item("reason", &safe.reason)?;
        entry.set_item("asked_for", safe.asked_for)?;
        Ok(Some(entry))
    }

    /// What is no component's start: phases, gates, waits, the rollback and its stops, the start-up of child processes.
    #[getter]
    fn spans<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let spans = self.report.spans.iter().map(|one| {
            let entry = PyDict::new(py);
            entry.set_item("name", &one.name)?;
            entry.set_item("component", one.component.as_ref().map(ComponentName::as_str))?;
            entry.set_item("phase", one.phase.map(component::Phase::as_str))?;
            entry.set_item("pid", one.pid)?;
            entry.set_item("started_at", one.started_at)?;
            entry.set_item("seconds", one.seconds)?;
            Ok(entry)
        });
        PyList::new(py, spans.collect::<PyResult<Vec<_>>>()?)
    }

    /// What became slower or faster than in an earlier boot: another report, or its JSON document.
    fn compare<'py>(
        &self,
        py: Python<'py>,
        earlier: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = match earlier.cast::<Self>() {
            Ok(report) => report.get().report.to_json(),
            Err(_) => earlier.extract::<String>()?,
        };
        let baseline = Baseline::parse(&text).map_err(|error| raise(py, &error))?;
        let comparison = self.report.compare(&baseline).to_value().to_string();
        py.import("json")?.call_method1("loads", (comparison,))
    }

    /// The document of the contract.
    fn to_json(&self) -> String {
        self.report.to_json()
    }

    fn __str__(&self) -> String {
        self.report.to_string()
    }

    fn __repr__(&self) -> String {
        let state = self.report.state.unwrap_or("failed");
        format!("<BootReport {} {state}>", self.report.system)
    }

    /// What a notebook shows.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fragment(this.as_any(), "boot_fragment")
    }
}

/// Why a text is no report that a boot can be compared with: what, line, column; `None` where it is one.
#[pyfunction]
pub(crate) fn baseline_fault(text: &str) -> Option<(String, Option<u32>, Option<u32>)> {
    let error = Baseline::parse(text).err()?;
    Some((error.message, error.line, error.column))
}

/// What is no baseline is a wrong argument, with its place in the text.
fn raise(py: Python<'_>, error: &BaselineError) -> PyErr {
    let place = match (error.line, error.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        _ => String::new(),
    };
    Fields::new(Code::INVALID_VALUE, format!("{place}{error}")).raise(py)
}
