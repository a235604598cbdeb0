//! From a member's component name to its Python handle, and what every handle holds of its member.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use boot_orchestrator::system::System;
use component::Code;
use pyo3::prelude::*;
use pyo3::{PyClass, PyClassInitializer};

use crate::door::error::Fields;

use super::{ArbitrationEngine, ArtifactStore, DagTracker, PoolManager, StaleManager};

/// A member as its handle holds it: weakly, so that whoever keeps the handle keeps no member.
///
/// A call holds the member itself for as long as it lasts. The members' own counts of references are therefore the
/// counts of their calls, by which a swap knows that the last one has ended; nothing else is counted on the way.
pub(super) struct MemberRef<T> {
    member: Weak<T>,
    name: &'static str,
    closed: Arc<AtomicBool>,
}

impl<T> MemberRef<T> {
    /// The member, as long as it is in its place.
    #[inline]
    pub(super) fn get(&self, py: Python<'_>) -> PyResult<Arc<T>> {
        // A lease or an open artifact of a user's may outlive the system, and with it the member.
        match self.member.upgrade() {
            Some(member) if !self.closed.load(Ordering::Relaxed) => Ok(member),
            _ => Err(self.gone(py)),
        }
    }

    #[cold]
    fn gone(&self, py: Python<'_>) -> PyErr {
        let closed = self.closed.load(Ordering::Relaxed);
        let why = if closed { "with its system" } else { "when another took its place" };
        let mut fields = Fields::new(Code::STOPPED, format!("`{}` was stopped {why}", self.name));
        if !closed {
            let hint = "use the object that `system[…]` gives now, or keep a `Handle`";
            fields.hints.push(hint.to_owned());
        }
        fields.raise(py)
    }
}

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
    let Some(member) = member else { return Ok(None) };
    let reference = MemberRef { member: Arc::downgrade(&member), name, closed: system.closed() };
    Ok(Some(Py::new(py, make(reference))?.into_any()))
}
