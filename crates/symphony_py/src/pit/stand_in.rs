//! What took a Pit member's place, as the core calls it: for Melodies and guests that name the member's operations.
//!
//! Caller: `seat.rs`. Code of users never runs on a thread of Rust, so a call waits here until one of Python's own daemon
//! threads has served it. Invariant: each request is answered once, also when the port closes under it.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ipc::{Payload, RemoteFailure};
use orchestra_kit::manifest::Member;
use orchestra_kit::operations::StandIn;
use orchestra_kit::{ExtensionError, KitError};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::door::process::start_thread;
use crate::door::values::{decode, encode};

/// So many calls of operations run side by side; more wait.
const THREADS: usize = 8;

type Answer = Result<Payload, KitError>;

struct Asked {
    operation: &'static str,
    required: Vec<&'static str>,
    inputs: Payload,
    answer: Sender<Answer>,
}

/// The core's end.
struct Calls {
    member: Member,
    requests: Sender<Asked>,
}

impl StandIn for Calls {
    fn call(
        &self,
        operation: &'static str,
        required: &[&'static str],
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Answer {
        let begun = Instant::now();
        let (answer, answered) = bounded(1);
        let asked =
            Asked { operation, required: required.to_vec(), inputs: inputs.clone(), answer };
        let stopped = || KitError::Stopped { what: self.member.as_str() };
        self.requests.send(asked).map_err(|_| stopped())?;
        let answer = match deadline {
            None => answered.recv().map_err(|_| stopped()),
            Some(deadline) => answered.recv_deadline(deadline).map_err(|error| {
                if error.is_timeout() {
                    let what = format!("{}.{operation}", self.member.as_str());
                    KitError::TimedOut { what, seconds: begun.elapsed().as_secs_f64() }
                } else {
                    stopped()
                }
            }),
        };
        answer?
    }
}

/// The threads of Python's that answer the calls of one member's operations.
#[pyclass(frozen, module = "symphony._core")]
pub(super) struct StandInThreads {
    requests: Receiver<Asked>,
    member: Member,
    container: Py<PyAny>,
    /// The class of the member's handle, under which the container has what stands in its place.
    key: Py<PyAny>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    idle: usize,
}

impl StandInThreads {
    /// Starts the first thread; they end when nobody has the port any more.
    pub(super) fn start(
        py: Python<'_>,
        member: Member,
        container: Py<PyAny>,
        key: Py<PyAny>,
    ) -> PyResult<Arc<dyn StandIn>> {
        let (requests, receiver) = unbounded();
        let counts = Mutex::default();
        let threads = Self { requests: receiver, member, container, key, counts };
        Self::grow(&Bound::new(py, threads)?)?;
        Ok(Arc::new(Calls { member, requests }))
    }

    /// Starts a thread where all others are busy.
    fn grow(threads: &Bound<'_, Self>) -> PyResult<()> {
        {
            let mut counts = threads.get().counts.lock();
            if counts.idle > 0 || counts.all >= THREADS {
                return Ok(());
            }
            counts.all += 1;
            counts.idle += 1;
        }
        let started = || start_thread(&threads.getattr("serve")?, PyTuple::empty(threads.py()));
        started().inspect_err(|_| {
            let mut counts = threads.get().counts.lock();
            counts.all -= 1;
            counts.idle -= 1;
        })
    }

    fn answer(&self, py: Python<'_>, asked: &Asked) -> Answer {
        self.called(py, asked).unwrap_or_else(|error| {
            let value = error.value(py);
            let failure = RemoteFailure::new(component::Code::REMOTE_ERROR, value.to_string());
            let type_name = value.get_type().qualname().map(|name| name.to_string());
            let traceback = traceback_of(py, &error);
            Err(self.failed(asked, failure, type_name.unwrap_or_default(), traceback))
        })
    }

    fn called(&self, py: Python<'_>, asked: &Asked) -> PyResult<Answer> {
        let operation = asked.operation;
        let instance = self.container.bind(py).call_method1("lookup", (&self.key,))?;
        let Some(method) = instance.getattr_opt(operation)?.filter(Bound::is_callable) else {
            let class = instance.get_type().qualname()?;
            let name = self.member.as_str();
            let failure = RemoteFailure::new(
                component::Code::REMOTE_ERROR,
                format!("`{class}`, which stands in the place of `{name}`, has no `{operation}`"),
            );
            return Ok(Err(self.failed(asked, failure, String::new(), String::new())));
        };
        let inputs = decode(py, &asked.inputs)?.into_bound(py).cast_into::<PyDict>()?;
        if let Some(data) =
            inputs.get_item("data")?.filter(PyAnyMethods::is_instance_of::<PyString>)
        {
            inputs.set_item("data", data.call_method0("encode")?)?;
        }
        let mut positional = Vec::new();
        for name in &asked.required {
            positional.push(inputs.call_method1("pop", (name,))?);
        }
        let value = method.call(PyTuple::new(py, positional)?, Some(&inputs))?;
        if value.hasattr("__await__")? {
            if let Some(close) = value.getattr_opt("close")? {
                close.call0()?;
            }
            let message = format!("`{operation}` is `async`, and operations of members are not");
            return Err(PyTypeError::new_err(message));
        }
        Ok(Ok(encode(&value)?))
    }

    fn failed(
        &self,
        asked: &Asked,
        mut failure: RemoteFailure,
        type_name: String,
        traceback: String,
    ) -> KitError {
        (failure.type_name, failure.traceback) = (type_name, traceback);
        let (name, operation) = (self.member.as_str().to_owned(), asked.operation.to_owned());
        KitError::Extension(ExtensionError::Remote {
            name,
            operation,
            failure: Box::new(failure),
            refusal: None,
        })
    }
}

#[pymethods]
impl StandInThreads {
    /// The loop of one thread.
    fn serve(threads: &Bound<'_, Self>) {
        let (py, this) = (threads.py(), threads.get());
        while let Some(asked) = py.detach(|| this.requests.recv().ok()) {
            this.counts.lock().idle -= 1;
            // Without another thread the next call waits for this one.
            let _refused = Self::grow(threads);
            let answer = this.answer(py, &asked);
            // Its deadline may have passed meanwhile.
            py.detach(|| drop(asked.answer.send(answer)));
            this.counts.lock().idle += 1;
        }
    }
}

fn traceback_of(py: Python<'_>, error: &PyErr) -> String {
    let written = || {
        let lines = py.import("traceback")?.getattr("format_exception")?;
        // Before 3.12 the binding keeps the traceback beside the exception.
        let lines = lines.call1((error.get_type(py), error.value(py), error.traceback(py)))?;
        lines.extract::<Vec<String>>().map(|lines| lines.concat())
    };
    written().unwrap_or_default()
}
