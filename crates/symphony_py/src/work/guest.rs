//! A Python guest's end of its lane: `symphony/_guest/server.py` serves on it.
//!
//! The serving thread reads the lane itself while it waits; while it runs an operation, the lane's background thread
//! answers pings and takes cancels, without the interpreter.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc::{
    Blocks, CallError, CallId, CallOptions, Hello, Input, Lane, LaneOptions, Next, Operation,
    Reader, RemoteFailure, Resume,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::door::enter::{enter, this_thread, wait_asking};
use crate::door::error::Fields;
use crate::door::span::{deadline, limit};
use crate::door::values::{decode, encode, encode_inputs};
use crate::work::completions::Completions;

/// How long the host may take to welcome.
const GREETING: Duration = Duration::from_secs(10);

/// The lane of a guest.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct GuestLane {
    lane: Lane,
    /// The thread that takes requests, and the one of the asynchronous operations; 0 as long as there is none.
    serves: AtomicU64,
    runs_loop: AtomicU64,
    /// Serves the lane for as long as it lives.
    _reader: Reader,
}

/// The exception for a call of a guest that has no result.
fn raise(py: Python<'_>, operation: Option<&str>, error: CallError) -> PyErr {
    let mut fields = Fields::of(&error);
    if let CallError::Remote(failure) = error {
        fields.causes = failure.causes;
        fields.type_name = Some(failure.type_name);
        fields.traceback = Some(failure.traceback);
    }
    if let Some((extension, operation)) = operation.and_then(|call| call.split_once('.')) {
        fields.extension = Some(extension.to_owned());
        fields.operation = Some(operation.to_owned());
    }
    fields.raise(py)
}

/// A lane that could not be opened.
fn not_opened(py: Python<'_>, error: &dyn std::fmt::Display) -> PyErr {
    Fields::new(component::Code::INTERNAL, error.to_string()).raise(py)
}

impl GuestLane {
    /// The guest's end on that socket.
    pub(crate) fn open(py: Python<'_>, socket: OwnedFd) -> PyResult<Self> {
        let reader = Reader::new().map_err(|error| not_opened(py, &error))?;
        let lane = Lane::open(socket, LaneOptions::guest(&reader), std::sync::Arc::new(()))
            .map_err(|error| not_opened(py, &error))?;
        Ok(Self { lane, serves: AtomicU64::new(0), runs_loop: AtomicU64::new(0), _reader: reader })
    }
}

#[pymethods]
impl GuestLane {
    /// Takes over the descriptor of the lane.
    #[new]
    fn new(py: Python<'_>, descriptor: i32) -> PyResult<Self> {
        let socket = ipc::inherited(descriptor).map_err(|error| not_opened(py, &error))?;
        Self::open(py, socket)
    }

