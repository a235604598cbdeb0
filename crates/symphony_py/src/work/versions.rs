//! Versions of an extension: another one takes its name while the system runs, or several share its calls.
//!
//! Caller: `symphony/_swap/versions.py`. Invariant: until a version is ready nobody is given it, and any failure leaves the
//! one before in its place.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use boot_orchestrator::VariantFigures;
use boot_orchestrator::system::System;
use component::Code;
use orchestra_kit::Catalogue;
use orchestra_kit::kit::{Candidate, TakenOut, Tried};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::Fields;
use crate::door::span::span;
use crate::swap::holder::Holder;
use crate::swap::report::SwapReport;
use crate::swap::trial::ExperimentReport;
use crate::work::call_result::{CallKey, fields_of_extension, fields_of_kit, stopped};
use crate::work::extension::ExtensionHandle;
use crate::work::kit::Kit;

/// A version that is ready and that nobody is given yet; dropped, its process ends.
struct Version {
    candidate: Candidate,
    catalogue: Catalogue,
    /// What people call it.
    text: String,
}

/// Starts the version in that folder, or of that manifest, beside the one that has the name.
fn bring_up(py: Python<'_>, kit: &Kit, name: &str, path: &Bound<'_, PyAny>) -> PyResult<Version> {
    guard(py)?;
    let path = folder_of(path)?;
    let system = kit.system();
    let inner = running(py, kit)?;
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
    let text = called(py, &manifest.version, &manifest.folder)?;
    Ok(Version { candidate, catalogue, text })
}

fn running(py: Python<'_>, kit: &Kit) -> PyResult<orchestra_kit::Kit> {
    kit.system().kit().ok_or_else(|| stopped("the Orchestra Kit").raise(py))
}

/// The version that has the name: what people call it, its folder and its operations.
fn current(py: Python<'_>, kit: &Kit, name: &str) -> PyResult<(String, PathBuf, Vec<String>)> {
    let found = running(py, kit)?.extension(name);
    let handle = found.map_err(|error| fields_of_extension(&error).raise(py))?;
    let operations = handle.operations().into_iter().flatten();
    let manifest = handle.manifest();
    let text = called(py, &manifest.version, &manifest.folder)?;
    Ok((text, manifest.folder.clone(), operations.map(|operation| operation.name).collect()))
}

/// What people call a version.
fn called(py: Python<'_>, version: &str, folder: &Path) -> PyResult<String> {
    let places = py.import("symphony._components.places")?;
    let folder = places.getattr("relative")?.call1((folder.display().to_string(),))?;
    Ok(format!("{version} in {folder}"))
}

/// The folder that is to be a version.
fn folder_of(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path.extract().map_err(|_| {
        let kind = path.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        let message =
            format!("a version of an extension is a folder with its manifest, not `{kind}`");
        Fields::new(Code::INVALID_VALUE, message).raise(path.py())
    })
}

