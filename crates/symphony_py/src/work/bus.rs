//! The bus as Python sees it: topics and loans.

use std::sync::Arc;
use std::time::Instant;

use boot_orchestrator::system::System;
use component::Code;
use ipc::{Bus, Policy, ReceiveError, Subscription as Inner, Topic as InnerTopic};
use parking_lot::Mutex;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyTuple};

use crate::door::enter::{guard, wait_asking, wait_polling};
use crate::door::error::Fields;
use crate::door::span::{deadline, limit};
use crate::door::values::{decode, encode};
use crate::work::call_result::stopped;
use crate::work::completions::Completions;

/// How many values wait for a subscriber that names no number.
const CAPACITY: usize = 256;

/// The bus.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct IpcBus {
    system: Arc<System>,
}

impl IpcBus {
    pub(crate) fn of(system: &Arc<System>) -> Option<Self> {
        system.bus().map(|_| Self { system: Arc::clone(system) })
    }

    /// The bus itself, as long as the system is up.
    fn bus(&self, py: Python<'_>) -> PyResult<Bus> {
        guard(py)?;
        self.system.bus().ok_or_else(|| stopped("the bus").raise(py))
    }
}

#[pymethods]
impl IpcBus {
    /// The topic of that name; it exists by being asked for.
    fn topic(&self, py: Python<'_>, name: &str) -> PyResult<Topic> {
        Ok(Topic { topic: self.bus(py)?.topic(name), system: Arc::clone(&self.system) })
    }

    /// A writable buffer of that length.
    fn loan<'py>(
        &self,
        py: Python<'py>,
        length: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        self.bus(py)?;
        let length: u32 = length.extract().map_err(|error: PyErr| {
            if !error.is_instance_of::<PyOverflowError>(py) {
                return error;
            }
            let text = "`loan` takes a number of bytes from 0 up to 4 GiB, which is the longest value that can be sent";
            Fields::new(Code::INVALID_VALUE, format!("{text}, not {length}")).raise(py)
        })?;
        // Python's own memory: where there is not enough, this is a `MemoryError` and no abort.
        PyByteArray::new_with(py, length as usize, |_zeros| Ok(()))
    }
}

/// A topic of the bus.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Topic {
    system: Arc<System>,
    topic: InnerTopic,
}

/// Raises when the bus was stopped with its system.
fn refuse_stopped(py: Python<'_>, system: &System) -> PyResult<()> {
    guard(py)?;
    system.bus().map(|_| ()).ok_or_else(|| stopped("the bus").raise(py))
}

#[pymethods]
impl Topic {
    #[getter]
    fn name(&self) -> &str {
        self.topic.name()
    }

    /// Publishes a value to every subscriber; says how many values were dropped for want of room.
    fn publish(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        refuse_stopped(py, &self.system)?;
        let payload = encode(value)?;
        wait_asking(py, |asks| match asks {
            Some(asks) => self.topic.publish_polling(&payload, asks),
            None => self.topic.publish(&payload),
        })
    }

    /// Subscribes: an iterator, sync and async.
    #[pyo3(signature = (*, policy = "drop_oldest", capacity = CAPACITY))]
    fn subscribe(&self, py: Python<'_>, policy: &str, capacity: usize) -> PyResult<Subscription> {
        refuse_stopped(py, &self.system)?;
        let policy = match policy {
            "block" => Policy::Block,
            "drop_oldest" => Policy::DropOldest,
            "latest" => Policy::Latest,
            "reject" => Policy::Reject,
            other => {
                return Err(Fields::new(
                    Code::INVALID_VALUE,
                    format!("`{other}` is not a policy; the policies are block, drop_oldest, latest and reject"),
                )
                .raise(py));
            }
        };
        Ok(Subscription {
            system: Arc::clone(&self.system),
            inner: Mutex::new(Some(Arc::new(self.topic.subscribe(policy, capacity)))),
        })
    }
}

/// A place where the values of a topic wait for one reader.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Subscription {
    system: Arc<System>,
    inner: Mutex<Option<Arc<Inner>>>,
}

impl Subscription {
    /// The next value; none when it is closed, or when none came by the deadline. A wait that is under way at the
    /// shutdown ends as a closed one; one that begins later is refused, once what still waited here was taken.
    fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<Option<Py<PyAny>>> {
        guard(py)?;
        let inner = self.inner.lock().clone();
        let waiting = match &inner {
            Some(inner) => inner.try_recv().ok(),
            None => return Ok(None),
        };
        if let Some(payload) = waiting {
            return decode(py, &payload).map(Some);
        }
        // Closed by another thread, it has to end here soon: nothing of it is held while it waits.
        drop(inner);
        refuse_stopped(py, &self.system)?;
        let received = wait_polling(py, |span| {
            let inner = self.inner.lock().clone();
            let Some(inner) = inner else { return Some(None) };
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match inner.recv(left.into_iter().chain([span]).min()) {
                Ok(payload) => Some(Some(payload)),
                Err(ReceiveError::TimedOut) if left.is_none_or(|left| left > span) => None,
                Err(_) => Some(None),
            }
        })?;
        received.map(|payload| decode(py, &payload)).transpose()
    }
}

#[pymethods]
impl Subscription {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.wait(py, None)
    }

    /// The next value, or `default` when none came in `timeout` seconds.
    #[pyo3(signature = (timeout = None, default = None))]
    fn get(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        match limit(py, "timeout", timeout)? {
            None => self.wait(py, None),
            limit => Ok(self.wait(py, deadline(limit))?.or(default)),
        }
    }

    /// How many values were dropped here so far.
    #[getter]
    fn dropped(&self) -> u64 {
        self.inner.lock().as_ref().map_or(0, |inner| inner.dropped())
    }

    /// Unsubscribes; a loop over it ends.
    fn close(&self, py: Python<'_>) {
        let inner = self.inner.lock().take();
        // Whoever waits for a value hears of the end now.
        py.detach(|| inner.iter().for_each(|inner| inner.close()));
    }

    fn __aiter__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        this.py().import("symphony._work.async_calls")?.getattr("AsyncValues")?.call1((this,))
    }

    /// The next value as a tuple of one, an empty tuple at the end, `None` where it has to be waited for;
    /// `symphony/_work.async_calls.py` calls this and the two below.
    fn _take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        guard(py)?;
        let Some(inner) = self.inner.lock().clone() else { return Ok(Some(PyTuple::empty(py))) };
        match inner.try_recv() {
            Ok(payload) => PyTuple::new(py, [decode(py, &payload)?]).map(Some),
            Err(ReceiveError::Closed) => Ok(Some(PyTuple::empty(py))),
            Err(ReceiveError::TimedOut) => Ok(None),
        }
    }

    /// Has the loop told once that it is worth looking again. False: it is now.
    fn _watch(&self, completions: &Completions, token: u64) -> bool {
        let inner = self.inner.lock().clone();
        inner.is_some_and(|inner| inner.watch(token, completions.hook(token)))
    }

    /// The loop waits no more.
    fn _unwatch(&self, token: u64) {
        if let Some(inner) = &*self.inner.lock() {
            inner.unwatch(token);
        }
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }
}
