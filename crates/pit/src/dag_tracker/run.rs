//! One pass through a shape: pure state, no lock, no clock, no file; moments are handed in.
//!
//! Every move is split in two: `accepts` says whether it is lawful without changing anything, `perform` cannot fail. Between the two stands the journal, so that what is in memory is never ahead of what is on disk. No move
//! allocates for the nodes it passes through; the ready nodes are a linked list inside the node table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::record::About;
use super::{NodeCounts, NodeState, RunId, RunState, Shape, Step};

/// Why nodes of a run fail whose deadline has passed.
pub(super) const EXPIRED: &str = "the deadline of the run has passed";

/// No node: the end of the ready list.
const NONE: u32 = u32::MAX;

/// Sixteen bytes for each node, so that a run of 10,000 nodes is 160 KB.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// How many needs are not done.
    open: u32,
    /// Neighbours in the ready list; meaningful while ready.
    next: u32,
    previous: u32,
    state: NodeState,
}

/// A run. Node indices must be below the shape's length: the tracker checks them.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, not one state")]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) shape: Arc<Shape>,
    pub(super) priority: i64,
    pub(super) label: Arc<str>,
    pub(super) resumed: bool,
    pub(super) journaled: bool,
    pub(super) cancelled: bool,
    /// Taken out of the tracker while somebody still held it.
    pub(super) forgotten: bool,
    pub(super) about: About,
    /// The deadline has passed, and what was not done by then has failed.
    pub(super) expired: bool,
    /// The deadline as a moment of this process's clock.
    pub(super) ends_at: Option<Instant>,
    /// How often a node failed; only those that did.
    attempts: HashMap<u32, u32>,
    /// When the pause of a waiting node ends, or the time of a running one.
    moments: BTreeMap<u32, Instant>,
    nodes: Vec<Node>,
    first: u32,
    last: u32,
    counts: NodeCounts,
    artifacts: HashMap<u32, Arc<str>>,
    reasons: HashMap<u32, Arc<str>>,
    /// Worklist of `block` and `unblock`, kept for its memory.
    work: Vec<u32>,
}

impl Run {
    pub(super) fn new(id: RunId, shape: &Arc<Shape>, priority: i64, label: Arc<str>) -> Self {
        let nodes: Vec<Node> = (0..shape.len())
            .map(|node| Node {
                open: u32::try_from(shape.needs(node).len()).unwrap_or(u32::MAX),
                next: NONE,
                previous: NONE,
                state: NodeState::Pending,
            })
            .collect();
        let mut counts = NodeCounts::default();
        counts.0[NodeState::Pending as usize] = shape.len();
        let mut run = Self {
            id,
            shape: Arc::clone(shape),
            priority,
            label,
            resumed: false,
            journaled: true,
            cancelled: false,
            forgotten: false,
            about: About::default(),
            expired: false,
            ends_at: None,
            attempts: HashMap::new(),
            moments: BTreeMap::new(),
            nodes,
            first: NONE,
            last: NONE,
            counts,
            artifacts: HashMap::new(),
            reasons: HashMap::new(),
            work: Vec::new(),
        };
        for &root in shape.roots() {
            run.set(root, NodeState::Ready);
        }
        run
    }

    /// Says what was submitted besides the graph.
    pub(super) fn begin(&mut self, about: About, now: Instant) {
        self.ends_at = about.policy.left().and_then(|left| now.checked_add(left));
        self.about = about;
    }

    pub(super) fn node_state(&self, node: u32) -> NodeState {
        self.nodes[node as usize].state
    }

    pub(super) fn counts(&self) -> NodeCounts {
        self.counts
    }

    pub(super) fn artifact(&self, node: u32) -> Option<&Arc<str>> {
        self.artifacts.get(&node)
    }

