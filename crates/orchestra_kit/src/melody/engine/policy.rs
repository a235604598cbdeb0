//! Who runs next when more nodes are ready than slots are free.

use std::sync::Arc;

use component::Code;

/// A node that could run now.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadyNode {
    /// Its run.
    pub run: u64,
    /// The run's Melody.
    pub melody: Arc<str>,
    /// Its id in the Melody.
    pub node: Arc<str>,
    /// What it calls.
    pub call: Arc<str>,
    /// The run's priority.
    pub priority: i64,
    /// Tries before this one.
    pub attempt: u32,
    /// Seconds since it became ready.
    pub waited: f64,
    /// Seconds since its run was submitted.
    pub age: f64,
    /// Nodes of its run that are not done.
    pub remaining: u32,
    /// Nodes on the longest way from it to the end of its run, itself included.
    pub critical_path: u32,
    /// Its extension would have to be started first.
    pub cold: bool,
    /// Ready nodes that wait for the same extension, this one among them.
    pub queue: u32,
}

/// What became of a call of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its run.
    pub run: u64,
    /// The run's Melody.
    pub melody: Arc<str>,
    /// Its id in the Melody.
    pub node: Arc<str>,
    /// What it called.
    pub call: Arc<str>,
    /// Tries before this one.
    pub attempt: u32,
    /// Seconds between becoming ready and being sent.
    pub waited: f64,
    /// Seconds between being sent and its outcome.
    pub seconds: f64,
    /// None: it has its value; else the word of its error.
    pub error: Option<Code>,
}

/// Chooses and learns. Called on one thread, never twice at a time.
pub trait Policy: Send {
    /// The indices of the nodes to run, best first; what is beyond `slots` is not used.
    fn choose(&mut self, ready: &[ReadyNode], slots: usize) -> Vec<usize>;

    /// Told of each outcome.
    fn observe(&mut self, outcome: &Outcome) {
        let _ = outcome;
    }
}

/// The oldest run first; larger priorities before it. What the engine itself does without a policy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fifo;

impl Policy for Fifo {
    fn choose(&mut self, ready: &[ReadyNode], slots: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..ready.len()).collect();
        order.sort_by_key(|index| (std::cmp::Reverse(ready[*index].priority), ready[*index].run));
        order.truncate(slots);
        order
    }
}
