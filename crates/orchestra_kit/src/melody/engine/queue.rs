//! Nodes that are ready, one queue for each target.
//!
//! Order in a queue: larger standing (priority, and how long ago the run was submitted), then older run, then the Melody's order. Choosing across queues is a merge of
//! their heads, so that a target without room holds up nobody else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::LazyLock;
use std::time::Instant;

use pit::dag_tracker::AGEING;

use super::calls::Target;

/// What the standing of all runs is counted from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A run's place among all, for as long as it lasts: a run gains as many points of priority a second as one of the DAG
/// tracker, so that no stream of urgent runs starves one in the background. All gain alike, so the order of two never
/// changes.
pub(super) fn standing(priority: i64) -> i64 {
    let since = i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX);
    priority.saturating_mul(1000).saturating_sub(since.saturating_mul(AGEING))
}

/// A ready node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Task {
    pub(super) standing: Reverse<i64>,
    pub(super) run: u64,
    pub(super) node: usize,
}

/// The queue of one target, and how many calls to it are on their way.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) target: Target,
    pub(super) ready: BTreeSet<Task>,
    pub(super) on_way: usize,
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: BTreeMap<Target, Queue>,
    /// Ready nodes that need a slot.
    waiting: usize,
}

impl Queues {
    pub(super) fn push(&mut self, target: Target, task: Task) {
        let queue = self.queues.entry(target).or_insert_with(|| Queue {
            target,
            ready: BTreeSet::new(),
            on_way: 0,
        });
        if queue.ready.insert(task) && !target.in_process {
            self.waiting += 1;
        }
    }

    /// Takes a task out; false when it is not there any more.
    pub(super) fn remove(&mut self, target: Target, task: &Task) -> bool {
        let removed = self.queues.get_mut(&target).is_some_and(|queue| queue.ready.remove(task));
        if removed && !target.in_process {
            self.waiting -= 1;
        }
        removed
    }

    pub(super) fn sent(&mut self, target: Target) {
        if let Some(queue) = self.queues.get_mut(&target) {
            queue.on_way += 1;
        }
    }

    pub(super) fn came_back(&mut self, target: Target) {
        if let Some(queue) = self.queues.get_mut(&target) {
            queue.on_way = queue.on_way.saturating_sub(1);
        }
    }

    /// Ready nodes that need a slot.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The queues in which something is ready.
    pub(super) fn filled(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().filter(|queue| !queue.ready.is_empty())
    }

    /// Drops the queues of targets that nothing waits for.
    pub(super) fn tidy(&mut self) {
        self.queues.retain(|_, queue| queue.on_way > 0 || !queue.ready.is_empty());
    }

    /// The first tasks across the queues of one sort, at most `limit`, never more to a target than its room.
    pub(super) fn first(
        &self,
        in_process: bool,
        limit: usize,
        mut room: impl FnMut(Target) -> usize,
    ) -> Vec<(Target, Task)> {
        let mut chosen = Vec::new();
        if limit == 0 {
            return chosen;
        }
        let mut heads = BinaryHeap::new();
        let mut merged: Vec<_> = Vec::new();
        for queue in self.filled().filter(|queue| queue.target.in_process == in_process) {
            let mut tasks = queue.ready.iter().copied().take(room(queue.target));
            if let Some(task) = tasks.next() {
                heads.push(Reverse((task, merged.len())));
                merged.push((queue.target, tasks));
            }
        }
        while let Some(Reverse((task, at))) = heads.pop() {
            let (target, tasks) = &mut merged[at];
            chosen.push((*target, task));
            if chosen.len() == limit {
                break;
            }
            if let Some(next) = tasks.next() {
                heads.push(Reverse((next, at)));
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::{Queues, Target, Task};

    fn task(standing: i64, run: u64, node: usize) -> Task {
        Task { standing: Reverse(standing), run, node }
    }

    #[test]
    fn a_run_that_waits_overtakes_those_of_a_higher_priority_that_come_later() {
        let background = super::standing(pit::priority::BACKGROUND);
        assert!(background < super::standing(pit::priority::HIGH));
        let seconds = (pit::priority::HIGH - pit::priority::BACKGROUND) / super::AGEING;
        let much_later =
            super::standing(pit::priority::HIGH) - (seconds + 1) * 1000 * super::AGEING;
        assert!(background > much_later);
    }

    #[test]
    fn the_oldest_run_of_the_highest_priority_is_first_and_a_full_target_holds_up_nobody() {
        let [one, two] = [1, 2].map(|id| Target { id, in_process: false });
        let mut queues = Queues::default();
        for (target, task) in
            [(one, task(0, 2, 0)), (one, task(0, 1, 0)), (two, task(0, 1, 1)), (two, task(9, 3, 0))]
        {
            queues.push(target, task);
        }
        let runs = |limit, full: Option<Target>| -> Vec<(u64, usize)> {
            queues
                .first(false, limit, |target| usize::from(Some(target) != full) * 10)
                .iter()
                .map(|(_, task)| (task.run, task.node))
                .collect()
        };
        assert_eq!(runs(9, None), [(3, 0), (1, 0), (1, 1), (2, 0)]);
        assert_eq!(runs(2, None), [(3, 0), (1, 0)]);
        assert_eq!(runs(9, Some(two)), [(1, 0), (2, 0)]);
        assert_eq!(queues.waiting(), 4);
    }
}
