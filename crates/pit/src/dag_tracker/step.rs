//! What a caller says to the tracker: submissions and moves, and the totals that it gets back.

use super::RunPolicy;

/// What a submission says besides its graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitOptions {
    /// Larger runs first.
    pub priority: i64,
    /// Kept with the run and read back with it: whoever resumes it finds there what it is.
    pub label: String,
    /// Whether this run is written to the tracker's journal, where it has one.
    pub journaled: bool,
    /// Whether its nodes are given to whoever takes the next node of any run.
    pub queued: bool,
    /// Retries, back-off, timeouts, deadline.
    pub policy: RunPolicy,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self {
            priority: crate::priority::NORMAL,
            label: String::new(),
            journaled: true,
            queued: false,
            policy: RunPolicy::default(),
        }
    }
}

/// A move of one node, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// It is done.
    Complete {
        /// The node.
        node: u32,
        /// The artifact that it made.
        artifact: Option<&'a str>,
    },
    /// It ended without a result; it is tried again where its run says so.
    Fail {
        /// The node.
        node: u32,
        /// Why.
        reason: &'a str,
    },
    /// It counts as done, without a value.
    Skip {
        /// The node.
        node: u32,
        /// Why.
        reason: Option<&'a str>,
    },
    /// It failed and may run again.
    Retry {
        /// The node.
        node: u32,
    },
}

impl<'a> Step<'a> {
    /// The artifact that it says was made.
    pub(super) const fn artifact(&self) -> Option<&'a str> {
        match *self {
            Self::Complete { artifact, .. } => artifact,
            _ => None,
        }
    }

    /// The node that moves.
    pub const fn node(&self) -> u32 {
        match *self {
            Self::Complete { node, .. }
            | Self::Fail { node, .. }
            | Self::Skip { node, .. }
            | Self::Retry { node } => node,
        }
    }

    pub(super) const fn doing(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "complete",
            Self::Fail { .. } => "fail",
            Self::Skip { .. } => "skip",
            Self::Retry { .. } => "retry",
        }
    }
}

/// Totals since the tracker was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrackerStats {
    /// Runs in memory.
    pub runs: usize,
    /// Runs that were read back at open.
    pub resumed: u64,
    /// Runs that were submitted.
    pub submitted: u64,
    /// Moves of nodes.
    pub steps: u64,
    /// Bytes in the journal, 0 without one.
    pub journal_bytes: u64,
}
