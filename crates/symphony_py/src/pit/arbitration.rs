//! `pit.arbitration`.

use std::sync::Arc;

use ::pit::arbitration_engine::{
    ArbitrationEngine as Engine, Grant as Held, Outcome, Request, Strategy,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::member::MemberRef;
use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::raise;
use crate::door::span::limit;

/// Who gets a scarce thing.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ArbitrationEngine {
    member: MemberRef<Engine>,
}

impl ArbitrationEngine {
    pub(super) const fn new(member: MemberRef<Engine>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn engine(&self, py: Python<'_>) -> PyResult<Arc<Engine>> {
        self.member.get(py)
    }
}

#[pymethods]
impl ArbitrationEngine {
    #[pyo3(signature = (resource, capacity, *, strategy = "priority"))]
    fn define(
        &self,
        py: Python<'_>,
        resource: &str,
        capacity: u64,
        strategy: &str,
    ) -> PyResult<()> {
        let engine = self.engine(py)?;
        guard(py)?;
        let strategy = Strategy::parse(strategy).map_err(|error| raise(py, &error))?;
        engine.define(resource, capacity, strategy).map_err(|error| raise(py, &error))
    }

    #[pyo3(
        signature = (resource, owner, amount = 1, *, priority = 0, timeout = Some(0.0)),
        text_signature = "($self, resource, owner, amount=1, *, priority=0, timeout=0.0)"
    )]
    fn request(
        &self,
        py: Python<'_>,
        resource: &str,
        owner: &str,
        amount: u64,
        priority: i64,
        timeout: Option<f64>,
    ) -> PyResult<Grant> {
        let engine = self.engine(py)?;
        let timeout = limit(py, "timeout", timeout)?;
        let request = Request { resource, owner, amount, priority, timeout };
        let grant = wait_asking(py, |asks| engine.request_polling(request, asks))?
            .map_err(|error| raise(py, &error))?;
        Ok(Grant { grant })
    }

    /// The last decisions, oldest first.
    fn audit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let engine = self.engine(py)?;
        let entries = enter(py, || engine.audit())?;
        let list = PyList::empty(py);
        for entry in entries {
            let fields = PyDict::new(py);
            fields.set_item("sequence", entry.sequence)?;
            fields.set_item("at", entry.at.as_secs_f64())?;
            fields.set_item("resource", &*entry.resource)?;
            fields.set_item("owner", &*entry.owner)?;
            fields.set_item("amount", entry.amount)?;
            fields.set_item("priority", entry.priority)?;
            fields.set_item("decision", entry.decision.as_str())?;
            fields.set_item("reason", entry.reason.to_string())?;
            fields.set_item("waited", entry.waited.as_secs_f64())?;
            list.append(fields)?;
        }
        Ok(list)
    }
}

/// The answer to a request: a context manager that gives back what was granted.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Grant {
    grant: Held,
}

#[pymethods]
impl Grant {
    /// `granted`, `denied` or `deferred`.
    #[getter]
    fn outcome(&self) -> &'static str {
        self.grant.outcome().as_str()
    }

    /// Why.
    #[getter]
    fn reason(&self) -> String {
        self.grant.reason().to_string()
    }

    /// Gives it back; may be called twice.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.grant.release())
    }

    fn __enter__(this: &Bound<'_, Self>) -> PyResult<Py<Self>> {
        let grant = this.get();
        if grant.grant.outcome() != Outcome::Granted {
            return Err(PyRuntimeError::new_err(format!(
                "{}: {}",
                grant.outcome(),
                grant.reason()
            )));
        }
        Ok(this.clone().unbind())
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release(py)
    }
}