    pub(super) fn artifacts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.artifacts.values()
    }

    /// The artifacts that it holds, to be let go of once its end is acknowledged.
    pub(super) fn held(&self) -> Vec<Arc<str>> {
        self.artifacts().cloned().collect()
    }

    pub(super) fn reason(&self, node: u32) -> Option<&Arc<str>> {
        self.reasons.get(&node)
    }

    pub(super) fn state(&self) -> RunState {
        if self.cancelled {
            RunState::Cancelled
        } else if [NodeState::Ready, NodeState::Running, NodeState::Waiting]
            .iter()
            .any(|state| self.counts.of(*state) > 0)
        {
            RunState::Active
        } else if self.counts.of(NodeState::Failed) > 0 {
            RunState::Failed
        } else {
            RunState::Completed
        }
    }

    /// The ready nodes, the one that became ready first in front.
    pub(super) fn ready(&self) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.first;
        std::iter::from_fn(move || {
            let node = at;
            let entry = self.nodes.get(node as usize)?;
            at = entry.next;
            Some(node)
        })
    }

    /// Whether the move is lawful now: completing and failing ask for a node that was given out, skipping for one that
    /// is not done, retrying for one that failed. Moves of different nodes do not change each other's answer.
    pub(super) fn accepts(&self, step: Step<'_>) -> bool {
        let state = self.node_state(step.node());
        !self.cancelled
            && match step {
                Step::Complete { .. } | Step::Fail { .. } => {
                    matches!(state, NodeState::Ready | NodeState::Running)
                }
                Step::Skip { .. } => !state.is_done(),
                Step::Retry { .. } => matches!(state, NodeState::Failed | NodeState::Waiting),
            }
    }

    pub(super) fn attempts(&self, node: u32) -> u32 {
        self.attempts.get(&node).copied().unwrap_or(0)
    }

    /// What the clock has to do next, and when.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        if self.state() != RunState::Active {
            return None;
        }
        self.moments.values().copied().chain(self.ends_at).min()
    }

    /// A node whose time is over by now.
    pub(super) fn overdue(&self, now: Instant) -> Option<u32> {
        let over = |(node, at): (&u32, &Instant)| {
            (*at <= now && self.node_state(*node) == NodeState::Running).then_some(*node)
        };
        self.moments.iter().find_map(over)
    }

    /// Nodes whose pause is over by now are ready.
    pub(super) fn wake(&mut self, now: Instant) {
        let over = |(node, at): (&u32, &Instant)| {
            (*at <= now && self.node_state(*node) == NodeState::Waiting).then_some(*node)
        };
        let woken: Vec<u32> = self.moments.iter().filter_map(over).collect();
        for node in woken {
            self.come_again(node);
        }
    }

    /// Whether the deadline has passed and nobody has said so.
    pub(super) fn must_expire(&self, now: Instant) -> bool {
        !self.expired
            && self.ends_at.is_some_and(|end| end <= now)
            && self.state() == RunState::Active
    }

    /// Fails everything that is not done, without another attempt.
    pub(super) fn expire(&mut self) {
        self.expired = true;
        let reason: Arc<str> = Arc::from(EXPIRED);
        // A failure makes what only softly needs it ready, so it is gone through until nothing is.
        while self.state() == RunState::Active && !self.cancelled {
            for node in 0..self.shape.len() {
                let state = self.node_state(node);
                if matches!(state, NodeState::Ready | NodeState::Running | NodeState::Waiting) {
                    self.fail_for_good(
                        node,
                        Some(Arc::clone(&reason)),
                        &mut Vec::new(),
                        &mut Vec::new(),
                    );
                }
            }
        }
    }

    /// Sets how often a node had failed when its journal was written anew.
    pub(super) fn restore(&mut self, node: u32, attempts: u32, waiting: bool, now: Instant) {
        self.attempts.insert(node, attempts);
        if waiting && self.node_state(node) == NodeState::Ready {
            self.pause(node, now);
        }
    }

    fn pause(&mut self, node: u32, now: Instant) {
        self.set(node, NodeState::Waiting);
        let pause = self.about.policy.pause(self.attempts(node));
        self.moments.insert(node, now.checked_add(pause).unwrap_or(now));
    }

    /// The same for records that are read back: a journal that was written anew lists nodes by index, so a node may
    /// be completed there before what it needs.
    pub(super) fn accepts_at_replay(&self, step: Step<'_>) -> bool {
        // Nor are the ends of pauses and times written down.
        let state = self.node_state(step.node());
        let moved_by_itself = matches!(state, NodeState::Pending | NodeState::Waiting);
        self.accepts(step) || !self.cancelled && moved_by_itself
    }

    /// Makes a move that was accepted. What becomes ready and what becomes blocked is appended.
    pub(super) fn perform(
        &mut self,
        step: Step<'_>,
        now: Instant,
        ready: &mut Vec<u32>,
        blocked: &mut Vec<u32>,
    ) {
        match step {
            Step::Complete { node, artifact } => {
                self.complete(node, artifact.map(Arc::from), ready);
            }
            Step::Fail { node, reason } => {
                self.fail(node, Some(Arc::from(reason)), now, ready, blocked);
            }
            Step::Skip { node, reason } => self.skip(node, reason.map(Arc::from), ready),
            Step::Retry { node } => {
                self.retry(node);
                if self.may_start(node) {
                    ready.push(node);
                }
            }
        }
    }

    /// Whether a node may be said to run.
    pub(super) fn may_start(&self, node: u32) -> bool {
        self.node_state(node) == NodeState::Ready
    }

    pub(super) fn start(&mut self, node: u32, now: Instant) {
        self.set(node, NodeState::Running);
        let timeout = self.about.policy.timeout(node);
        if let Some(end) = timeout.and_then(|timeout| now.checked_add(timeout)) {
            self.moments.insert(node, end);
        }
    }

    /// Marks a node as done; what became ready is appended.
    fn complete(&mut self, node: u32, artifact: Option<Arc<str>>, ready: &mut Vec<u32>) {
        self.set(node, NodeState::Completed);
        if let Some(artifact) = artifact {
            self.artifacts.insert(node, artifact);
        }
        self.release(node, ready, |_| true);
    }

    /// Marks a node as done without a value; what became ready is appended.
    fn skip(&mut self, node: u32, reason: Option<Arc<str>>, ready: &mut Vec<u32>) {
        let before = self.node_state(node);
        self.set(node, NodeState::Skipped);
        self.remember(node, reason);
        let had_ended = matches!(before, NodeState::Failed | NodeState::Blocked);
        if had_ended {
            self.unblock(node);
        }
        // What softly needs it was released when it ended first.
        self.release(node, ready, |is_soft| !(had_ended && is_soft));
    }

    /// Marks a node as failed: it waits for its next attempt where its run grants one.
    fn fail(
        &mut self,
        node: u32,
        reason: Option<Arc<str>>,
        now: Instant,
        ready: &mut Vec<u32>,
        blocked: &mut Vec<u32>,
    ) {
        let allowed = self.about.policy.retries(node);
        if allowed > 0 {
            let attempts = self.attempts(node).saturating_add(1);
            self.attempts.insert(node, attempts);
            if attempts <= allowed && !self.expired {
                self.remember(node, reason);
                self.pause(node, now);
                return;
            }
        }
        self.fail_for_good(node, reason, ready, blocked);
    }

    /// Marks a node as failed; what it blocks is appended, and what became ready as it only softly needs what ended here.
    fn fail_for_good(
        &mut self,
        node: u32,
        reason: Option<Arc<str>>,
        ready: &mut Vec<u32>,
        blocked: &mut Vec<u32>,
    ) {
        self.set(node, NodeState::Failed);
        self.remember(node, reason);
        let from = blocked.len();
        let shape = Arc::clone(&self.shape);
        let mut work = std::mem::take(&mut self.work);
        work.push(node);
        while let Some(node) = work.pop() {
            for &dependant in shape.dependants(node) {
                if self.node_state(dependant) == NodeState::Pending
                    && !is_soft(&shape, dependant, node)
                {
                    self.set(dependant, NodeState::Blocked);
                    blocked.push(dependant);
                    work.push(dependant);
                }
            }
        }
        self.work = work;
        if shape.has_soft() {
            self.release(node, ready, |is_soft| is_soft);
            for ended in &blocked[from..] {
                self.release(*ended, ready, |is_soft| is_soft);
            }
        }
    }

    /// A node that ran comes again; it may wait for what it softly needs, which may have been tried again meanwhile.
    fn come_again(&mut self, node: u32) {
        let is_open = self.nodes[node as usize].open == 0;
        self.set(node, if is_open { NodeState::Ready } else { NodeState::Pending });
    }

    /// Makes a failed node come again, and what only it blocked pending.
    fn retry(&mut self, node: u32) {
        let had_ended = self.node_state(node) == NodeState::Failed;
        self.reasons.remove(&node);
        self.come_again(node);
        if had_ended {
            self.hold(node);
            self.unblock(node);
        }
    }

    /// A node that had ended is to come again: what softly needs it waits for it again, if it has not begun.
    fn hold(&mut self, node: u32) {
        let shape = Arc::clone(&self.shape);
        if !shape.has_soft() {
            return;
        }
        for &dependant in shape.dependants(node) {
            if is_soft(&shape, dependant, node) {
                self.nodes[dependant as usize].open += 1;
                if self.node_state(dependant) == NodeState::Ready {
                    self.set(dependant, NodeState::Pending);
                }
            }
        }
    }

    /// Ends every node that is not done.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        for node in 0..self.shape.len() {
            let state = self.node_state(node);
            if !state.is_done() && state != NodeState::Failed {
                self.set(node, NodeState::Cancelled);
            }
        }
    }

    fn remember(&mut self, node: u32, reason: Option<Arc<str>>) {
        match reason {
            Some(reason) => self.reasons.insert(node, reason),
            None => self.reasons.remove(&node),
        };
    }

    /// Notes with the dependants of that kind that a node has ended; those that wait for nothing else are ready.
    fn release(&mut self, node: u32, ready: &mut Vec<u32>, which: impl Fn(bool) -> bool) {
        let shape = Arc::clone(&self.shape);
        for &dependant in shape.dependants(node) {
            if !which(is_soft(&shape, dependant, node)) {
                continue;
            }
            let entry = &mut self.nodes[dependant as usize];
            entry.open -= 1;
            if entry.open == 0 && entry.state == NodeState::Pending {
                self.set(dependant, NodeState::Ready);
                ready.push(dependant);
            }
        }
    }

    /// Blocked nodes behind `from` with no failed or blocked need left wait again. Their needs are not all done (`from`
    /// itself is not, or is being marked by the caller), so none can become ready here.
    fn unblock(&mut self, from: u32) {
        let shape = Arc::clone(&self.shape);
        let mut work = std::mem::take(&mut self.work);
        work.push(from);
        while let Some(node) = work.pop() {
            for &dependant in shape.dependants(node) {
                let held = |need: &u32| {
                    matches!(self.node_state(*need), NodeState::Failed | NodeState::Blocked)
                        && !is_soft(&shape, dependant, *need)
                };
                if self.node_state(dependant) == NodeState::Blocked
                    && !shape.needs(dependant).iter().any(held)
                {
                    self.set(dependant, NodeState::Pending);
                    self.hold(dependant);
                    work.push(dependant);
                }
            }
        }
        self.work = work;
    }

    /// The one place that changes a node's state: keeps the counts and the ready list true.
    fn set(&mut self, node: u32, state: NodeState) {
        let before = std::mem::replace(&mut self.nodes[node as usize].state, state);
        self.counts.shift(before, state);
        if matches!(before, NodeState::Running | NodeState::Waiting) {
            self.moments.remove(&node);
        }
        if before == NodeState::Ready {
            let Node { next, previous, .. } = self.nodes[node as usize];
            match self.nodes.get_mut(previous as usize) {
                Some(entry) => entry.next = next,
                None => self.first = next,
            }
            match self.nodes.get_mut(next as usize) {
                Some(entry) => entry.previous = previous,
                None => self.last = previous,
            }
        }
        if state == NodeState::Ready {
            let previous = std::mem::replace(&mut self.last, node);
            match self.nodes.get_mut(previous as usize) {
                Some(entry) => entry.next = node,
                None => self.first = node,
            }
            let entry = &mut self.nodes[node as usize];
            entry.previous = previous;
            entry.next = NONE;
        }
    }
}