/// Gives an extension's name to the version in that folder, or of that manifest.
#[pyfunction]
pub(crate) fn swap_version(
    py: Python<'_>,
    kit: &Kit,
    name: &str,
    path: &Bound<'_, PyAny>,
    drain: f64,
) -> PyResult<SwapReport> {
    let begun = Instant::now();
    let drain = span(py, "drain", drain)?;
    let (old, _, before) = current(py, kit, name)?;
    let version = bring_up(py, kit, name, path)?;
    let known = version.candidate.operations();
    let inner = running(py, kit)?;
    // After a signal the swap stands; only the wait for the last calls was given up.
    let swapped =
        wait_asking(py, |asks| inner.swap(&version.candidate, version.catalogue, drain, asks));
    kit.forget_checks();
    let taken = swapped?.map_err(|error| fields_of_kit(&error).raise(py))?;
    let mut report = report_of(name, old, version.text);
    tell(&mut report, &taken);
    let lacks: BTreeSet<String> = before.into_iter().filter(|one| !known.contains(one)).collect();
    if !lacks.is_empty() {
        let names: Vec<String> = lacks.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        report.note(format!("the new one has no {names}, which the old one had"));
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

fn report_of(name: &str, old: String, new: String) -> SwapReport {
    let callers = vec![("every caller".to_owned(), name.to_owned())];
    SwapReport::make(name.to_owned(), old, new, callers, 0)
}

/// Says in a report what became of a version that was taken out.
fn tell(report: &mut SwapReport, taken: &TakenOut) {
    if taken.drained {
        if !taken.stop.killed.is_empty() {
            report.note("the old one did not end when asked, and was killed".to_owned());
        }
        return;
    }
    let held = taken.holders;
    let plural = if held == 1 { "" } else { "s" };
    let what = format!("{held} call{plural} in flight, or streams that are still read");
    let edit = "wait for them before the swap, or give it a longer `drain`".to_owned();
    report.hold([Holder::new(taken.manifest.folder.display().to_string(), what, edit, None)]);
}

/// Several versions of an extension share its calls, each with its share: the folders of others, or the name or the handle
/// of the extension for the one that has the name.
#[pyfunction]
pub(crate) fn try_versions(
    py: Python<'_>,
    kit: &Kit,
    name: &str,
    variants: &Bound<'_, PyAny>,
    shares: HashMap<String, f64>,
    key: Option<Py<PyAny>>,
    seed: u64,
) -> PyResult<TriedVersions> {
    guard(py)?;
    let inner = running(py, kit)?;
    let (old, folder, _) = current(py, kit, name)?;
    let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
    let stands = |target: &Bound<'_, PyAny>| {
        let path = target.extract::<PathBuf>().ok();
        target.is_instance_of::<ExtensionHandle>()
            || path.as_ref().is_some_and(|path| path.as_os_str() == name)
            || path.is_some_and(|path| std::fs::canonicalize(&path).unwrap_or(path) == folder)
    };
    let (mut texts, mut catalogues, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for entry in variants.call_method0("items")?.try_iter()? {
        let (variant, target) = entry?.extract::<(String, Bound<'_, PyAny>)>()?;
        let share = shares.get(&variant).copied().unwrap_or_default();
        let is_old = texts.iter().any(|(_, text)| *text == old);
        if !is_old && stands(&target) {
            texts.push((variant.clone(), old.clone()));
            taken.push((variant, share, None));
            continue;
        }
        let version = bring_up(py, kit, name, &target)?;
        texts.push((variant.clone(), version.text));
        catalogues.push((variant.clone(), version.catalogue));
        taken.push((variant, share, Some(version.candidate)));
    }
    let input = key.as_ref().and_then(|key| key.extract::<String>(py).ok());
    let key = key.filter(|_| input.is_none());
    let tag = key.map(|key| Arc::new(CallKey(key)) as Arc<dyn std::any::Any + Send + Sync>);
    let tried = enter(py, || inner.try_out(name, taken, input, seed, tag))?;
    let tried = tried.map_err(|error| fields_of_kit(&error).raise(py))?;
    Ok(TriedVersions {
        system: Arc::clone(kit.system()),
        name: name.to_owned(),
        old,
        texts,
        trial: Mutex::new(Trial { tried: Some(tried), catalogues }),
        last: Mutex::new(Vec::new()),
    })
}

/// Several versions that share the calls of one extension.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct TriedVersions {
    system: Arc<System>,
    name: String,
    /// What people call the version that had the name before.
    old: String,
    /// The same of each variant.
    texts: Vec<(String, String)>,
    trial: Mutex<Trial>,
    /// What they had done when somebody last asked.
    last: Mutex<Vec<(String, VariantFigures)>>,
}

struct Trial {
    tried: Option<Tried>,
    catalogues: Vec<(String, Catalogue)>,
}

#[pymethods]
impl TriedVersions {
    /// What they did so far; after the experiment what they did until its end.
    fn report(&self) -> ExperimentReport {
        let now = self.trial.lock().tried.as_ref().map(Tried::report);
        let mut last = self.last.lock();
        if let Some(reports) = now {
            let variants = reports.into_iter().map(|one| {
                let figures = VariantFigures::new(one.share, one.calls, one.errors, one.seconds);
                (one.name, figures)
            });
            *last = variants.collect();
        }
        ExperimentReport::of(self.name.clone(), last.clone())
    }

    /// Ends it: that version has the name, or the one that had it before.
    fn end(&self, py: Python<'_>, promoted: Option<String>, drain: f64) -> PyResult<SwapReport> {
        guard(py)?;
        let begun = Instant::now();
        let drain = span(py, "drain", drain)?;
        if self.system.kit().is_none() {
            return Err(stopped("the Orchestra Kit").raise(py));
        }
        drop(self.report());
        let text = self.texts.iter().find(|(name, _)| Some(name) == promoted.as_ref());
        let new = text.map_or(&self.old, |(_, text)| text);
        let mut report = report_of(&self.name, self.old.clone(), new.clone());
        let (tried, catalogue) = {
            let mut trial = self.trial.lock();
            let place =
                trial.catalogues.iter().position(|(name, _)| Some(name) == promoted.as_ref());
            let catalogue = place.map(|place| trial.catalogues.swap_remove(place).1);
            (trial.tried.take(), catalogue)
        };
        if let Some(tried) = tried {
            let ended =
                wait_asking(py, |asks| tried.end(promoted.as_deref(), catalogue, drain, asks))?;
            for taken in ended.map_err(|error| fields_of_kit(&error).raise(py))? {
                tell(&mut report, &taken);
            }
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }
}
