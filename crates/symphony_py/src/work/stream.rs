//! The values of a streamed result as Python sees them: an iterator, sync and async.
//!
//! Made by `ExtensionHandle.stream`. Invariant: `close` never waits for whoever waits in `next`.

use std::sync::Arc;

use boot_orchestrator::system::System;
use orchestra_kit::extension::Values;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::door::enter::{enter, guard, wait_polling};
use crate::door::values::decode;
use crate::work::call_result::{is_interrupted, raise, stopped};
use crate::work::completions::Completions;

/// The values of a streamed result. Closed or dropped before its end, it cancels the call.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Stream {
    system: Arc<System>,
    operation: String,
    values: Values,
}

impl Stream {
    pub(crate) fn new(system: Arc<System>, operation: &str, values: Values) -> Self {
        Self { system, operation: operation.to_owned(), values }
    }

    /// Refused when the system was stopped, whatever still waits here.
    fn refuse_stopped(&self, py: Python<'_>) -> PyResult<()> {
        guard(py)?;
        if self.system.kit().is_some() {
            return Ok(());
        }
        self.close(py)?;
        Err(stopped("this stream").raise(py))
    }
}

#[pymethods]
impl Stream {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.refuse_stopped(py)?;
        // Between two looks nothing is held and nothing was taken: a signal's handler may close this very stream, or take
        // from it, and what it raises costs no value.
        let next = wait_polling(py, |_| match self.values.next_value(Some(&|| true)) {
            Err(error) if is_interrupted(&error) => None,
            next => Some(next),
        })?;
        match next {
            Ok(value) => value.map(|value| decode(py, &value)).transpose(),
            Err(error) => Err(raise(py, &self.operation, &error)),
        }
    }

    fn __aiter__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        this.py().import("symphony._work.async_calls")?.getattr("AsyncValues")?.call1((this,))
    }

    /// The next value as a tuple of one, an empty tuple at the end, `None` where it has to be waited for;
    /// `symphony/_work/async_calls.py` calls this and the two below.
    fn _take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.refuse_stopped(py)?;
        match self.values.try_value() {
            None => Ok(None),
            Some(Ok(None)) => Ok(Some(PyTuple::empty(py))),
            Some(Ok(Some(value))) => PyTuple::new(py, [decode(py, &value)?]).map(Some),
            Some(Err(error)) => Err(raise(py, &self.operation, &error)),
        }
    }

    /// Has the loop told once that it is worth looking again. False: it is now.
    fn _watch(&self, completions: &Completions, token: u64) -> bool {
        self.values.watch(token, completions.hook(token))
    }

    /// The loop waits no more.
    fn _unwatch(&self, token: u64) {
        self.values.unwatch(token);
    }

    /// Ends it: the call is cancelled, a loop over it ends.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.values.close())
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close(py)
    }
}
