//! What `symphony doctor`, `symphony store` and `symphony bisect` ask about a deployment: where its state lies, what its store
//! keeps, what its extensions need of the machine and of each other.
//!
//! Nothing is started and nothing is opened but manifests. What is at fault there is told to the doctor by `check_paths`.

use std::ffi::OsString;
use std::path::PathBuf;

use orchestra_kit::Catalogue;
use orchestra_kit::catalogue::Sources;
use orchestra_kit::manifest::{Activation, Entry, Execution, SystemManifest};
use pyo3::prelude::*;

use crate::door::error::Fields;

/// An extension: its name, whether it has a process of its own, whether it starts with the system, what it is started
/// from, its limit of memory in bytes, and whether it may run programs.
type Deployed = (String, bool, bool, &'static str, Option<u64>, bool);

/// The state folder of a system and its extensions by name; nothing where its manifest cannot be read.
#[pyfunction]
pub(crate) fn deployment(
    py: Python<'_>,
    path: PathBuf,
) -> Option<(String, OsString, Vec<Deployed>)> {
    py.detach(|| {
        let system = SystemManifest::read(&path).ok()?;
        let (catalogue, _) = Catalogue::survey(&system, Sources::default());
        let extensions = catalogue
            .entries()
            .iter()
            .map(|entry| {
                let manifest = &entry.manifest;
                let started_from = match &manifest.entry {
                    Entry::Python(_) => "python",
                    Entry::Command(_) => "command",
                    Entry::Library { .. } => "library",
                };
                (
                    manifest.name.value.clone(),
                    manifest.execution == Execution::Process,
                    manifest.activation == Activation::Eager,
                    started_from,
                    manifest.limits.memory,
                    !manifest.permissions.run.is_empty(),
                )
            })
            .collect();
        Some((system.name, system.state.into_os_string(), extensions))
    })
}

/// The state folder of a system, its durability, and the `keep` (seconds) and `cap` (bytes) of its `[system.store]`.
#[pyfunction]
pub(crate) fn store_settings(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(OsString, &'static str, Option<f64>, Option<u64>)> {
    let system = py
        .detach(|| SystemManifest::read(&path))
        .map_err(|faults| Fields::of_manifest(faults).raise(py))?;
    let keep = system.store.keep.map(|keep| keep.as_secs_f64());
    Ok((system.state.into_os_string(), system.durability.as_str(), keep, system.store.cap))
}

/// The extensions that start with a system, each after those that it requires.
#[pyfunction]
pub(crate) fn eager_extensions(py: Python<'_>, path: PathBuf) -> PyResult<Vec<String>> {
    let system = py
        .detach(|| SystemManifest::read(&path))
        .map_err(|faults| Fields::of_manifest(faults).raise(py))?;
    let catalogue = py.detach(|| Catalogue::survey(&system, Sources::default()).0);
    let manifests = catalogue.entries().iter().map(|entry| &entry.manifest);
    let mut waiting: Vec<_> = manifests
        .filter(|manifest| manifest.activation == Activation::Eager && manifest.fault.is_none())
        .collect();
    let mut names: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let waits = |name: &str| waiting.iter().any(|one| one.name.value == name);
        let (free, rest): (Vec<_>, Vec<_>) = waiting
            .iter()
            .copied()
            .partition(|one| !one.requires.iter().any(|required| waits(required)));
        // A ring of them is a fault that the boot tells; here it has any order.
        let (free, rest) = if free.is_empty() { (rest, free) } else { (free, rest) };
        names.extend(free.into_iter().map(|one| one.name.value.clone()));
        waiting = rest;
    }
    Ok(names)
}
