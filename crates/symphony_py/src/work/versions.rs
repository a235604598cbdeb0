//! Versions of an extension, as `symphony/_swap/versions.py` swaps and tries them.

use std::path::PathBuf;
use std::sync::Arc;

use boot_orchestrator::VariantFigures;
use boot_orchestrator::system::System;
use component::Code;
use orchestra_kit::Catalogue;
use orchestra_kit::kit::{Candidate, TakenOut, Tried};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::Fields;
use crate::door::span::span;
use crate::swap::trial::ExperimentReport;
use crate::work::kit::{fields_of_extension, fields_of_kit, stopped};

/// A version that is ready and that nobody is given yet; dropped, its process ends.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Version {
    inner: Mutex<Option<(Candidate, Catalogue)>>,
    /// Where its manifest stands, its version and its operations.
    about: (String, String, Vec<String>),
    #[pyo3(get)]
    pid: Option<u32>,
}

#[pymethods]
impl Version {
    /// The folder of its manifest.
    #[getter]
    fn folder(&self) -> &str {
        &self.about.0
    }

    /// What its manifest says of its version.
    #[getter]
    fn version(&self) -> &str {
        &self.about.1
    }

    /// The operations that it said it has.
    #[getter]
    fn operations(&self) -> Vec<String> {
        self.about.2.clone()
    }
}

impl Version {
    fn take(&self, py: Python<'_>) -> PyResult<(Candidate, Catalogue)> {
        let taken = self.inner.lock().take();
        taken.ok_or_else(|| Fields::new(Code::INVALID_VALUE, "this version is in use").raise(py))
    }
}

/// Starts the version in that folder, or of that manifest, beside the one that has the name.
#[pyfunction]
pub(crate) fn bring_up(
    py: Python<'_>,
    kit: &crate::work::kit::Kit,
    name: &str,
    path: PathBuf,
) -> PyResult<Version> {
    guard(py)?;
    let system = kit.system();
    let inner = system.kit().ok_or_else(|| stopped("the Orchestra Kit").raise(py))?;
    let path = std::path::absolute(&path).unwrap_or(path);
    let catalogue = enter(py, || system.with_version(name, &path))?.map_err(|diagnostics| {
        let mut fields = Fields::new(Code::MANIFEST_INVALID, String::new());
        fields.diagnostics = diagnostics;
        fields.boot = true;
        fields.raise(py)
    })?;
    let Some(manifest) = catalogue.get(name).map(|entry| Arc::clone(&entry.manifest)) else {
        let error = enter(py, || inner.extension(name))?.err();
        let fields = error.map_or_else(|| stopped("it"), |error| fields_of_extension(&error));
        return Err(fields.raise(py));
    };
    let candidate = wait_asking(py, |asks| inner.bring_up(Arc::clone(&manifest), asks))?
        .map_err(|error| fields_of_extension(&error).raise(py))?;
    let folder = manifest.folder.display().to_string();
    let version = manifest.version.clone();
    Ok(Version {
        about: (folder, version, candidate.operations()),
        pid: candidate.pid(),
        inner: Mutex::new(Some((candidate, catalogue))),
    })
}

/// Gives the name to a version: what became of the one before.
#[pyfunction]
pub(crate) fn swap_version<'py>(
    py: Python<'py>,
    kit: &crate::work::kit::Kit,
    version: &Version,
    drain: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let drain = span(py, "drain", drain)?;
    let inner = kit.system().kit().ok_or_else(|| stopped("the Orchestra Kit").raise(py))?;
    let (candidate, catalogue) = version.take(py)?;
    // After a signal the swap stands; only the wait for the last calls was given up.
    let swapped = wait_asking(py, |asks| inner.swap(&candidate, catalogue, drain, asks));
    kit.forget_checks();
    told(py, swapped?.map_err(|error| fields_of_kit(&error).raise(py))?)
}

/// Several versions of an extension share its calls: the one that has the name stands without a `Version`.
#[pyfunction]
pub(crate) fn try_versions(
    py: Python<'_>,
    kit: &crate::work::kit::Kit,
    name: &str,
    variants: Vec<(String, f64, Option<PyRef<'_, Version>>)>,
    input: Option<String>,
    key: Option<Py<PyAny>>,
    seed: u64,
) -> PyResult<TriedVersions> {
    guard(py)?;
    let inner = kit.system().kit().ok_or_else(|| stopped("the Orchestra Kit").raise(py))?;
    let mut catalogues = Vec::new();
    let mut taken = Vec::new();
    for (variant, share, version) in variants {
        let candidate = match version {
            None => None,
            Some(version) => {
                let (candidate, catalogue) = version.take(py)?;
                catalogues.push((variant.clone(), catalogue));
                Some(candidate)
            }
        };
        taken.push((variant, share, candidate));
    }
    let tag = key.map(|key| Arc::new(CallKey(key)) as Arc<dyn std::any::Any + Send + Sync>);
    let tried = enter(py, || inner.try_out(name, taken, input, seed, tag))?;
    let tried = tried.map_err(|error| fields_of_kit(&error).raise(py))?;
    Ok(TriedVersions {
        system: Arc::clone(kit.system()),
        tried: Mutex::new(Some(tried)),
        catalogues: Mutex::new(catalogues),
    })
}

/// The function of a trial that is called with a call's inputs.
pub(crate) struct CallKey(pub(crate) Py<PyAny>);

/// Several versions that share the calls of one extension.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct TriedVersions {
    system: Arc<System>,
    tried: Mutex<Option<Tried>>,
    catalogues: Mutex<Vec<(String, Catalogue)>>,
}

#[pymethods]
impl TriedVersions {
    /// What they did so far; nothing when it has ended.
    fn report(&self, component: String) -> Option<ExperimentReport> {
        let reports = self.tried.lock().as_ref().map(Tried::report)?;
        let variants = reports.into_iter().map(|one| {
            let figures = VariantFigures::new(one.share, one.calls, one.errors, one.seconds);
            (one.name, figures)
        });
        Some(ExperimentReport::of(component, variants.collect()))
    }

    /// Ends it: that version has the name, or the one that had it before. What became of each of the others.
    fn end<'py>(
        &self,
        py: Python<'py>,
        promoted: Option<String>,
        drain: f64,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        guard(py)?;
        let drain = span(py, "drain", drain)?;
        if self.system.kit().is_none() {
            return Err(stopped("the Orchestra Kit").raise(py));
        }
        let Some(tried) = self.tried.lock().take() else { return Ok(Vec::new()) };
        let catalogue = {
            let mut catalogues = self.catalogues.lock();
            let place = catalogues.iter().position(|(name, _)| Some(name) == promoted.as_ref());
            place.map(|place| catalogues.swap_remove(place).1)
        };
        let ended = wait_asking(py, |asks| tried.end(promoted.as_deref(), catalogue, drain, asks))?;
        let ended = ended.map_err(|error| fields_of_kit(&error).raise(py))?;
        ended.into_iter().map(|one| told(py, one)).collect()
    }
}

/// What became of a version, for Python.
fn told(py: Python<'_>, taken: TakenOut) -> PyResult<Bound<'_, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("folder", taken.manifest.folder.display().to_string())?;
    fields.set_item("version", taken.manifest.version.clone())?;
    fields.set_item("drained", taken.drained)?;
    fields.set_item("holders", taken.holders)?;
    fields.set_item("killed", !taken.stop.killed.is_empty())?;
    Ok(fields)
}
