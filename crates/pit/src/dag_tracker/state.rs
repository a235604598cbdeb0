//! The states of runs and nodes, and what a status report says.

use std::sync::Arc;

/// The number of a run: never used twice in one state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

impl std::fmt::Display for RunId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Where a node of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NodeState {
    /// Waits for what it needs.
    Pending,
    /// May run; given out until it is completed, failed or skipped.
    Ready,
    /// Somebody said that it runs.
    Running,
    /// Done, with or without an artifact.
    Completed,
    /// Ended with a reason; its dependants are blocked.
    Failed,
    /// Counts as done, without a value.
    Skipped,
    /// A node that it needs, directly or not, failed.
    Blocked,
    /// The run was cancelled before it was done.
    Cancelled,
    /// It failed, and is tried again after a pause.
    Waiting,
}

impl NodeState {
    /// How many states there are.
    pub(super) const COUNT: usize = 9;

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
            Self::Waiting => "waiting",
        }
    }

    /// Whether what needs this node may go on.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunState {
    /// A node is ready or running, or is tried again after a pause.
    Active,
    /// Every node is completed or skipped.
    Completed,
    /// A node failed and nothing else can go on.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunState {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing of it will become ready by itself.
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Active)
    }
}

/// How many nodes stand in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCounts(pub(super) [u32; NodeState::COUNT]);

impl NodeCounts {
    /// The number of nodes in that state.
    pub const fn of(&self, state: NodeState) -> u32 {
        self.0[state as usize]
    }

    pub(super) fn shift(&mut self, from: NodeState, to: NodeState) {
        self.0[from as usize] -= 1;
        self.0[to as usize] += 1;
    }
}

/// One node in a [`RunStatus`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: NodeState,
    /// The artifact that it was completed with.
    pub artifact: Option<Arc<str>>,
    /// Why it failed or was skipped.
    pub reason: Option<Arc<str>>,
    /// How often it failed.
    pub attempts: u32,
}

/// What is known of a run, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// Its priority.
    pub priority: i64,
    /// What its submitter wrote on it.
    pub label: Arc<str>,
    /// Whether it was read back from the journal of an earlier process.
    pub resumed: bool,
    /// Its nodes, in the order of the graph as it was submitted.
    pub nodes: Vec<NodeStatus>,
    /// How many of them stand in each state.
    pub counts: NodeCounts,
}
