//! `pit.pool`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ::pit::PitError;
use ::pit::pool_manager::{
    Check, Factory, Lease as Held, PoolManager as Manager, PoolOptions, Upkeep, Worker,
};
use component::{Code, Failure, Step};
use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::member_ref::{Calling, MemberRef};
use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::{Raised, failure_of, raise};
use crate::door::span::{limit, span};

/// Models and workers on lease.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PoolManager {
    member: MemberRef<Manager>,
}

impl PoolManager {
    pub(super) fn new(member: MemberRef<Manager>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn manager(&self, py: Python<'_>) -> PyResult<Calling<'_, Manager>> {
        self.member.get(py)
    }
}

/// A pool's error; a factory or check that raised gives its own exception back.
fn raise_pool(py: Python<'_>, error: &PitError) -> PyErr {
    if let PitError::Factory { failure, .. } | PitError::PoolCheck { failure, .. } = error
        && let Some(raised) =
            failure.payload.as_ref().and_then(|payload| payload.downcast_ref::<Raised>())
    {
        return PyErr::from_value(raised.0.clone_ref(py).into_bound(py));
    }
    raise(py, error)
}

/// Calls code of a user for the core, which waits detached.
fn attached<T>(step: Step, code: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Failure> {
    Python::try_attach(|py| {
        // The value taken out keeps its traceback.
        code(py).map_err(|error| failure_of(step, error.into_value(py).bind(py).as_any()))
    })
    .unwrap_or_else(|| Err(Failure::new(Code::STOPPED, "the interpreter is ending")))
}

/// What asks a worker whether it is healthy. An exception of the check's says that it is not, and is told; what is none of
/// `Exception`, as an interruption, is the caller's.
fn asking(check: Py<PyAny>) -> Check {
    Arc::new(move |worker: &Worker| {
        attached(Step::Health, |py| {
            let check = check.bind(py);
            let Some(worker) = worker.downcast_ref::<Py<PyAny>>() else { return Ok(true) };
            match check.call1((worker,)) {
                Ok(answer) => match answer.cast::<PyBool>() {
                    Ok(healthy) => Ok(healthy.is_true()),
                    Err(_) => Err(PyTypeError::new_err(format!(
                        "the check of a pool answers True or False, not {}",
                        answer.get_type().qualname()?
                    ))),
                },
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    error.write_unraisable(py, Some(check));
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        })
    })
}

#[pymethods]
impl PoolManager {
    /// Adds a pool; no worker is made yet.
    ///
    /// Args:
    ///     name: Its name.
    ///     factory: Makes a worker, on the thread that leases it. One that raises costs that lease alone.
    ///     size: How many workers may exist at once, at least 1.
    ///     memory: What one worker takes of the memory cap, in bytes.
    ///     start_timeout: Seconds that the factory may take until whoever waits may have its place. A factory that hangs
    ///         so costs its own lease and not the pool; one that comes back later is used if there is place for it.
    ///     check: Asked of an idle worker before it is lent: True, or False for one that must not be used again. What it
    ///         raises means the same and goes to `sys.unraisablehook`. Also asked in the background.
    ///     check_every: Seconds for which a worker that was given back or passed its check is lent unasked.
    ///     prewarm: Workers that are missing by what was lately leased at once are made in the background.
    ///
    /// Raises:
    ///     InvalidValueError: There is one of that name, the size is 0, or a time is no number of seconds.
    ///     OverloadedError: One worker alone is above the memory cap.
    #[pyo3(signature = (
        name, factory, *, size, memory = 0, start_timeout = 10.0, check = None, check_every = 0.0, prewarm = false
    ))]
    fn register(
        this: &Bound<'_, Self>,
        name: String,
        factory: Py<PyAny>,
        size: usize,
        memory: u64,
        start_timeout: f64,
        check: Option<Py<PyAny>>,
        check_every: f64,
        prewarm: bool,
    ) -> PyResult<()> {
        let py = this.py();
        let manager = this.get().manager(py)?;
        let make: Factory = Arc::new(move || {
            attached(Step::Start, |py| factory.call0(py).map(|worker| Box::new(worker) as Worker))
        });
        let is_kept = check.is_some() || prewarm;
        let options = PoolOptions {
            size,
            memory,
            start_timeout: span(py, "start_timeout", start_timeout)?,
            check: check.map(asking),
            check_every: span(py, "check_every", check_every)?,
            prewarm,
        };
        // Before the pool is there: where no thread starts, nothing has happened.
        if is_kept && let Some(upkeep) = manager.keep() {
            let kept =
                PoolUpkeep { upkeep: Arc::clone(&upkeep), manager: Arc::downgrade(&manager) };
            let keep = Bound::new(py, kept)?.into_any().getattr("keep")?;
            start_thread(py, &keep, PyTuple::empty(py)).inspect_err(|_| upkeep.leave())?;
        }
        enter(py, || manager.register(&name, make, options))?.map_err(|error| raise(py, &error))
    }

    /// The right to one worker: `with pool.lease("model") as worker:`. The wait is in entering it.
    ///
    /// Args:
    ///     name: The pool.
    ///     timeout: Seconds to wait for a free worker; `None`: for ever.
    ///
    /// Raises:
    ///     InvalidValueError: That is no number of seconds.
    #[pyo3(signature = (name, timeout = None))]
    fn lease(&self, py: Python<'_>, name: String, timeout: Option<f64>) -> PyResult<Lease> {
        let manager = self.manager(py)?;
        let timeout = limit(py, "timeout", timeout)?;
        let manager = Arc::clone(&manager);
        Ok(Lease { manager, name, timeout, stage: Mutex::new(Stage::Fresh) })
    }

    /// Makes one worker on a daemon thread, where there is room for it.
    ///
    /// What the factory raises goes to `sys.unraisablehook`.
    ///
    /// Raises:
    ///     NotFoundError: There is no such pool.
    fn prewarm(this: &Bound<'_, Self>, name: String) -> PyResult<()> {
        let py = this.py();
        guard(py)?;
        // That there is no such pool is told here, not on a thread that nobody listens to.
        let manager = this.get().manager(py)?;
        manager.stats(&name).map_err(|error| raise(py, &error))?;
        start_thread(py, &this.getattr("_prewarm_now")?, (name,).into_pyobject(py)?)
    }

    /// Sets what all workers may take together, in bytes; `None`: no limit, as at the start.
    ///
    /// Idle workers above it are evicted, the one that was used longest ago first. Leased ones stay, and nothing is made
    /// until they are fewer.
    ///
    /// Raises:
    ///     OverloadedError: One worker of some pool is alone above it; nothing has changed.
    fn limit(&self, py: Python<'_>, memory: Option<u64>) -> PyResult<()> {
        let manager = self.manager(py)?;
        enter(py, || manager.limit(memory))?.map_err(|error| raise(py, &error))
    }

    fn _prewarm_now(&self, py: Python<'_>, name: String) -> PyResult<bool> {
        let manager = self.manager(py)?;
        enter(py, || manager.prewarm(&name))?.map_err(|error| raise_pool(py, &error))
    }

    /// The figures of a pool, as `symphony.records.PoolStats` tells them.
    ///
    /// Raises:
    ///     NotFoundError: There is no such pool.
    fn stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let manager = self.manager(py)?;
        let stats = enter(py, || manager.stats(name))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("size", stats.size)?;
        entry.set_item("idle", stats.idle)?;
        entry.set_item("leased", stats.leased)?;
        entry.set_item("starting", stats.starting)?;
        entry.set_item("waiting", stats.waiting)?;
        entry.set_item("hits", stats.hits)?;
        entry.set_item("misses", stats.misses)?;
        entry.set_item("created", stats.created)?;
        entry.set_item("failures", stats.failures)?;
        entry.set_item("evicted", stats.evicted)?;
        entry.set_item("broken", stats.broken)?;
        entry.set_item("unhealthy", stats.unhealthy)?;
        entry.set_item("overdue", stats.overdue)?;
        entry.set_item("timeouts", stats.timeouts)?;
        entry.set_item("memory", stats.memory)?;
        entry.set_item("demand", stats.demand)?;
        Ok(entry)
    }
}

