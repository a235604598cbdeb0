//! What an event loop waits for: one descriptor that it watches, and behind it results and the word that it is worth
//! looking again.
//!
//! Whoever reads a lane puts a result here and writes the descriptor; only the loop's own thread ever attaches. Called by
//! `symphony/_work/async_calls.py`. Invariant: what keeps a hook of a loop does not keep the loop's descriptor open.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Weak};

use ipc::Hook;
use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

/// Makes what arrived into a value, or an exception, once the loop's own thread takes it.
pub(crate) type Arrival = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What arrived and was not taken yet.
struct Arrivals {
    descriptor: OwnedFd,
    waiting: Mutex<Vec<(u64, Arrival)>>,
}

impl Arrivals {
    /// Puts a result; called on whichever thread has it.
    fn put(&self, token: u64, arrival: Arrival) {
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.push((token, arrival));
            waiting.len() == 1
        };
        if first {
            // A counter that is full already wakes the loop; a closed loop asks for nothing any more.
            let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }
}

/// The results for one event loop.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Completions {
    arrivals: Arc<Arrivals>,
}

/// The way of one result to the loop that waits for it.
pub(crate) struct Addressee {
    arrivals: Weak<Arrivals>,
    token: u64,
}

impl Addressee {
    /// Puts the result; a loop that is gone waits for nothing.
    pub(crate) fn put(&self, arrival: Arrival) {
        if let Some(arrivals) = self.arrivals.upgrade() {
            arrivals.put(self.token, arrival);
        }
    }
}

impl Completions {
    /// Where the result of that token goes.
    pub(crate) fn addressee(&self, token: u64) -> Addressee {
        Addressee { arrivals: Arc::downgrade(&self.arrivals), token }
    }

    /// What takes the outcome of a call to the loop that waits under that token; it becomes Python's only there, because
    /// whoever reads the lane has no business with the interpreter.
    pub(crate) fn outcome_of<T: Send + 'static>(
        &self,
        token: u64,
        into_python: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Box<dyn FnOnce(T) + Send> {
        let addressee = self.addressee(token);
        Box::new(move |outcome| addressee.put(Box::new(move |py| into_python(py, outcome))))
    }

    /// Tells the loop that what has that token is worth looking at again.
    pub(crate) fn hook(&self, token: u64) -> Hook {
        let addressee = self.addressee(token);
        Box::new(move || addressee.put(Box::new(|py| Ok(py.None()))))
    }
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { arrivals: Arc::new(Arrivals { descriptor, waiting: Mutex::default() }) })
    }

    /// What the loop watches for reading.
    #[getter]
    fn descriptor(&self) -> i32 {
        self.arrivals.descriptor.as_raw_fd()
    }

    /// What arrived: token, value, exception; one of the two is `None`.
    fn drain(&self, py: Python<'_>) -> Vec<(u64, Py<PyAny>, Py<PyAny>)> {
        let mut counter = [0; 8];
        // Nothing to read means that another drain took it.
        let _ = rustix::io::read(&self.arrivals.descriptor, &mut counter);
        let waiting = std::mem::take(&mut *self.arrivals.waiting.lock());
        waiting
            .into_iter()
            .map(|(token, arrival)| match arrival(py) {
                Ok(value) => (token, value, py.None()),
                Err(error) => (token, py.None(), error.into_value(py).into_any()),
            })
            .collect()
    }
}
