//! `pit.pool`.

use std::sync::Arc;
use std::time::Duration;

use ::pit::pool_manager::{Factory, Lease as Held, PoolManager as Manager, PoolOptions, Worker};
use component::{Code, Failure, Step};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::member::MemberRef;
use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::{Raised, failure_of, raise};
use crate::door::span::limit;

/// Models and workers on lease.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PoolManager {
    member: MemberRef<Manager>,
}

impl PoolManager {
    pub(super) const fn new(member: MemberRef<Manager>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn manager(&self, py: Python<'_>) -> PyResult<Arc<Manager>> {
        self.member.get(py)
    }
}

/// A pool's error; a factory that raised gives its own exception back.
fn raise_pool(py: Python<'_>, error: &::pit::PitError) -> PyErr {
    if let ::pit::PitError::Factory { failure, .. } = error
        && let Some(raised) =
            failure.payload.as_ref().and_then(|payload| payload.downcast_ref::<Raised>())
    {
        return PyErr::from_value(raised.0.clone_ref(py).into_bound(py));
    }
    raise(py, error)
}

#[pymethods]
impl PoolManager {
    #[pyo3(signature = (name, factory, *, size, memory = 0))]
    fn register(
        &self,
        py: Python<'_>,
        name: String,
        factory: Py<PyAny>,
        size: usize,
        memory: u64,
    ) -> PyResult<()> {
        let manager = self.manager(py)?;
        let make: Factory = Arc::new(move || {
            Python::try_attach(|py| match factory.call0(py) {
                Ok(worker) => Ok(Box::new(worker) as Worker),
                Err(error) => {
                    // The value taken out keeps its traceback.
                    Err(failure_of(Step::Start, error.into_value(py).bind(py).as_any()))
                }
            })
            .unwrap_or_else(|| Err(Failure::new(Code::STOPPED, "the interpreter is ending")))
        });
        enter(py, || manager.register(&name, make, PoolOptions { size, memory }))?
            .map_err(|error| raise(py, &error))
    }

    #[pyo3(signature = (name, timeout = None))]
    fn lease(&self, py: Python<'_>, name: String, timeout: Option<f64>) -> PyResult<Lease> {
        let manager = self.manager(py)?;
        let timeout = limit(py, "timeout", timeout)?;
        Ok(Lease { manager, name, timeout, held: Mutex::new(None) })
    }

    /// Makes a worker on a daemon thread, where there is room for it.
    fn prewarm(this: &Bound<'_, Self>, name: String) -> PyResult<()> {
        let py = this.py();
        guard(py)?;
        // That there is no such pool is told here, not on a thread that nobody listens to.
        let manager = this.get().manager(py)?;
        manager.stats(&name).map_err(|error| raise(py, &error))?;
        let start = py.import("_thread")?.getattr("start_new_thread")?;
        start.call1((this.getattr("_prewarm_now")?, (name,)))?;
        Ok(())
    }

    fn _prewarm_now(&self, py: Python<'_>, name: String) -> PyResult<bool> {
        let manager = self.manager(py)?;
        enter(py, || manager.prewarm(&name))?.map_err(|error| raise_pool(py, &error))
    }

    fn stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let manager = self.manager(py)?;
        let stats = enter(py, || manager.stats(name))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("size", stats.size)?;
        entry.set_item("idle", stats.idle)?;
        entry.set_item("leased", stats.leased)?;
        entry.set_item("waiting", stats.waiting)?;
        entry.set_item("hits", stats.hits)?;
        entry.set_item("misses", stats.misses)?;
        entry.set_item("created", stats.created)?;
        entry.set_item("failures", stats.failures)?;
        entry.set_item("evicted", stats.evicted)?;
        entry.set_item("memory", stats.memory)?;
        Ok(entry)
    }
}

/// The right to use one worker: `with pool.lease(name) as worker`.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Lease {
    manager: Arc<Manager>,
    name: String,
    timeout: Option<Duration>,
    held: Mutex<Option<Held>>,
}

#[pymethods]
impl Lease {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let held =
            wait_asking(py, |asks| self.manager.lease_polling(&self.name, self.timeout, asks))?
                .map_err(|error| raise_pool(py, &error))?;
        let worker = held.get::<Py<PyAny>>().map(|worker| worker.clone_ref(py));
        let worker = worker.ok_or_else(|| {
            PyRuntimeError::new_err("the pool lends something that is not a Python object")
        })?;
        *self.held.lock() = Some(held);
        Ok(worker)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        let held = self.held.lock().take();
        py.detach(|| drop(held));
    }

    /// The worker is broken: it is dropped when the lease ends, not lent again.
    fn mark_broken(&self) {
        if let Some(held) = self.held.lock().as_mut() {
            held.mark_broken();
        }
    }
}
