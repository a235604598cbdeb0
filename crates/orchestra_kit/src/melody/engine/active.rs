//! A run while it runs, as the scheduler holds it.

use std::sync::Arc;

use ipc::Payload;
use parking_lot::{Condvar, Mutex};
use pit::dag_tracker::RunId;

use super::failure::RunFailure;
use super::node::{NodeEnds, NodeRun};
use super::queue::standing;
use super::run::Shared;
use super::score::Score;
use crate::KitError;

/// How many runs are not over.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) runs: Mutex<usize>,
    pub(super) idle: Condvar,
}

/// Everything of one run. Dropped in whatever way, the run has ended and its submitter knows.
pub(super) struct Active {
    pub(super) score: Arc<Score>,
    pub(super) dag: Option<RunId>,
    pub(super) priority: i64,
    /// Its place in the queues.
    pub(super) standing: i64,
    pub(super) inputs: Vec<Payload>,
    pub(super) values: Vec<Option<Payload>>,
    pub(super) nodes: Vec<NodeRun>,
    /// Nodes of the shape that are not done.
    pub(super) remaining: u32,
    pub(super) shared: Arc<Shared>,
    gauge: Arc<Gauge>,
}

impl Active {
    pub(super) fn new(
        score: Arc<Score>,
        inputs: Vec<Payload>,
        priority: i64,
        shared: Arc<Shared>,
        gauge: Arc<Gauge>,
    ) -> Self {
        *gauge.runs.lock() += 1;
        let count = score.nodes.len();
        Self {
            dag: None,
            priority,
            standing: standing(priority),
            inputs,
            values: vec![None; count],
            nodes: std::iter::repeat_with(NodeRun::default).take(count).collect(),
            remaining: score.shape.len(),
            score,
            shared,
            gauge,
        }
    }

    pub(super) fn failure(&self, node: usize, error: Arc<KitError>) -> RunFailure {
        let part = &self.score.nodes[node];
        RunFailure {
            melody: Arc::clone(&self.score.name),
            node: Some(Arc::clone(&part.id)),
            call: Some(Arc::clone(&part.call)),
            attempts: self.nodes[node].attempt + 1,
            error,
            stand_ins: Vec::new(),
        }
    }

    pub(super) fn ended_by(&self, error: KitError) -> RunFailure {
        RunFailure {
            melody: Arc::clone(&self.score.name),
            node: None,
            call: None,
            attempts: 0,
            error: Arc::new(error),
            stand_ins: Vec::new(),
        }
    }

    /// What became of its nodes; for the one moment in which it ends.
    pub(super) fn ends(&mut self) -> NodeEnds {
        NodeEnds {
            score: Arc::clone(&self.score),
            nodes: std::mem::take(&mut self.nodes),
            values: std::mem::take(&mut self.values),
        }
    }

    /// The values by node, in the Melody's order.
    pub(super) fn results(&mut self) -> super::Results {
        let values = std::mem::take(&mut self.values);
        self.score.nodes.iter().map(|part| Arc::clone(&part.id)).zip(values).collect()
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // The first ending counts: this one is for runs that the engine did not bring to theirs.
        let failure = self.ended_by(KitError::Stopped { what: "the Melody engine" });
        let nodes = self.ends();
        self.shared.end(Err(failure), Some(nodes));
        let mut runs = self.gauge.runs.lock();
        *runs = runs.saturating_sub(1);
        if *runs == 0 {
            self.gauge.idle.notify_all();
        }
    }
}
