//! Melodies and their runs as Python sees them.

use std::path::PathBuf;
use std::sync::Arc;

use component::Code;
use orchestra_kit::Melody as InnerMelody;
use orchestra_kit::melody::engine::{NodeRecord as InnerRecord, Run as Inner, RunFailure};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::enter::{guard, wait_asking};
use crate::door::error::Fields;
use crate::door::span::limit;
use crate::door::values::decode;
use crate::work::call_result::fields_of_kit;
use crate::work::completions::Completions;

/// A Melody: nodes that call operations, and the graph that their inputs make.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Melody {
    pub(crate) melody: Arc<InnerMelody>,
}

/// The exception for a Melody at fault.
pub(crate) fn melody_error(py: Python<'_>, faults: Vec<component::Diagnostic>) -> PyErr {
    let mut fields = Fields::new(Code::MELODY_INVALID, String::new());
    fields.diagnostics = faults;
    fields.raise(py)
}

#[pymethods]
impl Melody {
    /// Reads a Melody from its file, TOML or JSON.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| InnerMelody::read(&path))
            .map(|melody| Self { melody: Arc::new(melody) })
            .map_err(|faults| melody_error(py, faults))
    }

    /// Reads a Melody from a text; `name` stands for its file in errors.
    #[staticmethod]
    #[pyo3(signature = (text, name = "melody.toml"))]
    fn from_text(py: Python<'_>, text: &str, name: &str) -> PyResult<Self> {
        let source = orchestra_kit::document::Source::from_text(name, text);
        InnerMelody::from_source(&source)
            .map(|melody| Self { melody: Arc::new(melody) })
            .map_err(|faults| melody_error(py, faults))
    }

    #[getter]
    fn name(&self) -> String {
        self.melody.name.to_string()
    }

    /// The names of its inputs.
    #[getter]
    fn inputs(&self) -> Vec<String> {
        self.melody.inputs.iter().map(ToString::to_string).collect()
    }

    /// The ids of its nodes.
    #[getter]
    fn nodes(&self) -> Vec<String> {
        self.melody.nodes.iter().map(|node| node.id.to_string()).collect()
    }

    /// What its nodes call, in the order of the nodes: `extension.operation` or `member.operation`.
    #[getter]
    fn calls(&self) -> Vec<String> {
        self.melody.nodes.iter().map(|node| node.call.to_string()).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Melody {} of {} nodes>", self.melody.name, self.melody.nodes.len())
    }
}

/// A Melody that was submitted.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Run {
    run: Inner,
}

impl Run {
    pub(crate) fn new(run: Inner) -> Self {
        Self { run }
    }
}

#[pymethods]
impl Run {
    /// Later runs have greater numbers.
    #[getter]
    fn id(&self) -> u64 {
        self.run.id()
    }

    /// `running`, `done`, `failed` or `cancelled`.
    #[getter]
    fn state(&self) -> &'static str {
        self.run.state().as_str()
    }

    /// The name of its Melody.
    #[getter]
    fn melody(&self) -> String {
        self.run.melody().to_string()
    }

    /// Seconds that it took, or has been running.
    #[getter]
    fn seconds(&self) -> f64 {
        self.run.elapsed().as_secs_f64()
    }

    /// Nodes that are done, of how many.
    #[getter]
    fn progress(&self) -> (u32, u32) {
        let progress = self.run.progress();
        (progress.done + progress.skipped, progress.total)
    }

    /// What became of each node, in the Melody's order; empty while it runs.
    #[getter]
    fn nodes(&self) -> Vec<NodeRecord> {
        self.run.nodes().into_iter().map(NodeRecord).collect()
    }

    /// Waits for the value of each node.
    #[pyo3(signature = (timeout = None))]
    fn result<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyDict>> {
        let timeout = limit(py, "timeout", timeout)?;
        let outcome = wait_asking(py, |asks| self.run.wait_polling(timeout, asks))?;
        let results = outcome.map_err(|failure| run_error(py, &failure))?;
        let values = PyDict::new(py);
        for (node, value) in results.iter() {
            match value {
                Some(payload) => values.set_item(&**node, decode(py, payload)?)?,
                None => values.set_item(&**node, py.None())?,
            }
        }
        Ok(values)
    }

    /// As `result()`, for a coroutine; whoever stops waiting does not stop the run.
    fn __await__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        guard(py)?;
        let waited = py.import("symphony._work.async_calls")?.getattr("ended")?.call1((this,))?;
        waited.call_method0("__await__")
    }

    /// Has the loop told once when it has ended. False: it has; `symphony/_work/async_calls.py` calls this and the next.
    fn _watch(&self, completions: &Completions, token: u64) -> bool {
        self.run.watch(token, completions.hook(token))
    }

    /// The loop waits no more.
    fn _unwatch(&self, token: u64) {
        self.run.unwatch(token);
    }

    /// Cancels it: nothing of it starts any more.
    fn cancel(&self) {
        self.run.cancel();
    }

    fn __repr__(&self) -> String {
        format!("<Run {} of {} {}>", self.run.id(), self.run.melody(), self.run.state().as_str())
    }
}

/// What became of one node of a run.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct NodeRecord(InnerRecord);

#[pymethods]
impl NodeRecord {
    /// The node's id.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// The operation that it calls.
    #[getter]
    fn call(&self) -> &str {
        &self.0.call
    }

    /// `done`, `skipped`, `failed`, `cancelled` or `unused`.
    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.as_str()
    }

    /// Seconds of its last call.
    #[getter]
    fn seconds(&self) -> f64 {
        self.0.took.as_secs_f64()
    }

    /// How often it was called.
    #[getter]
    fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Its value, or that of its stand-in, where it is done.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.0.value.as_ref().map(|payload| decode(py, payload)).transpose()
    }

    /// Why its last call failed, also where the run went on without it.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let error = self.0.error.as_ref()?;
        Some(fields_of_kit(error).raise(py).into_value(py).into_bound(py).into_any())
    }

    fn __repr__(&self) -> String {
        format!("<NodeRecord {} {}>", self.0.id, self.0.state.as_str())
    }
}

fn run_error(py: Python<'_>, failure: &RunFailure) -> PyErr {
    let mut fields = fields_of_kit(&failure.error);
    if failure.node.is_some() {
        fields.causes.insert(0, fields.message.clone());
        fields.message = format!("{failure}: {}", fields.message);
    }
    for (node, error) in &failure.stand_ins {
        let message = fields_of_kit(error).message;
        fields.causes.push(format!("its stand-in `{node}` failed too: {message}"));
    }
    fields.raise(py)
}
