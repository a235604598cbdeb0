//! `Health`, which a component's `health()` may return, and `SystemHealth`, which `system.health()` gives.

use std::fmt::Write as _;

use component::Health as Word;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::door::picture::fragment;

/// How a component is: return one from `health()`.
#[pyclass(frozen, eq, hash, subclass, module = "symphony")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Health {
    state: &'static str,
    #[pyo3(get)]
    reason: Option<String>,
}

impl Health {
    pub(crate) fn of(health: &Word) -> Self {
        Self { state: health.as_str(), reason: health.reason().map(str::to_owned) }
    }

    pub(crate) fn state(&self) -> &'static str {
        self.state
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn text(&self) -> String {
        let reason = self.reason.as_deref().filter(|reason| !reason.is_empty());
        reason.map_or_else(|| self.state.to_owned(), |reason| format!("{}: {reason}", self.state))
    }
}

#[pymethods]
impl Health {
    #[new]
    #[pyo3(signature = (state="healthy", reason=None))]
    fn new(state: &str, reason: Option<String>) -> PyResult<Self> {
        let words = [Word::Healthy, Word::Degraded(String::new()), Word::Unhealthy(String::new())];
        let known = words.iter().map(Word::as_str).find(|known| *known == state);
        let state = known.ok_or_else(|| {
            let text =
                format!("`{state}` is not a state; the states are healthy, degraded and unhealthy");
            PyValueError::new_err(text)
        })?;
        Ok(Self { state, reason })
    }

    /// It works, with less than it should have.
    #[classmethod]
    fn degraded<'py>(class: &Bound<'py, PyType>, reason: &str) -> PyResult<Bound<'py, PyAny>> {
        class.call1(("degraded", reason))
    }

    /// It does not work.
    #[classmethod]
    fn unhealthy<'py>(class: &Bound<'py, PyType>, reason: &str) -> PyResult<Bound<'py, PyAny>> {
        class.call1(("unhealthy", reason))
    }

    #[getter(state)]
    fn word(&self) -> &'static str {
        self.state
    }

    fn __str__(&self) -> String {
        self.text()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let reason = self.reason.as_deref().into_pyobject(py)?.repr()?;
        Ok(format!("Health('{}', {reason})", self.state))
    }

    /// What a notebook shows.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fragment(this.as_any(), "component_health_fragment")
    }

    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> (Bound<'py, PyType>, (&'static str, Option<String>)) {
        (this.get_type(), (this.get().state, this.get().reason.clone()))
    }
}

/// How a whole system is.
#[pyclass(frozen, module = "symphony")]
pub(crate) struct SystemHealth {
    state: &'static str,
    #[pyo3(get)]
    reason: Option<String>,
    components: Vec<(String, Health)>,
}

impl SystemHealth {
    pub(crate) fn new(
        state: &'static str,
        reason: Option<String>,
        components: Vec<(String, Health)>,
    ) -> Self {
        Self { state, reason, components }
    }

    fn found<'py>(
        &self,
        py: Python<'py>,
        is_told: impl Fn(&Health) -> bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (name, health) in self.components.iter().filter(|(_, health)| is_told(health)) {
            found.set_item(name, Bound::new(py, health.clone())?)?;
        }
        Ok(found)
    }
}

#[pymethods]
impl SystemHealth {
    #[getter]
    fn state(&self) -> &'static str {
        self.state
    }

    /// The health of each component, by name.
    #[getter]
    fn components<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.found(py, |_| true)
    }

    fn __str__(&self) -> String {
        let mut text = self.state.to_owned();
        for (name, health) in self.components.iter().filter(|(_, health)| health.state != "healthy")
        {
            let _ = write!(text, "\n  `{name}` is {}", health.text());
        }
        text
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let ill = self.found(py, |health| health.state != "healthy")?.repr()?;
        Ok(format!("SystemHealth({}, {ill})", PyString::new(py, self.state).repr()?))
    }

    /// What a notebook shows.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fragment(this.as_any(), "health_fragment")
    }
}