    /// Introduces the extension and waits for the host's welcome, a dict. `spans` say what its start spent its time on:
    /// name, begin and end in seconds of `time.monotonic()`.
    #[pyo3(signature = (name, version, operations, spans = Vec::new()))]
    fn hello<'py>(
        &self,
        py: Python<'py>,
        name: String,
        version: String,
        operations: &Bound<'py, PyList>,
        spans: Vec<(String, f64, f64)>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut hello = Hello::new(name);
        hello.version = version;
        hello.spans = spans;
        "python".clone_into(&mut hello.language);
        hello.operations =
            operations.iter().map(|entry| operation_of(&entry)).collect::<PyResult<_>>()?;
        let welcome = enter(py, || self.lane.hello(&hello, GREETING))?
            .map_err(|error| raise(py, None, error))?;
        let fields = PyDict::new(py);
        fields.set_item("protocol", welcome.protocol)?;
        fields.set_item("queue", welcome.queue)?;
        fields.set_item("settings", welcome.settings)?;
        Ok(fields)
    }

    /// Says that requests may come.
    fn ready(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.lane.ready())?.map_err(|error| raise(py, None, error))
    }

    /// Waits for a request: correlation, operation, inputs, and whether the caller takes a stream. A number alone is a
    /// stream that had no room and may go on, or is given up. `None` when the host said stop or is gone.
    fn next_request<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.serves.store(this_thread(), Ordering::Relaxed);
        // A request that came while a signal's handler raised ends with the process, which nobody else may tell.
        match wait_asking(py, |asks| self.lane.next_event(None, asks))? {
            Ok(Some(Next::Request(request))) => {
                let inputs = decode(py, &request.inputs)?.into_bound(py);
                let asked = (request.correlation, request.operation, inputs, request.stream);
                asked.into_pyobject(py).map(|asked| Some(asked.into_any()))
            }
            Ok(Some(Next::Resumed(correlation))) => {
                Ok(Some(correlation.into_pyobject(py)?.into_any()))
            }
            Ok(None) => {
                // The host waits for this word, or is gone and needs none.
                let _ = py.detach(|| self.lane.stopped());
                Ok(None)
            }
            Err(CallError::Closed { .. }) => Ok(None),
            Err(error) => Err(raise(py, None, error)),
        }
    }

    /// Whether the host asked this guest to stop.
    fn stop_requested(&self) -> bool {
        self.lane.stop_requested()
    }

    /// For how many seconds the host has waited for this guest to stop; `None` where it has not asked.
    fn stopping_for(&self) -> Option<f64> {
        self.lane.stopping_since().map(|since| since.elapsed().as_secs_f64())
    }

    /// Says that this guest leaves by itself. A host that is gone needs no word.
    fn stopped(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.lane.stopped()).map(|_| ())
    }

    /// Answers a request.
    fn reply(&self, py: Python<'_>, correlation: u64, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let payload = encode(value)?;
        enter(py, || self.lane.reply(correlation, Ok(payload)))?
            .map_err(|error| raise(py, None, error))
    }

    /// Answers a request with a failure; correlation 0 is the extension's own start.
    #[pyo3(signature = (correlation, code, message, type_name, traceback, causes = Vec::new()))]
    fn error(
        &self,
        py: Python<'_>,
        correlation: u64,
        code: String,
        message: String,
        type_name: String,
        traceback: String,
        causes: Vec<String>,
    ) -> PyResult<()> {
        let failure = RemoteFailure { code, message, type_name, traceback, causes };
        let told = if correlation == 0 {
            enter(py, || self.lane.fail_start(&failure))?
        } else {
            enter(py, || self.lane.reply(correlation, Err(failure)))?
        };
        told.map_err(|error| raise(py, None, error))
    }

    /// Whether `next_request` would not have to wait.
    fn has_request(&self) -> bool {
        self.lane.has_event()
    }

    /// Whether a stream's reader has room for the next value; `None` where it wants no more. Where it has none,
    /// `next_request` tells when it has, or the loop of `completions`, under that token.
    #[pyo3(signature = (correlation, completions = None, token = 0))]
    fn room(
        &self,
        correlation: u64,
        completions: Option<&Completions>,
        token: u64,
    ) -> Option<bool> {
        let resume = completions.map_or(Resume::Server, |loop_| Resume::Hook(loop_.hook(token)));
        // A lane that is closed has nobody left who wants a value.
        self.lane.has_room(correlation, resume).ok()
    }

    /// Sends one value of a stream.
    fn item(&self, py: Python<'_>, correlation: u64, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let payload = encode(value)?;
        wait_asking(py, |asks| self.lane.item(correlation, &payload, asks))?
            .map_err(|error| raise(py, None, error))
    }

    /// Ends a stream.
    fn end(&self, py: Python<'_>, correlation: u64) -> PyResult<()> {
        enter(py, || self.lane.end(correlation))?.map_err(|error| raise(py, None, error))
    }

    /// Calls an operation of the Pit or of another extension.
    /// `under` is the request for whose sake it is made: its deadline and its cancel are the call's too.
    #[pyo3(signature = (operation, inputs, timeout = None, under = None))]
    fn call(
        &self,
        py: Python<'_>,
        operation: &str,
        inputs: &Bound<'_, PyDict>,
        timeout: Option<f64>,
        under: Option<u64>,
    ) -> PyResult<Py<PyAny>> {
        let limit = limit(py, "timeout", timeout)?;
        let inputs = encode_inputs(Some(inputs))?;
        let deadline = deadline(limit);
        let options = CallOptions { deadline, ..CallOptions::default() };
        let blocks = self.blocks();
        let result = wait_asking(py, |asks| match under {
            Some(served) => {
                self.lane.request_under(served, operation, &inputs, &options, blocks, asks)
            }
            None => self.lane.request_blocking(operation, &inputs, &options, blocks, asks),
        })?;
        decode(py, &result.map_err(|error| raise(py, Some(operation), error))?)
    }

    /// Sends a call whose result goes to an event loop, under that token; `symphony/extension.py` calls it. It is made
    /// for the sake of the request `under`, and has its deadline.
    #[pyo3(signature = (completions, token, operation, inputs, under = None))]
    fn submit(
        &self,
        py: Python<'_>,
        completions: &Completions,
        token: u64,
        operation: &str,
        inputs: &Bound<'_, PyDict>,
        under: Option<u64>,
    ) -> PyResult<GuestCall> {
        let inputs = encode_inputs(Some(inputs))?;
        let called = operation.to_owned();
        let done = completions.outcome_of(token, move |py, outcome| match outcome {
            Ok(value) => decode(py, &value),
            Err(error) => Err(raise(py, Some(&called), error)),
        });
        let deadline = under.and_then(|served| self.lane.deadline_of(served));
        let options = CallOptions { deadline, ..CallOptions::default() };
        let sent = enter(py, || self.lane.submit(operation, &inputs, &options, done))?;
        let call = sent.map_err(|error| raise(py, Some(operation), error))?;
        Ok(GuestCall { lane: self.lane.clone(), call })
    }

    /// Publishes a value on a topic.
    fn publish(&self, py: Python<'_>, topic: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let payload = encode(value)?;
        enter(py, || self.lane.publish(topic, &payload))?
            .map(|_| ())
            .map_err(|error| raise(py, None, error))
    }

    /// Says that this thread runs the asynchronous operations.
    fn runs_loop(&self) {
        self.runs_loop.store(this_thread(), Ordering::Relaxed);
    }

    /// Whether the caller of a request gave it up, or the host wants this guest to stop.
    fn cancelled(&self, correlation: u64) -> bool {
        self.lane.is_cancelled(correlation) || self.lane.stop_requested()
    }
}

