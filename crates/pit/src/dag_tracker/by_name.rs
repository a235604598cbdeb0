//! The tracker by the names of nodes, as Python and tools call it; the same state as by index.

use std::sync::Arc;
use std::time::Instant;

use crate::PitResult;

use super::tracker::unknown_node;
use super::{DagTracker, RunId, Shape, SubmitOptions};

impl DagTracker {
    /// Starts a run of a graph: each node's name with the names that it needs.
    ///
    /// # Errors
    /// As [`Shape::new`]; the journal cannot be written.
    pub fn submit(&self, graph: &[(String, Vec<String>)], priority: i64) -> PitResult<RunId> {
        let options = SubmitOptions { priority, queued: true, ..SubmitOptions::default() };
        self.submit_with(&Shape::new(graph)?, &options)
    }

    /// The ready nodes of a run by name, the one that became ready first in front; at most `limit`, 0 for all. A node
    /// is listed until it is started, completed, failed or skipped.
    ///
    /// # Errors
    /// There is no such run.
    pub fn ready(&self, run: RunId, limit: usize) -> PitResult<Vec<String>> {
        self.with(run, |run| {
            let limit = if limit == 0 { usize::MAX } else { limit };
            Ok(run.ready().take(limit).map(|node| run.name(node)).collect())
        })
    }

    /// Starts the node of that name, or the one that became ready first: two callers are never given the same one. None:
    /// no node is ready now.
    ///
    /// # Errors
    /// There is no such run or node, or the node of that name is not ready.
    pub fn start_next(&self, run: RunId, node: Option<&str>) -> PitResult<Option<Arc<str>>> {
        self.with(run, |run| {
            let node = match node {
                None => run.ready().next(),
                Some(name) => {
                    let node = run.shape.index(name).ok_or_else(|| unknown_node(run.id, name))?;
                    if !run.may_start(node) {
                        return Err(run.refusal("start", node));
                    }
                    Some(node)
                }
            };
            let Some(node) = node else { return Ok(None) };
            run.start(node, Instant::now());
            Ok(run.shape.name(node).cloned())
        })
    }

    /// Completes a node by name and says which nodes became ready.
    ///
    /// # Errors
    /// There is no such run or node, the node is not ready or running, or the journal cannot be written.
    pub fn complete(
        &self,
        run: RunId,
        node: &str,
        artifact: Option<&str>,
    ) -> PitResult<Vec<String>> {
        let (shape, node) = self.find(run, node)?;
        let mut ready = Vec::new();
        self.complete_index(run, node, artifact, &mut ready)?;
        Ok(names(&shape, &ready))
    }

    /// Fails a node by name and says which nodes are blocked by it.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn fail(&self, run: RunId, node: &str, reason: &str) -> PitResult<Vec<String>> {
        let (shape, node) = self.find(run, node)?;
        let mut blocked = Vec::new();
        self.fail_index(run, node, reason, &mut blocked)?;
        Ok(names(&shape, &blocked))
    }

    /// Skips a node by name: it counts as done, without a value. Says which nodes became ready.
    ///
    /// # Errors
    /// There is no such run or node, the node is done already, or the journal cannot be written.
    pub fn skip(&self, run: RunId, node: &str, reason: Option<&str>) -> PitResult<Vec<String>> {
        let (shape, node) = self.find(run, node)?;
        let mut ready = Vec::new();
        self.skip_index(run, node, reason, &mut ready)?;
        Ok(names(&shape, &ready))
    }

    /// Makes a failed node ready again; nodes that only it blocked wait again.
    ///
    /// # Errors
    /// There is no such run or node, the node did not fail, or the journal cannot be written.
    pub fn retry(&self, run: RunId, node: &str) -> PitResult<()> {
        let (_, node) = self.find(run, node)?;
        self.retry_index(run, node).map(drop)
    }

    fn find(&self, run: RunId, node: &str) -> PitResult<(Arc<Shape>, u32)> {
        let shape = self.shape(run)?;
        let index = shape.index(node).ok_or_else(|| unknown_node(run, node))?;
        Ok((shape, index))
    }
}

fn names(shape: &Shape, nodes: &[u32]) -> Vec<String> {
    nodes.iter().filter_map(|&node| shape.name(node)).map(ToString::to_string).collect()
}
