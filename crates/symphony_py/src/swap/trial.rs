//! Experiments as Python sees them: the calls of a variant, counted, and what all of them did.

use std::collections::VecDeque;
use std::time::Instant;

use boot_orchestrator::{VariantFigures, trial_text};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::picture::fragment;
use crate::door::words::refused;

/// So many of the last calls' times are kept.
const KEPT: usize = 4096;

/// What one variant did.
#[pyclass(frozen, module = "symphony._core")]
#[derive(Clone)]
pub(crate) struct VariantReport(VariantFigures);

impl VariantReport {
    fn percentile(&self, place: usize) -> Option<f64> {
        self.0.percentiles.map(|all| all[place])
    }
}

#[pymethods]
impl VariantReport {
    #[getter]
    fn share(&self) -> f64 {
        self.0.share
    }

    #[getter]
    fn calls(&self) -> u64 {
        self.0.calls
    }

    #[getter]
    fn errors(&self) -> u64 {
        self.0.errors
    }

    #[getter]
    fn p50(&self) -> Option<f64> {
        self.percentile(0)
    }

    #[getter]
    fn p90(&self) -> Option<f64> {
        self.percentile(1)
    }

    #[getter]
    fn p95(&self) -> Option<f64> {
        self.percentile(2)
    }

    #[getter]
    fn p99(&self) -> Option<f64> {
        self.percentile(3)
    }

    fn __repr__(&self) -> String {
        let text = |place| self.percentile(place).map_or("None".to_owned(), |p| p.to_string());
        let (calls, errors) = (self.0.calls, self.0.errors);
        format!("<VariantReport calls={calls} errors={errors} p50={} p99={}>", text(0), text(3))
    }
}

/// What the variants of an experiment did; its `str()` is its whole text.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ExperimentReport {
    #[pyo3(get)]
    component: String,
    variants: Vec<(String, VariantFigures)>,
}

impl ExperimentReport {
    pub(crate) fn of(component: String, variants: Vec<(String, VariantFigures)>) -> Self {
        Self { component, variants }
    }
}

#[pymethods]
impl ExperimentReport {
    #[new]
    fn new(component: String, variants: Vec<(String, f64, PyRef<'_, CallCounts>)>) -> Self {
        let variants = variants.into_iter();
        let variants = variants.map(|(name, share, counts)| (name, counts.figures(share)));
        Self { component, variants: variants.collect() }
    }

    /// A report of each variant, by name.
    #[getter]
    fn variants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (name, figures) in &self.variants {
            found.set_item(name, Bound::new(py, VariantReport(figures.clone()))?)?;
        }
        Ok(found)
    }

    /// The report of one variant.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.variants(py)?.into_any().get_item(name)
    }

    fn __str__(&self) -> String {
        trial_text(&self.component, &self.variants)
    }

    /// What a notebook shows.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        fragment(this.as_any(), "experiment_fragment")
    }
}

#[derive(Default)]
struct Counts {
    running: u64,
    calls: u64,
    errors: u64,
    seconds: VecDeque<f64>,
}

/// The calls that one variant of a component had.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct CallCounts {
    counts: Mutex<Counts>,
}

#[pymethods]
impl CallCounts {
    #[new]
    fn new() -> Self {
        Self { counts: Mutex::default() }
    }

    /// A call begins; it ends with what this gives.
    fn begun(&self) -> CallBegun {
        self.counts.lock().running += 1;
        CallBegun(Instant::now())
    }

    /// A call ended.
    fn ended(&self, begun: &CallBegun, failed: bool) {
        let seconds = begun.0.elapsed().as_secs_f64();
        let mut counts = self.counts.lock();
        counts.running = counts.running.saturating_sub(1);
        counts.calls += 1;
        counts.errors += u64::from(failed);
        if counts.seconds.len() == KEPT {
            counts.seconds.pop_front();
        }
        counts.seconds.push_back(seconds);
    }

    /// Whether no call is inside it.
    fn is_idle(&self) -> bool {
        self.counts.lock().running == 0
    }
}

impl CallCounts {
    fn figures(&self, share: f64) -> VariantFigures {
        let counts = self.counts.lock();
        let seconds = counts.seconds.iter().copied().collect();
        VariantFigures::new(share, counts.calls, counts.errors, seconds)
    }
}

/// The moment at which a call began.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct CallBegun(Instant);

/// The share of each variant, by name; weights are made to sum to one.
#[pyfunction]
pub(crate) fn shares_of<'py>(
    py: Python<'py>,
    variants: &Bound<'py, PyAny>,
    split: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut names = Vec::new();
    for name in variants.try_iter()? {
        names.push(name?.extract::<String>()?);
    }
    let mut weights = Vec::new();
    for entry in split
        .map(|split| split.call_method0("items")?.try_iter())
        .transpose()?
        .into_iter()
        .flatten()
    {
        weights.push(entry?.extract::<(String, f64)>()?);
    }
    let split = split.map(|_| weights.as_slice());
    let shares = boot_orchestrator::shares(&names, split).map_err(|advice| refused(py, advice))?;
    let found = PyDict::new(py);
    for (name, share) in names.iter().zip(shares) {
        found.set_item(name, share)?;
    }
    Ok(found)
}