/// A call of a guest on its way to an event loop.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct GuestCall {
    lane: Lane,
    call: CallId,
}

#[pymethods]
impl GuestCall {
    /// Gives the call up.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.lane.cancel(self.call)).map(|_| ())
    }
}

impl GuestLane {
    /// What is held up while this thread waits for a call.
    fn blocks(&self) -> Option<Blocks> {
        let this = this_thread();
        if self.serves.load(Ordering::Relaxed) == this {
            Some(Blocks::Serving)
        } else {
            (self.runs_loop.load(Ordering::Relaxed) == this).then_some(Blocks::Loop)
        }
    }
}

fn operation_of(entry: &Bound<'_, PyAny>) -> PyResult<Operation> {
    let entry = entry.cast::<PyDict>()?;
    let field = |key: &str| entry.get_item(key);
    let mut operation = Operation::default();
    if let Some(name) = field("name")? {
        operation.name = name.extract()?;
    }
    if let Some(stream) = field("stream")? {
        operation.stream = stream.extract()?;
    }
    if let Some(beside) = field("async")? {
        operation.beside = beside.extract()?;
    }
    if let Some(doc) = field("doc")? {
        operation.doc = doc.extract()?;
    }
    if let Some(inputs) = field("inputs")? {
        for input in inputs.try_iter()? {
            let input = input?;
            let input = input.cast::<PyDict>()?;
            let name = input.get_item("name")?.map_or(Ok(String::new()), |name| name.extract())?;
            let required =
                input.get_item("required")?.map_or(Ok(true), |required| required.extract())?;
            operation.inputs.push(Input { name, required });
        }
    }
    Ok(operation)
}
