//! From a member's component name to its Python handle.

use std::sync::Arc;

use boot_orchestrator::system::System;
use orchestra_kit::manifest::Member;
use pyo3::prelude::*;
use pyo3::{PyClass, PyClassInitializer};

use super::member_ref::MemberRef;
use super::{ArbitrationEngine, ArtifactStore, DagTracker, PoolManager, StaleManager};

/// The handle of a member that was started, else `None`.
pub(crate) fn member(
    py: Python<'_>,
    system: &Arc<System>,
    name: &str,
) -> PyResult<Option<Py<PyAny>>> {
    let pit = system.pit();
    match name {
        "artifact-store" => handle(py, system, pit.artifacts, "artifact-store", ArtifactStore::new),
        "dag-tracker" => handle(py, system, pit.dag, "dag-tracker", DagTracker::new),
        "pool-manager" => handle(py, system, pit.pool, "pool-manager", PoolManager::new),
        "arbitration-engine" => {
            handle(py, system, pit.arbitration, "arbitration-engine", ArbitrationEngine::new)
        }
        "stale-manager" => handle(py, system, pit.stale, "stale-manager", StaleManager::new),
        _ => Ok(None),
    }
}

fn handle<T, H>(
    py: Python<'_>,
    system: &System,
    member: Option<Arc<T>>,
    name: &'static str,
    make: impl FnOnce(MemberRef<T>) -> H,
) -> PyResult<Option<Py<PyAny>>>
where
    H: Into<PyClassInitializer<H>> + PyClass,
{
    let (Some(member), Some(place)) = (member, Member::parse(name)) else { return Ok(None) };
    let reference = MemberRef::new(member, name, system.handle_use(place), system.closed());
    Ok(Some(Py::new(py, make(reference))?.into_any()))
}
