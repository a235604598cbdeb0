//! The conductor thread's door to the engine: questions come out, answers go in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orchestra_kit::melody::engine::{PolicyEvent, PolicyReceiver, Question, ReadyNode as Ready};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// A wait so long that it never ends by itself: a thread that waits here must not wake while the interpreter ends.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// A node that could run now.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct ReadyNode {
    index: usize,
    #[pyo3(get)]
    run: u64,
    #[pyo3(get)]
    node: String,
    #[pyo3(get)]
    extension: String,
    #[pyo3(get)]
    operation: String,
    #[pyo3(get)]
    priority: i64,
    #[pyo3(get)]
    age: f64,
    #[pyo3(get)]
    remaining: u32,
    #[pyo3(get)]
    path: u32,
    #[pyo3(get)]
    warm: bool,
    #[pyo3(get)]
    queue: u32,
}

#[pymethods]
impl ReadyNode {
    fn __repr__(&self) -> String {
        format!(
            "<ReadyNode {} of run {}: {}.{}>",
            self.node, self.run, self.extension, self.operation
        )
    }
}

impl ReadyNode {
    fn new(index: usize, node: &Ready) -> Self {
        let (extension, operation) = node.call.split_once('.').unwrap_or((&node.call, ""));
        Self {
            index,
            run: node.run,
            node: node.node.to_string(),
            extension: extension.to_owned(),
            operation: operation.to_owned(),
            priority: node.priority,
            age: node.age,
            remaining: node.remaining,
            path: node.critical_path,
            warm: !node.cold,
            queue: node.queue,
        }
    }
}

/// What became of one node.
#[pyclass(frozen, get_all, module = "symphony._core")]
pub(crate) struct Outcome {
    run: u64,
    node: String,
    extension: String,
    operation: String,
    seconds: f64,
    ok: bool,
}

/// Where the conductor thread waits.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct PolicyPort {
    receiver: PolicyReceiver,
    chooses: bool,
    observes: bool,
    asked: Mutex<Option<Question>>,
    ended: AtomicBool,
}

impl PolicyPort {
    pub(crate) fn new(receiver: PolicyReceiver, chooses: bool, observes: bool) -> Self {
        Self { receiver, chooses, observes, asked: Mutex::new(None), ended: AtomicBool::new(false) }
    }
}

#[pymethods]
impl PolicyPort {
    /// Waits for `("choose", ready set)` or `("observe", Outcome)`; `None` when the engine has ended.
    fn next(&self, py: Python<'_>) -> PyResult<Option<(&'static str, Py<PyAny>)>> {
        loop {
            match py.detach(|| self.receiver.next(FOR_EVER)) {
                PolicyEvent::Choose(question) if self.chooses => {
                    let ready = question
                        .ready
                        .iter()
                        .enumerate()
                        .map(|(index, node)| ReadyNode::new(index, node));
                    let ready = PyList::new(py, ready.collect::<Vec<_>>())?;
                    *self.asked.lock() = Some(question);
                    return Ok(Some(("choose", ready.into_any().unbind())));
                }
                PolicyEvent::Choose(question) => question.fail(),
                PolicyEvent::Observe(outcome) if self.observes => {
                    let (extension, operation) =
                        outcome.call.split_once('.').unwrap_or((&outcome.call, ""));
                    let outcome = Outcome {
                        run: outcome.run,
                        node: outcome.node.to_string(),
                        extension: extension.to_owned(),
                        operation: operation.to_owned(),
                        seconds: outcome.seconds,
                        ok: outcome.error.is_none(),
                    };
                    return Ok(Some(("observe", Py::new(py, outcome)?.into_any())));
                }
                PolicyEvent::Observe(_) | PolicyEvent::Idle => {}
                PolicyEvent::Closed => {
                    self.ended.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
            }
        }
    }

    /// Answers the last question with nodes in order of preference, or with one node.
    fn answer(&self, chosen: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(question) = self.asked.lock().take() else { return Ok(()) };
        let indices = if let Ok(node) = chosen.cast::<ReadyNode>() {
            vec![node.get().index]
        } else {
            match indices(chosen) {
                Ok(indices) => indices,
                Err(error) => {
                    question.fail();
                    return Err(error);
                }
            }
        };
        question.answer(indices);
        Ok(())
    }

    /// The Conductor raised: the engine decides by itself.
    fn failed(&self) {
        if let Some(question) = self.asked.lock().take() {
            question.fail();
        }
    }
}

fn indices(chosen: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    chosen
        .try_iter()?
        .map(|node| {
            let node = node?;
            node.cast::<ReadyNode>()
                .map(|node| node.get().index)
                .map_err(|_| PyTypeError::new_err("`choose` returns nodes of the ready set"))
        })
        .collect()
}