/// Runs a bound method on a daemon thread; what it raises goes to `sys.unraisablehook`.
fn start_thread(
    py: Python<'_>,
    method: &Bound<'_, PyAny>,
    arguments: Bound<'_, PyTuple>,
) -> PyResult<()> {
    py.import("_thread")?.getattr("start_new_thread")?.call1((method, arguments)).map(drop)
}

/// What the thread that keeps the pools has: neither the manager nor its handle, which a swap would wait for.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PoolUpkeep {
    upkeep: Arc<Upkeep>,
    manager: Weak<Manager>,
}

#[pymethods]
impl PoolUpkeep {
    /// Has the pools that are due tended, each on a thread of its own, until the manager is closed.
    fn keep(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        let own = this.get();
        while enter(py, || own.upkeep.wait())? {
            let Some(manager) = own.manager.upgrade() else { return Ok(()) };
            for name in enter(py, || manager.due())? {
                let arguments = (name.to_string(),).into_pyobject(py)?;
                if start_thread(py, &this.getattr("tend")?, arguments).is_err() {
                    // A shortage of threads ends.
                    manager.put_off(&name);
                }
            }
        }
        Ok(())
    }

    /// Asks the idle workers of a pool, and makes those that are missing.
    fn tend(&self, py: Python<'_>, name: String) -> PyResult<()> {
        let Some(manager) = self.manager.upgrade() else { return Ok(()) };
        match enter(py, || manager.tend(&name))? {
            Err(PitError::Stopped { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(raise_pool(py, &error)),
        }
    }
}

/// The right to use one worker while a `with` block lasts; `with pool.lease(name) as worker`.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Lease {
    manager: Arc<Manager>,
    name: String,
    timeout: Option<Duration>,
    stage: Mutex<Stage>,
}

/// How far a lease has come. It is one right to one worker, so it is entered once.
enum Stage {
    Fresh,
    Waiting,
    Held(Held),
    Over,
}

impl Lease {
    /// From fresh to waiting; nobody else can enter it meanwhile.
    fn claim(&self, py: Python<'_>) -> PyResult<()> {
        let mut stage = self.stage.lock();
        let why = match *stage {
            Stage::Fresh => {
                *stage = Stage::Waiting;
                return Ok(());
            }
            Stage::Waiting => "being entered by another thread",
            Stage::Held(_) => "entered already, each `with` needs a lease of its own",
            Stage::Over => "over, each `with` needs a lease of its own",
        };
        drop(stage);
        let (doing, kind) = ("enter", "the lease of pool");
        let error =
            PitError::WrongState { doing, kind, name: self.name.clone(), state: why.to_owned() };
        Err(raise(py, &error))
    }

