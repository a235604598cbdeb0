//! An extension's handle: the same for one in a process of its own and for a library in this one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::system::System;
use component::Code;
use ipc::CallOptions;
use orchestra_kit::ExtensionHandle as Inner;
use orchestra_kit::extension::Call;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::door::enter::{enter, guard, wait_asking};
use crate::door::error::Fields;
use crate::door::span::{deadline, limit, span};
use crate::door::values::{decode, encode_inputs};
use crate::work::call_result::{CallKey, CallResult, is_interrupted, raise, stopped};
use crate::work::completions::Completions;
use crate::work::stream::Stream;

/// Whether this thread runs an event loop, which must not be made to wait.
fn in_event_loop(py: Python<'_>) -> PyResult<bool> {
    // Where nobody imported asyncio, no loop runs.
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    let Some(asyncio) = modules.get_item("asyncio")? else { return Ok(false) };
    Ok(!asyncio.call_method0("_get_running_loop")?.is_none())
}

/// How long a restart may take.
const RESTART: Duration = Duration::from_secs(15);

/// An extension, by which it is called.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ExtensionHandle {
    system: Arc<System>,
    name: Arc<str>,
    /// What a view said of it; [`component::LONGEST`] where it said that there is none.
    timeout: Option<Duration>,
    priority: i32,
}

impl ExtensionHandle {
    pub(crate) fn new(system: Arc<System>, name: &str) -> Self {
        Self { system, name: Arc::from(name), timeout: None, priority: 0 }
    }

    /// The extension itself, as long as the system is up.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<Inner> {
        guard(py)?;
        let found = self.found();
        found.ok_or_else(|| stopped(&format!("extension `{}`", self.name)).raise(py))
    }

    fn found(&self) -> Option<Inner> {
        // What the catalogue had when the handle was made it has until its end.
        self.system.kit().and_then(|kit| kit.extension(&self.name).ok())
    }

    /// The same for one call: while versions are tried out and kept apart by a function of the caller's, it is asked.
    fn handle_for(&self, py: Python<'_>, inputs: Option<&Bound<'_, PyDict>>) -> PyResult<Inner> {
        let handle = self.handle(py)?;
        let key = handle.tag().and_then(|tag| tag.downcast_ref::<CallKey>());
        let Some(CallKey(key)) = key else { return Ok(handle) };
        let key = key.bind(py).call((), inputs)?.repr()?;
        Ok(handle.keyed(key.to_string_lossy().as_bytes()))
    }

    fn restart_deadline(&self) -> Instant {
        Instant::now() + self.timeout.unwrap_or(RESTART)
    }

    fn options(&self) -> CallOptions {
        let (deadline, priority) = (deadline(self.timeout), self.priority);
        CallOptions { deadline, priority, ..CallOptions::default() }
    }
}

