//! `pit.arbitration`.

use std::collections::BTreeMap;

use ::pit::arbitration_engine::{
    ArbitrationEngine as Engine, Grant as Held, Outcome, Request, Strategy,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::member_ref::{Calling, MemberRef};
use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::raise;
use crate::door::span::limit;

/// Who gets a scarce thing.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ArbitrationEngine {
    member: MemberRef<Engine>,
}

impl ArbitrationEngine {
    pub(super) fn new(member: MemberRef<Engine>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn engine(&self, py: Python<'_>) -> PyResult<Calling<'_, Engine>> {
        self.member.get(py)
    }
}

#[pymethods]
impl ArbitrationEngine {
    /// Adds a resource.
    ///
    /// Args:
    ///     resource: Its name.
    ///     capacity: How much there is, at least 1.
    ///     strategy: Who is served first of those who wait. `priority`: the largest, and each grant to another raises who
    ///         waits; `fair`: the owner that has had least for its weight (start-time fair queueing); `queue`: who asked first.
    ///     weights: With `fair`: the weights of owners, at least 1; those that are not named have 1.
    ///
    /// Raises:
    ///     InvalidValueError: There is one of that name, the capacity or a weight is 0, or there is no such strategy.
    #[pyo3(signature = (resource, capacity, *, strategy = "priority", weights = None))]
    fn define(
        &self,
        py: Python<'_>,
        resource: &str,
        capacity: u64,
        strategy: &str,
        weights: Option<BTreeMap<String, u32>>,
    ) -> PyResult<()> {
        let engine = self.engine(py)?;
        guard(py)?;
        let strategy = Strategy::parse(strategy);
        let strategy = match weights {
            Some(weights) => strategy.and_then(|strategy| strategy.weighted(weights)),
            None => strategy,
        };
        let strategy = strategy.map_err(|error| raise(py, &error))?;
        engine.define(resource, capacity, strategy).map_err(|error| raise(py, &error))
    }

    /// Asks for an amount of a resource. Being denied or deferred is an answer, not an error.
    ///
    /// Args:
    ///     resource: Of what.
    ///     owner: For whom.
    ///     amount: How much, at least 1. More than there is, is denied.
    ///     priority: Larger is served first, where the strategy looks at it.
    ///     timeout: Seconds to wait; 0 decides at once, `None` waits for ever.
    ///     lease: Seconds after which it is taken back unless it is renewed; `None`: it is held until it is released.
    ///
    /// Returns:
    ///     The answer, with its reason. One that would wait for ever, as threads hold what each other wants, is deferred
    ///     at once, and the reason is the ring.
    ///
    /// Raises:
    ///     NotFoundError: There is no such resource.
    ///     InvalidValueError: The amount is 0, or a time is no number of seconds.
    ///     StoppedError: The system was shut down meanwhile.
    #[pyo3(
        signature = (resource, owner, amount = 1, *, priority = 0, timeout = Some(0.0), lease = None),
        text_signature = "($self, resource, owner, amount=1, *, priority=0, timeout=0.0, lease=None)"
    )]
    fn request(
        &self,
        py: Python<'_>,
        resource: &str,
        owner: &str,
        amount: u64,
        priority: i64,
        timeout: Option<f64>,
        lease: Option<f64>,
    ) -> PyResult<Grant> {
        let engine = self.engine(py)?;
        let timeout = limit(py, "timeout", timeout)?;
        let lease = limit(py, "lease", lease)?;
        let thread = Some(std::thread::current().id());
        let request = Request { resource, owner, amount, priority, timeout, lease, thread };
        let grant = wait_asking(py, |asks| engine.request_polling(request, asks))?
            .map_err(|error| raise(py, &error))?;
        Ok(Grant { grant })
    }

    /// Gives back all that an owner holds, whoever has the grants.
    ///
    /// Returns:
    ///     How many grants that were.
    fn release(&self, py: Python<'_>, owner: &str) -> PyResult<usize> {
        let engine = self.engine(py)?;
        enter(py, || engine.release_owner(owner))
    }

    /// Where each resource stands, by name, as `symphony.records.ResourceStatus` tells it.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = self.engine(py)?;
        let resources = enter(py, || engine.status())?;
        let status = PyDict::new(py);
        for resource in resources {
            let fields = PyDict::new(py);
            fields.set_item("strategy", resource.strategy)?;
            fields.set_item("capacity", resource.capacity)?;
            fields.set_item("used", resource.used)?;
            fields.set_item("waiting", resource.waiting)?;
            let holders = PyDict::new(py);
            for (owner, amount) in resource.holders {
                holders.set_item(&*owner, amount)?;
            }
            fields.set_item("holders", holders)?;
            status.set_item(&*resource.resource, fields)?;
        }
        Ok(status)
    }

    /// The last 10,000 decisions, oldest first, each with its reason, as `symphony.records.AuditEntry` tells them.
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

    /// Why, as a sentence.
    #[getter]
    fn reason(&self) -> String {
        self.grant.reason().to_string()
    }

    /// The resource that was asked for.
    #[getter]
    fn resource(&self) -> &str {
        self.grant.resource()
    }

    /// For whom it was asked.
    #[getter]
    fn owner(&self) -> &str {
        self.grant.owner()
    }

    /// How much was asked for.
    #[getter]
    fn amount(&self) -> u64 {
        self.grant.amount()
    }

    /// Whether it is held now: granted, and neither released nor taken back at the end of its lease.
    #[getter]
    fn held(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || self.grant.is_held())
    }

    /// Begins the lease anew, from now on.
    ///
    /// Args:
    ///     lease: Its seconds from now on; `None`: as many as before.
    ///
    /// Raises:
    ///     InvalidValueError: It is not held any more, or that is no number of seconds.
    #[pyo3(signature = (lease = None))]
    fn renew(&self, py: Python<'_>, lease: Option<f64>) -> PyResult<()> {
        let lease = limit(py, "lease", lease)?;
        enter(py, || self.grant.renew(lease))?.map_err(|error| raise(py, &error))
    }

    /// Gives it back; may be called twice.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.grant.release())
    }

    /// The grant itself, where it was granted.
    ///
    /// Raises:
    ///     RuntimeError: It was denied or deferred; the text has the reason.
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

    /// Gives it back.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release(py)
    }
}