fn is_soft(shape: &Shape, node: u32, need: u32) -> bool {
    shape.has_soft() && shape.soft_needs(node).contains(&need)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{NodeState, RunId, RunState, Shape};
    use super::Run;

    fn run(graph: &[(&str, Vec<&str>)]) -> Run {
        Run::new(RunId(1), &Shape::new(graph).unwrap(), 0, Arc::from(""))
    }

    #[test]
    fn a_failure_blocks_what_needs_it_and_a_retry_frees_exactly_that() {
        // d needs a and b; e needs d; f needs b.
        let mut run = run(&[
            ("a", vec![]),
            ("b", vec![]),
            ("d", vec!["a", "b"]),
            ("e", vec!["d"]),
            ("f", vec!["b"]),
        ]);
        let mut blocked = Vec::new();
        run.fail_for_good(0, None, &mut Vec::new(), &mut blocked);
        assert_eq!(blocked, [2, 3]);
        blocked.clear();
        run.fail_for_good(1, None, &mut Vec::new(), &mut blocked);
        assert_eq!(blocked, [4], "what is blocked already is not told twice");
        assert_eq!(run.state(), RunState::Failed);
        run.retry(0);
        assert_eq!(run.node_state(2), NodeState::Blocked, "`b` still holds it");
        run.retry(1);
        assert_eq!(run.node_state(2), NodeState::Pending);
        assert_eq!(run.node_state(3), NodeState::Pending);
        assert_eq!(run.state(), RunState::Active);
        let mut ready = Vec::new();
        run.complete(0, None, &mut ready);
        run.complete(1, None, &mut ready);
        assert_eq!(ready, [2, 4]);
    }

    #[test]
    fn skipping_a_failed_node_lets_its_dependants_run() {
        let mut run = run(&[("a", vec![]), ("b", vec!["a"]), ("c", vec!["b"])]);
        run.fail_for_good(0, None, &mut Vec::new(), &mut Vec::new());
        let mut ready = Vec::new();
        run.skip(0, None, &mut ready);
        assert_eq!(ready, [1]);
        assert_eq!(run.node_state(2), NodeState::Pending);
    }

    #[test]
    fn skipping_ahead_does_not_make_a_done_node_ready_later() {
        let mut run = run(&[("a", vec![]), ("b", vec!["a"]), ("c", vec!["b"])]);
        let mut ready = Vec::new();
        run.skip(1, None, &mut ready);
        assert_eq!(ready, [2]);
        ready.clear();
        run.complete(0, None, &mut ready);
        assert_eq!(ready, [0u32; 0]);
        assert_eq!(run.ready().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn ready_nodes_are_listed_oldest_first_and_leave_the_list_from_anywhere() {
        let mut run = run(&[("a", vec![]), ("b", vec![]), ("c", vec![])]);
        run.start(1, std::time::Instant::now());
        assert_eq!(run.ready().collect::<Vec<_>>(), [0, 2]);
        run.fail_for_good(0, None, &mut Vec::new(), &mut Vec::new());
        run.retry(0);
        assert_eq!(run.ready().collect::<Vec<_>>(), [2, 0]);
        run.cancel();
        assert_eq!(run.ready().count(), 0);
        assert_eq!(run.state(), RunState::Cancelled);
    }
}
