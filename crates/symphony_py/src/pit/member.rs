//! From a member's component name to its Python handle.

use std::sync::Arc;

use boot_orchestrator::system::System;
use component::Code;
use pyo3::prelude::*;

use crate::error::Fields;

use super::{ArbitrationEngine, ArtifactStore, DagTracker, PoolManager, StaleManager};

/// The handle of a member that was started, else `None`.
pub(crate) fn member(
    py: Python<'_>,
    system: &Arc<System>,
    name: &str,
) -> PyResult<Option<Py<PyAny>>> {
    let pit = system.pit();
    let system = Arc::clone(system);
    Ok(match name {
        "artifact-store" if pit.artifacts.is_some() => {
            Some(Py::new(py, ArtifactStore::new(system))?.into_any())
        }
        "dag-tracker" if pit.dag.is_some() => {
            Some(Py::new(py, DagTracker::new(system))?.into_any())
        }
        "pool-manager" if pit.pool.is_some() => {
            Some(Py::new(py, PoolManager::new(system))?.into_any())
        }
        "arbitration-engine" if pit.arbitration.is_some() => {
            Some(Py::new(py, ArbitrationEngine::new(system))?.into_any())
        }
        "stale-manager" if pit.stale.is_some() => {
            Some(Py::new(py, StaleManager::new(system))?.into_any())
        }
        _ => None,
    })
}

/// The error of a handle whose system was shut down.
pub(super) fn stopped(py: Python<'_>, member: &str) -> PyErr {
    Fields::new(Code::STOPPED, format!("`{member}` was stopped with its system")).raise(py)
}