#[pymethods]
impl ExtensionHandle {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// `installed`, `loading`, `ready`, `stopping`, `stopped`, `failed`, `restarting` or `quarantined`.
    #[getter]
    fn state(&self) -> &'static str {
        self.found().map_or("stopped", |handle| handle.state().as_str())
    }

    /// The number of its process, while it has one of its own.
    #[getter]
    fn pid(&self) -> Option<u32> {
        self.found()?.pid()
    }

    /// The names of its operations; `None` while they are not known.
    fn operations(&self) -> Option<Vec<String>> {
        self.found()?
            .operations()
            .map(|known| known.into_iter().map(|operation| operation.name).collect())
    }

    /// Its operations as its handshake describes them; `None` while it is not ready.
    fn _described<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let known = self.found().and_then(|handle| handle.operations());
        let Some(known) = known else { return Ok(None) };
        let described = known.into_iter().map(|operation| {
            let inputs = operation.inputs.into_iter().map(|input| (input.name, input.required));
            (operation.name, inputs.collect::<Vec<_>>(), operation.stream, operation.doc)
        });
        PyList::new(py, described.collect::<Vec<_>>()).map(Some)
    }

    /// JSON Schemas of its operations; it is started where it does not run.
    fn schema<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        guard(py)?;
        py.import("symphony._work.schemas")?.getattr("schema")?.call1((this,))
    }

    /// Calls an operation and waits for its result.
    #[pyo3(signature = (operation, /, **inputs))]
    fn call(
        &self,
        py: Python<'_>,
        operation: &str,
        inputs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let handle = self.handle_for(py, inputs)?;
        let inputs = encode_inputs(inputs)?;
        let options = self.options();
        let outcome =
            wait_asking(py, |asks| handle.call_polling(operation, &inputs, &options, asks))?;
        match outcome {
            Ok(payload) => decode(py, &payload),
            Err(error) => Err(raise(py, operation, &error)),
        }
    }

    /// Calls an operation whose values come one by one: an iterator, sync and async.
    #[pyo3(signature = (operation, /, **inputs))]
    fn stream(
        &self,
        py: Python<'_>,
        operation: &str,
        inputs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Stream> {
        let handle = self.handle_for(py, inputs)?;
        let inputs = encode_inputs(inputs)?;
        let options = self.options();
        let begun = if in_event_loop(py)? {
            // Its start must not hold up what else the loop does.
            enter(py, || handle.begin_stream(operation, &inputs, &options))?
        } else {
            wait_asking(py, |asks| handle.stream(operation, &inputs, &options, asks))?
        };
        begun
            .map(|values| Stream::new(Arc::clone(&self.system), operation, values))
            .map_err(|error| raise(py, operation, &error))
    }

    /// Calls an operation; awaits its result.
    #[pyo3(signature = (operation, /, **inputs))]
    fn call_async<'py>(
        this: &Bound<'py, Self>,
        operation: &str,
        inputs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        guard(py)?;
        let handle = this.get();
        let inputs = inputs.unwrap_or_else(|| PyDict::new(py));
        let timeout = handle.timeout.map(|timeout| timeout.as_secs_f64());
        py.import("symphony._work.async_calls")?.getattr("call")?.call1((
            this,
            operation,
            inputs,
            timeout,
            handle.priority,
        ))
    }

    /// Sends a call whose result goes to an event loop; `symphony/_work/async_calls.py` calls it.
    fn _submit(
        &self,
        py: Python<'_>,
        completions: &Completions,
        token: u64,
        operation: &str,
        inputs: &Bound<'_, PyDict>,
        timeout: Option<f64>,
        priority: i32,
    ) -> PyResult<PendingCall> {
        let handle = self.handle_for(py, Some(inputs))?;
        let inputs = encode_inputs(Some(inputs))?;
        let deadline = deadline(limit(py, "timeout", timeout)?);
        let options = CallOptions { deadline, priority, ..CallOptions::default() };
        let called = operation.to_owned();
        let done = completions.outcome_of(token, |py, outcome| {
            CallResult { outcome, operation: called }.into_python(py)
        });
        let call = enter(py, || handle.submit(operation, &inputs, &options, done))?;
        Ok(PendingCall { call })
    }

    /// Calls one operation many times; each result is a value or an exception.
    fn call_many<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        inputs: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let handle = self.handle(py)?;
        let is_kept_apart = handle.tag().is_some();
        let mut handles = Vec::new();
        let inputs = inputs
            .try_iter()?
            .map(|inputs| {
                let inputs = inputs?;
                let inputs = inputs.cast::<PyDict>()?;
                if is_kept_apart {
                    handles.push(self.handle_for(py, Some(inputs))?);
                }
                encode_inputs(Some(inputs))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let options = self.options();
        let outcomes = wait_asking(py, |asks| {
            if !is_kept_apart {
                return handle.call_many(operation, &inputs, &options, asks);
            }
            // Each goes where its own key sends it, until one is given up.
            let mut outcomes = Vec::with_capacity(inputs.len());
            for (handle, inputs) in handles.iter().zip(&inputs) {
                let outcome = handle.call_polling(operation, inputs, &options, asks);
                let given_up = outcome.as_ref().is_err_and(is_interrupted);
                outcomes.push(outcome);
                if given_up {
                    break;
                }
            }
            outcomes
        })?;
        let results = PyList::empty(py);
        for outcome in outcomes {
            match outcome {
                Ok(payload) => results.append(decode(py, &payload)?)?,
                Err(error) => results.append(raise(py, operation, &error).into_value(py))?,
            }
        }
        Ok(results)
    }

    /// A view of this handle with options for its calls.
    #[pyo3(signature = (*, timeout = None, priority = None), name = "options")]
    fn view(&self, py: Python<'_>, timeout: Option<f64>, priority: Option<i32>) -> PyResult<Self> {
        let timeout = timeout.map(|seconds| span(py, "timeout", seconds)).transpose()?;
        Ok(Self {
            system: Arc::clone(&self.system),
            name: Arc::clone(&self.name),
            timeout: timeout.or(self.timeout),
            priority: priority.unwrap_or(self.priority),
        })
    }

    /// Starts it where it does not run, and waits until it is ready.
    fn activate(&self, py: Python<'_>) -> PyResult<()> {
        let handle = self.handle(py)?;
        let deadline = self.options().deadline;
        wait_asking(py, |asks| handle.activate_polling(deadline, asks))?
            .map_err(|error| raise(py, "activate", &error))
    }

    /// Stops it and starts it anew, also out of quarantine; waits until it is ready. In an event loop the result is to be
    /// awaited.
    fn restart<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let handle = this.get().handle(py)?;
        if in_event_loop(py)? {
            return py.import("symphony._work.async_calls")?.getattr("restart")?.call1((this,));
        }
        let deadline = this.get().restart_deadline();
        wait_asking(py, |asks| handle.restart(deadline, asks))?
            .map_err(|error| raise(py, "restart", &error))?;
        py.import("symphony._work.kit")?.getattr("RESTARTED")
    }

    /// Begins a restart whose end goes to an event loop; `symphony/_work/async_calls.py` calls it.
    fn _restart(&self, py: Python<'_>, completions: &Completions, token: u64) -> PyResult<()> {
        let handle = self.handle(py)?;
        let (deadline, addressee) = (self.restart_deadline(), completions.addressee(token));
        let work = move || {
            let outcome = handle.restart(deadline, None);
            addressee.put(Box::new(move |py| match outcome {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(raise(py, "restart", &error)),
            }));
        };
        let started = std::thread::Builder::new().name("symphony-restart".to_owned()).spawn(work);
        started.map(|_| ()).map_err(|error| {
            let message = format!("`{}` was not restarted: no thread for it", self.name);
            Fields::new(Code::OVERLOADED, message).because(&error).raise(py)
        })
    }

    fn __repr__(&self) -> String {
        format!("<ExtensionHandle {} {}>", self.name, self.state())
    }
}

/// A call on its way to an event loop.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PendingCall {
    call: Call,
}

#[pymethods]
impl PendingCall {
    /// Gives the call up.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.call.cancel())
    }
}
