//! From a member's component name to its Python handle.

use std::sync::Arc;

use boot_orchestrator::system::System;
use pyo3::prelude::*;

use super::{ArbitrationEngine, ArtifactStore, DagTracker, PoolManager, StaleManager};

/// The handle of a member that was started, else `None`.
pub(crate) fn member(py: Python<'_>, system: &System, name: &str) -> PyResult<Option<Py<PyAny>>> {
    let pit = system.pit();
    Ok(match name {
        "artifact-store" => match &pit.artifacts {
            Some(store) => Some(Py::new(py, ArtifactStore::new(Arc::clone(store)))?.into_any()),
            None => None,
        },
        "dag-tracker" => match &pit.dag {
            Some(dag) => Some(Py::new(py, DagTracker::new(Arc::clone(dag)))?.into_any()),
            None => None,
        },
        "pool-manager" => match &pit.pool {
            Some(pool) => Some(Py::new(py, PoolManager::new(Arc::clone(pool)))?.into_any()),
            None => None,
        },
        "arbitration-engine" => match &pit.arbitration {
            Some(engine) => Some(Py::new(py, ArbitrationEngine::new(Arc::clone(engine)))?.into_any()),
            None => None,
        },
        "stale-manager" => match &pit.stale {
            Some(stale) => Some(Py::new(py, StaleManager::new(Arc::clone(stale)))?.into_any()),
            None => None,
        },
        _ => None,
    })
}
