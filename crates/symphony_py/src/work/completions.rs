//! Results for asyncio: one descriptor that an event loop watches, and the results behind it.
//!
//! Whoever reads a lane puts a result here and writes the descriptor; only the loop's own thread ever attaches.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use crate::work::kit::CallResult;

/// What arrived and was not taken yet.
pub(crate) struct Arrivals {
    descriptor: OwnedFd,
    waiting: Mutex<Vec<(u64, CallResult)>>,
}

impl Arrivals {
    /// Puts a result; called on whichever thread reads the lane.
    pub(crate) fn put(&self, token: u64, result: CallResult) {
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.push((token, result));
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
    pub(crate) arrivals: Arc<Arrivals>,
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
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<(u64, Py<PyAny>, Py<PyAny>)>> {
        let mut counter = [0; 8];
        // Nothing to read means that another drain took it.
        let _ = rustix::io::read(&self.arrivals.descriptor, &mut counter);
        let waiting = std::mem::take(&mut *self.arrivals.waiting.lock());
        waiting
            .into_iter()
            .map(|(token, result)| {
                Ok(match result.into_python(py) {
                    Ok(value) => (token, value, py.None()),
                    Err(error) => (token, py.None(), error.into_value(py).into_any()),
                })
            })
            .collect()
    }
}
