//! The bus as Python sees it: topics and loans.

use std::sync::Arc;

use boot_orchestrator::system::System;
use component::Code;
use ipc::{Bus, Policy, ReceiveError, Subscription as Inner, Topic as InnerTopic};
use parking_lot::Mutex;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyTuple};

use crate::door::enter::{POLL, enter, guard, wait_polling};
use crate::door::error::Fields;
use crate::door::span::limit;
use crate::door::values::{decode, encode};
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
        self.system.bus().ok_or_else(|| {
            Fields::new(Code::STOPPED, "the bus was stopped with its system").raise(py)
        })
    }
}

#[pymethods]
impl IpcBus {
    /// The topic of that name; it exists by being asked for.
    fn topic(&self, py: Python<'_>, name: &str) -> PyResult<Topic> {
        Ok(Topic { topic: self.bus(py)?.topic(name) })
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
    topic: InnerTopic,
}

#[pymethods]
impl Topic {
    #[getter]
    fn name(&self) -> &str {
        self.topic.name()
    }

    /// Publishes a value to every subscriber; says how many values were dropped for want of room.
    fn publish(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        let payload = encode(value)?;
        enter(py, || self.topic.publish(&payload))
    }

    /// Subscribes: an iterator, sync and async.
    #[pyo3(signature = (*, policy = "drop_oldest", capacity = CAPACITY))]
    fn subscribe(&self, py: Python<'_>, policy: &str, capacity: usize) -> PyResult<Subscription> {
        let policy = match policy {
            "block" => Policy::Block,
            "drop_oldest" => Policy::DropOldest,
            "latest" => Policy::Latest,
            "reject" => Policy::Reject,
            other => {
                return Err(Fields::new(
                    Code::INVALID_VALUE,
                    format!("`{other}` is no policy; block, drop_oldest, latest and reject are"),
                )
                .raise(py));
            }
        };
        Ok(Subscription {
            inner: Mutex::new(Some(Arc::new(self.topic.subscribe(policy, capacity)))),
        })
    }
}

/// A place where the values of a topic wait for one reader.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Subscription {
    inner: Mutex<Option<Arc<Inner>>>,
}

impl Subscription {
    fn wait(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let received = wait_polling(py, |span| {
            let inner = self.inner.lock().clone();
            let Some(inner) = inner else { return Some(None) };
            match inner.recv(Some(span)) {
                Ok(payload) => Some(Some(payload)),
                Err(ReceiveError::TimedOut) => None,
                Err(ReceiveError::Closed) => Some(None),
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
        self.wait(py)
    }

    /// The next value, or `default` when none came in `timeout` seconds.
    #[pyo3(signature = (timeout = None, default = None))]
    fn get(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Some(mut left) = limit(py, "timeout", timeout)? else { return self.wait(py) };
        let received = wait_polling(py, |_| {
            let inner = self.inner.lock().clone();
            let Some(inner) = inner else { return Some(None) };
            let span = left.min(POLL);
            left = left.saturating_sub(span);
            match inner.recv(Some(span)) {
                Ok(payload) => Some(Some(payload)),
                Err(ReceiveError::TimedOut) if !left.is_zero() => None,
                Err(_) => Some(None),
            }
        })?;
        match received {
            Some(payload) => decode(py, &payload).map(Some),
            None => Ok(default),
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
