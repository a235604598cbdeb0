//! A node of a run: where it stands while the scheduler works on it, and what became of it afterwards.
//!
//! The scheduler keeps a [`NodeRun`] for each; [`super::Run::nodes`] reads them when the run has ended. Invariant: nothing is
//! copied at the end of a run; records are made when somebody asks for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::Payload;

use super::calls::Target;
use super::failure::RunFailure;
use super::score::Score;
use crate::KitError;

/// One node of a run.
#[derive(Default)]
pub(super) struct NodeRun {
    pub(super) stage: Stage,
    /// Tries before the current one.
    pub(super) attempt: u32,
    /// Since when its target has been refusing it.
    pub(super) refused_since: Option<Instant>,
    /// How often it was refused.
    pub(super) refusals: u32,
    /// For a stand-in: whom it stands in for, and why.
    pub(super) owners: Vec<(usize, RunFailure)>,
    /// How long its last call took.
    pub(super) took: Duration,
    /// It was given up and has no value.
    pub(super) skipped: bool,
    /// Why its last call failed, for good.
    pub(super) error: Option<Arc<KitError>>,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Stage {
    /// Waits for what it uses, or stands by.
    #[default]
    Waiting,
    /// In the queue of its target.
    Ready { since: Instant },
    /// Its call is on its way.
    Sent { call: u64, target: Target, ready: Instant, sent: Instant },
    /// Waits for its next try.
    Resting,
    /// Has its value, or is skipped.
    Done,
    /// A stand-in that failed.
    Failed,
}

/// Where a node stood when its run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// It has its value; its own, or that of its stand-in.
    Done,
    /// It was given up, and the run went on.
    Skipped,
    /// It failed, and the run with it, or its stand-in was asked.
    Failed,
    /// Its call was on its way when the run ended.
    Cancelled,
    /// It was never called: what it waits for did not come, or nobody needed its stand-in.
    Unused,
}

impl NodeState {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unused => "unused",
        }
    }
}

/// What became of one node.
#[derive(Debug, Clone)]
pub struct NodeRecord {
    /// Its id.
    pub id: Arc<str>,
    /// The operation that it calls.
    pub call: Arc<str>,
    /// Where it stood at the end.
    pub state: NodeState,
    /// How long its last call took, from its sending.
    pub took: Duration,
    /// How often it was called.
    pub attempts: u32,
    /// Why its last call failed, also where the run went on without it.
    pub error: Option<Arc<KitError>>,
    /// Its value, or that of its stand-in, where it is done; of a run that failed too.
    pub value: Option<Payload>,
}

/// The nodes of a run, as it left them.
pub(super) struct NodeEnds {
    pub(super) score: Arc<Score>,
    pub(super) nodes: Vec<NodeRun>,
    /// What nodes had when the run failed; nothing of one that is done, which has handed them on.
    pub(super) values: Vec<Option<Payload>>,
}

impl NodeEnds {
    /// What became of each node; `results` are the values of a run that is done.
    pub(super) fn records(
        &self,
        results: Option<&[(Arc<str>, Option<Payload>)]>,
    ) -> Vec<NodeRecord> {
        let value = |place: usize| match results {
            Some(results) => results.get(place).and_then(|(_, value)| value.clone()),
            None => self.values.get(place).cloned().flatten(),
        };
        (0..)
            .zip(self.score.nodes.iter().zip(&self.nodes))
            .map(|(place, (part, node))| NodeRecord {
                id: Arc::clone(&part.id),
                call: Arc::clone(&part.call),
                state: node.state(),
                took: node.took,
                attempts: node.attempts(),
                error: node.error.clone(),
                value: value(place),
            })
            .collect()
    }
}

impl NodeRun {
    fn state(&self) -> NodeState {
        match self.stage {
            Stage::Done if self.skipped => NodeState::Skipped,
            Stage::Done => NodeState::Done,
            _ if self.error.is_some() => NodeState::Failed,
            Stage::Sent { .. } | Stage::Resting => NodeState::Cancelled,
            Stage::Waiting | Stage::Ready { .. } | Stage::Failed => NodeState::Unused,
        }
    }

    fn attempts(&self) -> u32 {
        let called = self.error.is_some()
            || match self.stage {
                // A node whose stand-in was called for it has an error of its own.
                Stage::Done => !self.skipped,
                Stage::Sent { .. } | Stage::Resting | Stage::Failed => true,
                Stage::Waiting | Stage::Ready { .. } => self.attempt > 0,
            };
        if called { self.attempt + 1 } else { 0 }
    }
}