    fn set(&self, stage: Stage) {
        let before = std::mem::replace(&mut *self.stage.lock(), stage);
        drop(before);
    }
}

#[pymethods]
impl Lease {
    /// Waits for a worker, or makes one. A lease is entered once; one that was refused or timed out may be tried again.
    ///
    /// Raises:
    ///     NotFoundError: There is no such pool.
    ///     CallTimeoutError: None was free in time.
    ///     InvalidValueError: It was entered before.
    ///     StoppedError: The system was shut down meanwhile.
    ///     Exception: What the factory raised.
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.claim(py)?;
        let entered =
            wait_asking(py, |asks| self.manager.lease_polling(&self.name, self.timeout, asks))
                .and_then(|held| held.map_err(|error| raise_pool(py, &error)))
                .and_then(|held| {
                    let worker = held.get::<Py<PyAny>>().map(|worker| worker.clone_ref(py));
                    let worker = worker.ok_or_else(|| {
                        PyRuntimeError::new_err(
                            "the pool lends something that is not a Python object",
                        )
                    })?;
                    Ok((worker, held))
                });
        match entered {
            Ok((worker, held)) => {
                self.set(Stage::Held(held));
                Ok(worker)
            }
            Err(error) => {
                self.set(Stage::Fresh);
                Err(error)
            }
        }
    }

    /// Gives the worker back.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        let held = {
            let mut stage = self.stage.lock();
            if !matches!(*stage, Stage::Held(_)) {
                return;
            }
            std::mem::replace(&mut *stage, Stage::Over)
        };
        py.detach(|| drop(held));
    }

    /// The worker is broken: it is dropped when the lease ends, not lent again.
    fn mark_broken(&self) {
        if let Stage::Held(held) = &mut *self.stage.lock() {
            held.mark_broken();
        }
    }
}
