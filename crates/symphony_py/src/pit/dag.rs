//! `pit.dag`.

use std::collections::{BTreeMap, HashMap};

use ::pit::PitError;
use ::pit::dag_tracker::{DagTracker as Tracker, RunId, RunPolicy, Shape, SubmitOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::member_ref::{Calling, MemberRef};
use crate::door::enter::{enter, wait_asking};
use crate::door::error::raise;
use crate::door::span::{limit, span};

/// Each node with what it needs.
type Graph = Vec<(String, Vec<String>)>;

/// Running graphs: what is ready, completed, failed.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct DagTracker {
    member: MemberRef<Tracker>,
}

impl DagTracker {
    pub(super) fn new(member: MemberRef<Tracker>) -> Self {
        Self { member }
    }

    /// The member itself, as long as it is in its place.
    fn tracker(&self, py: Python<'_>) -> PyResult<Calling<'_, Tracker>> {
        self.member.get(py)
    }
}

/// `{node: [needs]}` as the core takes it.
fn graph_of(graph: &Bound<'_, PyDict>) -> PyResult<Graph> {
    graph
        .iter()
        .map(|(node, needs)| {
            let needs =
                needs.try_iter()?.map(|need| need?.extract()).collect::<PyResult<Vec<String>>>()?;
            Ok((node.extract()?, needs))
        })
        .collect()
}

/// A value for all nodes, or `{node: value}` for some: the first, and the others by the index of their node.
fn by_node<T>(
    shape: &Shape,
    given: Option<&Bound<'_, PyAny>>,
    read: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<(Option<T>, BTreeMap<u32, T>)> {
    let Some(given) = given else { return Ok((None, BTreeMap::new())) };
    let Ok(nodes) = given.cast::<PyDict>() else {
        return Ok((Some(read(given)?), BTreeMap::new()));
    };
    let mut values = BTreeMap::new();
    for (name, value) in nodes {
        let name: String = name.extract()?;
        let node = shape.index(&name).ok_or_else(|| {
            let error = PitError::NotFound { kind: "node of the graph", name };
            raise(given.py(), &error)
        })?;
        values.insert(node, read(&value)?);
    }
    Ok((None, values))
}

#[pymethods]
impl DagTracker {
    /// Starts a run of a graph; nodes without needs are ready at once.
    ///
    /// Args:
    ///     graph: Each node with the nodes that must be done before it.
    ///     priority: Larger is served first by `take`.
    ///     soft: Further needs that may end in any way: a node waits until they have ended, and runs also where they failed.
    ///     optional: As `soft`, of what need not be in the graph at all.
    ///     retries: How often a node that failed is tried again; or that for single nodes by name.
    ///     back_off: Seconds before the second attempt; they double with each further one, to five minutes at most.
    ///     timeout: Seconds after which a node that was started counts as failed; or that for single nodes by name.
    ///     deadline: Seconds from now after which everything that is not done fails, also after a restart.
    ///     label: Kept with the run and read back with it, for whoever goes on with it after a restart.
    ///
    /// Returns:
    ///     The number of the run, which is never used twice in one state folder.
    ///
    /// Raises:
    ///     InvalidValueError: A need that is no node, a cycle, or a time that is no number of seconds; nothing was started.
    #[pyo3(signature = (
        graph, *, priority = 0, soft = None, optional = None, retries = None, back_off = 0.1, timeout = None,
        deadline = None, label = String::new()
    ))]
    #[pyo3(
        text_signature = "($self, graph, *, priority=0, soft=None, optional=None, retries=None, back_off=0.1, timeout=None, deadline=None, label='')"
    )]
    fn submit(
        &self,
        py: Python<'_>,
        graph: &Bound<'_, PyDict>,
        priority: i64,
        soft: Option<&Bound<'_, PyDict>>,
        optional: Option<&Bound<'_, PyDict>>,
        retries: Option<&Bound<'_, PyAny>>,
        back_off: f64,
        timeout: Option<&Bound<'_, PyAny>>,
        deadline: Option<f64>,
        label: String,
    ) -> PyResult<u64> {
        let tracker = self.tracker(py)?;
        let graph = graph_of(graph)?;
        let soft = soft.map(graph_of).transpose()?.unwrap_or_default();
        let optional = optional.map(graph_of).transpose()?.unwrap_or_default();
        let shape = enter(py, || Shape::with_soft(&graph, &soft, &optional))?
            .map_err(|error| raise(py, &error))?;
        let (retries, retries_of) =
            by_node(&shape, retries, |value: &Bound<'_, PyAny>| value.extract())?;
        let seconds = |value: &Bound<'_, PyAny>| span(py, "timeout", value.extract()?);
        let (timeout, timeout_of) = by_node(&shape, timeout, seconds)?;
        let policy = RunPolicy {
            retries: retries.unwrap_or(0),
            retries_of,
            back_off: span(py, "back_off", back_off)?,
            timeout,
            timeout_of,
            deadline: None,
        };
        let policy = policy.ending_in(limit(py, "deadline", deadline)?);
        let options = SubmitOptions { priority, label, journaled: true, queued: true, policy };
        let run = enter(py, || tracker.submit_with(&shape, &options))?;
        run.map(|run| run.0).map_err(|error| raise(py, &error))
    }

    /// The ready nodes of a run, the one that became ready first in front; a node is listed until it is started or ends.
    ///
    /// Args:
    ///     run: The run.
    ///     limit: At most so many; 0: all.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run.
    #[pyo3(signature = (run, limit = 0))]
    fn ready(&self, py: Python<'_>, run: u64, limit: usize) -> PyResult<Vec<String>> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.ready(RunId(run), limit))?.map_err(|error| raise(py, &error))
    }

    /// Starts a node: it is the caller's, and no other caller of the run is given it. After a crash it is ready again.
    ///
    /// Args:
    ///     run: The run.
    ///     node: The node; `None`: the one that became ready first.
    ///
    /// Returns:
    ///     The node; `None` where no name was given and no node is ready now.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run or node.
    ///     InvalidValueError: The node of that name is not ready; somebody else may have started it.
    #[pyo3(signature = (run, node = None))]
    fn start(&self, py: Python<'_>, run: u64, node: Option<String>) -> PyResult<Option<String>> {
        let tracker = self.tracker(py)?;
        let node = enter(py, || tracker.start_next(RunId(run), node.as_deref()))?;
        node.map(|node| node.map(|node| node.to_string())).map_err(|error| raise(py, &error))
    }

    /// Starts the next nodes of all runs, by priority and by how long a run has waited: 10 points a second, so that no
    /// stream of urgent runs starves one in the background.
    ///
    /// Args:
    ///     limit: At most so many.
    ///     timeout: Seconds to wait until there is one; `None`: for ever.
    ///
    /// Returns:
    ///     Pairs of run and node, each given to one caller; none where there was none in time.
    ///
    /// Raises:
    ///     StoppedError: The system was shut down meanwhile.
    #[pyo3(signature = (limit = 1, timeout = Some(0.0)))]
    #[pyo3(text_signature = "($self, limit=1, timeout=0.0)")]
    fn take(
        &self,
        py: Python<'_>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Vec<(u64, String)>> {
        let tracker = self.tracker(py)?;
        let timeout = self::limit(py, "timeout", timeout)?;
        let taken = wait_asking(py, |asks| tracker.take_polling(limit, timeout, asks))?
            .map_err(|error| raise(py, &error))?;
        Ok(taken.into_iter().map(|(run, node)| (run.0, node.to_string())).collect())
    }

    /// Marks a node as done; it is never ready again, also after a restart.
    ///
    /// Args:
    ///     run: The run.
    ///     node: The node, ready or started.
    ///     artifact: What it made; it counts as in use as long as the run may go on.
    ///
    /// Returns:
    ///     The nodes that became ready by it.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run or node; or the artifact was deleted, and the node is as it was.
    ///     InvalidValueError: The node is neither ready nor started.
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

    /// Marks a node as failed. It is tried again after a pause where its run has retries left for it.
    ///
    /// Returns:
    ///     The nodes that are blocked by it, directly or not; none where it is tried again.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run or node.
    ///     InvalidValueError: The node is neither ready nor started.
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

    /// Marks a node as done without a value.
    ///
    /// Returns:
    ///     The nodes that became ready by it.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run or node.
    ///     InvalidValueError: The node is done already.
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

    /// Makes a failed node, or one that waits for its next attempt, ready again.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run or node.
    ///     InvalidValueError: The node has not failed.
    fn retry(&self, py: Python<'_>, run: u64, node: String) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.retry(RunId(run), &node))?.map_err(|error| raise(py, &error))
    }

    /// Cancels a run: what is not done never becomes ready. Twice is once.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run.
    ///     InvalidValueError: It is completed.
    fn cancel(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.cancel(RunId(run)))?.map_err(|error| raise(py, &error))
    }

    /// Drops a finished run from memory.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run.
    ///     InvalidValueError: It is still active.
    fn forget(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        let tracker = self.tracker(py)?;
        enter(py, || tracker.forget(RunId(run)))?.map_err(|error| raise(py, &error))
    }

    /// Where a run and each of its nodes stand, as `symphony.records.RunStatus` tells it.
    ///
    /// Raises:
    ///     NotFoundError: There is no such run.
    fn status<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyDict>> {
        let tracker = self.tracker(py)?;
        let status =
            enter(py, || tracker.status(RunId(run)))?.map_err(|error| raise(py, &error))?;
        let entry = PyDict::new(py);
        entry.set_item("run", status.run.0)?;
        entry.set_item("state", status.state.as_str())?;
        entry.set_item("priority", status.priority)?;
        entry.set_item("label", &*status.label)?;
        entry.set_item("resumed", status.resumed)?;
        let nodes = PyDict::new(py);
        for node in &status.nodes {
            let fields = PyDict::new(py);
            fields.set_item("state", node.state.as_str())?;
            fields.set_item("artifact", node.artifact.as_deref())?;
            fields.set_item("reason", node.reason.as_deref())?;
            if node.attempts > 0 {
                fields.set_item("attempts", node.attempts)?;
            }
            nodes.set_item(&*node.name, fields)?;
        }
        entry.set_item("nodes", nodes)?;
        Ok(entry)
    }

    /// Every run in memory with its state: those of this process, and those that an earlier one did not finish.
    fn runs(&self, py: Python<'_>) -> PyResult<HashMap<u64, &'static str>> {
        let tracker = self.tracker(py)?;
        let runs = enter(py, || tracker.runs())?;
        Ok(runs.into_iter().map(|(run, state)| (run.0, state.as_str())).collect())
    }
}
