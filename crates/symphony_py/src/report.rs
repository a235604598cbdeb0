//! The report of a boot as Python sees it.

use std::sync::Arc;

use boot_orchestrator::BootReport as Report;
use pyo3::prelude::*;

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

    /// The document of the contract.
    fn to_json(&self) -> String {
        self.report.to_json()
    }

    fn __str__(&self) -> String {
        self.report.to_string()
    }

    fn __repr__(&self) -> String {
        let state = if self.report.ok { "ready" } else { "failed" };
        format!("<BootReport {} {state}>", self.report.system)
    }
}
