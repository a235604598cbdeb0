//! `SwapReport`: what a swap did, as it is put together while it is done.

use boot_orchestrator::Swapped;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};

use super::holder::Holder;
use crate::door::picture::fragment;

/// What a swap did; its `str()` is its whole text.
#[pyclass(module = "symphony")]
pub(crate) struct SwapReport {
    #[pyo3(get, set)]
    component: String,
    #[pyo3(get, set)]
    old: String,
    #[pyo3(get, set)]
    new: String,
    rewritten: Vec<(String, String)>,
    #[pyo3(get, set)]
    handles: usize,
    holders: Vec<Holder>,
    #[pyo3(get, set)]
    drained: bool,
    #[pyo3(get, set)]
    stop_error: Option<Py<PyAny>>,
    notes: Vec<String>,
    #[pyo3(get, set)]
    pub(crate) seconds: f64,
}

impl SwapReport {
    /// Adds what else there is to know.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds who still holds the old one, which is not drained then.
    pub(crate) fn hold(&mut self, holders: impl IntoIterator<Item = Holder>) {
        self.drained = false;
        self.holders.extend(holders);
    }
}

#[pymethods]
impl SwapReport {
    /// What is known once the sites are rewritten.
    #[new]
    #[pyo3(signature = (component, old, new, rewritten=Vec::new(), handles=0))]
    pub(crate) fn make(
        component: String,
        old: String,
        new: String,
        rewritten: Vec<(String, String)>,
        handles: usize,
    ) -> Self {
        Self {
            component,
            old,
            new,
            rewritten,
            handles,
            holders: Vec::new(),
            drained: true,
            stop_error: None,
            notes: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Consumer and attribute of each injection site that was rewritten.
    #[getter]
    fn rewritten<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.rewritten)
    }

    /// Who still holds the old object.
    #[getter]
    fn holders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.holders.iter().cloned())
    }

    /// What else there is to know.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.notes)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let holders: Vec<String> = self.holders.iter().map(Holder::to_string).collect();
        let error = self.stop_error.as_ref().map(|error| error.bind(py));
        let error = error
            .map(|error| Ok::<_, PyErr>(format!("{}: {}", error.get_type().name()?, error.str()?)))
            .transpose()?;
        Ok(Swapped {
            component: &self.component,
            old: &self.old,
            new: &self.new,
            rewritten: &self.rewritten,
            handles: self.handles,
            is_drained: self.drained,
            stop_error: error.as_deref(),
            notes: &self.notes,
            holders: &holders,
            seconds: self.seconds,
        }
        .to_string())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = pyo3::types::PyString::new(py, &self.component).repr()?;
        let drained = if self.drained { "True" } else { "False" };
        Ok(format!("<SwapReport {name} drained={drained}>"))
    }

    /// What a notebook shows.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fragment(this.as_any(), "swap_fragment")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stop_error)
    }

    fn __clear__(&mut self) {
        self.stop_error = None;
    }
}
