//! `pit.dag`.

use std::collections::HashMap;
use std::sync::Arc;

use ::pit::dag_tracker::{DagTracker as Tracker, RunId};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::member::MemberRef;
use crate::door::enter::enter;
use crate::door::error::raise;

/// Running graphs: what is ready, completed, failed.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct DagTracker {
    member: MemberRef<Tracker>,
}

impl DagTracker {
    pub(super) const fn new(member: MemberRef<Tracker>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn tracker(&self, py: Python<'_>) -> PyResult<Arc<Tracker>> {
        self.member.get(py)
    }
}

#[pymethods]
impl DagTracker {
    #[pyo3(signature = (graph, *, priority = 0))]
    fn submit(&self, py: Python<'_>, graph: &Bound<'_, PyDict>, priority: i64) -> PyResult<u64> {
        let tracker = self.tracker(py)?;
        let graph = graph
            .iter()
            .map(|(node, needs)| {
                let needs = needs
                    .try_iter()?
                    .map(|need| need?.extract())
                    .collect::<PyResult<Vec<String>>>()?;
                Ok((node.extract()?, needs))
            })
            .collect::<PyResult<Vec<(String, Vec<String>)>>>()?;
        let run = enter(py, || tracker.submit(&graph, priority))?;
        run.map(|run| run.0).map_err(|error| raise(py, &error))
    }

    #[pyo3(signature = (run, limit = 0))]
    fn ready(&self, py: Python<'_>, run: u64, limit: usize) -> PyResult<Vec<String>> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.ready(RunId(run), limit))?.map_err(|error| raise(py, &error))
    }

    #[pyo3(signature = (run, node, artifact = None))]
    fn complete(
        &self,
        py: Python<'_>,
        run: u64,
        node: String,
        artifact: Option<String>,
    ) -> PyResult<Vec<String>> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.complete(RunId(run), &node, artifact.as_deref()))?
            .map_err(|error| raise(py, &error))
    }

    fn fail(
        &self,
        py: Python<'_>,
        run: u64,
        node: String,
        reason: String,
    ) -> PyResult<Vec<String>> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.fail(RunId(run), &node, &reason))?.map_err(|error| raise(py, &error))
    }

    #[pyo3(signature = (run, node, reason = None))]
    fn skip(
        &self,
        py: Python<'_>,
        run: u64,
        node: String,
        reason: Option<String>,
    ) -> PyResult<Vec<String>> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.skip(RunId(run), &node, reason.as_deref()))?
            .map_err(|error| raise(py, &error))
    }

    fn retry(&self, py: Python<'_>, run: u64, node: String) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.retry(RunId(run), &node))?.map_err(|error| raise(py, &error))
    }

    fn cancel(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.cancel(RunId(run)))?.map_err(|error| raise(py, &error))
    }

    fn forget(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.forget(RunId(run)))?.map_err(|error| raise(py, &error))
    }

    fn status<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyDict>> {
        let tracker = self.tracker(py)?;
        let status =
            enter(py, || tracker.status(RunId(run)))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("run", status.run.0)?;
        entry.set_item("state", status.state.as_str())?;
        entry.set_item("priority", status.priority)?;
        entry.set_item("resumed", status.resumed)?;
        let nodes = PyDict::new(py);
        for node in &status.nodes {
            let fields = PyDict::new(py);
            fields.set_item("state", node.state.as_str())?;
            fields.set_item("artifact", node.artifact.as_deref())?;
            fields.set_item("reason", node.reason.as_deref())?;
            nodes.set_item(&*node.name, fields)?;
        }
        entry.set_item("nodes", nodes)?;
        Ok(entry)
    }

    fn runs(&self, py: Python<'_>) -> PyResult<HashMap<u64, &'static str>> {
        let tracker = self.tracker(py)?;
        let runs = enter(py, || tracker.runs())?;
        Ok(runs.into_iter().map(|(run, state)| (run.0, state.as_str())).collect())
    }
}
