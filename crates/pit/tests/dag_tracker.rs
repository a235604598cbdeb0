//! The DAG tracker against a naive oracle, across restarts, and from many threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use pit::Durability;
use pit::PitError;
use pit::dag_tracker::{DagTracker, NodeState, RunId, RunState, Shape, Step, SubmitOptions};
use proptest::prelude::*;

type Graph = Vec<(String, Vec<String>)>;

fn graph(text: &[(&str, &[&str])]) -> Graph {
    text.iter()
        .map(|(name, needs)| {
            ((*name).to_owned(), needs.iter().map(|&need| need.to_owned()).collect())
        })
        .collect()
}

/// The runs that were read back from an earlier process and can go on, oldest first.
fn resumable(tracker: &DagTracker) -> Vec<RunId> {
    let over = [RunState::Completed, RunState::Cancelled];
    let open = tracker.runs().into_iter().filter(|(_, state)| !over.contains(state));
    open.map(|(run, _)| run)
        .filter(|run| tracker.status(*run).expect("it is known").resumed)
        .collect()
}

/// Needs point to nodes of a smaller rank, and the nodes stand in shuffled order: every acyclic graph can come out.
fn any_graph() -> impl Strategy<Value = Graph> {
    (1usize..14)
        .prop_flat_map(|count| {
            let edges = proptest::collection::vec(any::<bool>(), count * count);
            (Just((0..count).collect::<Vec<_>>()).prop_shuffle(), edges)
        })
        .prop_map(|(order, edges)| {
            let count = order.len();
            order
                .iter()
                .map(|&rank| {
                    let needs = (0..rank).filter(|need| edges[rank * count + need]);
                    (format!("n{rank}"), needs.map(|need| format!("n{need}")).collect())
                })
                .collect()
        })
}

/// What the tracker must say, computed from first principles after every move.
struct Oracle {
    graph: Graph,
    /// Completed, skipped or failed nodes; everything else follows.
    told: BTreeMap<String, NodeState>,
}

impl Oracle {
    fn state(&self, node: &str) -> NodeState {
        if let Some(&state) = self.told.get(node) {
            return state;
        }
        let (_, needs) = self.graph.iter().find(|(name, _)| name == node).expect("a node");
        let needs: Vec<NodeState> = needs.iter().map(|need| self.state(need)).collect();
        if needs.iter().any(|need| matches!(need, NodeState::Failed | NodeState::Blocked)) {
            NodeState::Blocked
        } else if needs.iter().all(|need| need.is_done()) {
            NodeState::Ready
        } else {
            NodeState::Pending
        }
    }

    fn ready(&self) -> BTreeSet<String> {
        let ready = |name: &&String| self.state(name) == NodeState::Ready;
        self.graph.iter().map(|(name, _)| name).filter(ready).cloned().collect()
    }

    fn check(&self, tracker: &DagTracker, run: RunId) {
        let status = tracker.status(run).expect("a run");
        for node in &status.nodes {
            assert_eq!(node.state, self.state(&node.name), "{} in {:?}", node.name, self.graph);
        }
        let ready = tracker.ready(run, 0).expect("a run");
        assert_eq!(ready.len(), self.ready().len(), "no node is listed twice");
        assert_eq!(ready.into_iter().collect::<BTreeSet<_>>(), self.ready());
        let expected = if !self.ready().is_empty() {
            RunState::Active
        } else if self.told.values().any(|&state| state == NodeState::Failed) {
            RunState::Failed
        } else {
            RunState::Completed
        };
        assert_eq!(status.state, expected);
        for state in [NodeState::Ready, NodeState::Blocked, NodeState::Completed] {
            let count = status.nodes.iter().filter(|node| node.state == state).count();
            assert_eq!(status.counts.of(state) as usize, count);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random moves, lawful or not, with a restart now and then: tracker and oracle agree after each.
    #[test]
    fn the_tracker_agrees_with_the_oracle(
        graph in any_graph(),
        moves in proptest::collection::vec((0usize..14, 0u8..7), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
        let run = tracker.submit(&graph, 0).unwrap();
        let mut oracle = Oracle { graph: graph.clone(), told: BTreeMap::new() };
        oracle.check(&tracker, run);
        for (pick, action) in moves {
            let node = graph[pick % graph.len()].0.clone();
            let before = oracle.state(&node);
            let ready_before = oracle.ready();
            match action {
                0..=2 => {
                    let outcome = tracker.complete(run, &node, Some("artifact"));
                    prop_assert_eq!(outcome.is_ok(), before == NodeState::Ready);
                    if let Ok(newly) = outcome {
                        oracle.told.insert(node, NodeState::Completed);
                        let newly: BTreeSet<_> = newly.into_iter().collect();
                        let expected = oracle.ready().difference(&ready_before).cloned().collect();
                        prop_assert_eq!(newly, expected);
                    }
                }
                3 => {
                    let outcome = tracker.fail(run, &node, "broke");
                    prop_assert_eq!(outcome.is_ok(), before == NodeState::Ready);
                    if outcome.is_ok() {
                        oracle.told.insert(node, NodeState::Failed);
                    }
                }
                4 => {
                    let outcome = tracker.skip(run, &node, None);
                    prop_assert_eq!(outcome.is_ok(), !before.is_done());
                    if outcome.is_ok() {
                        oracle.told.insert(node, NodeState::Skipped);
                    }
                }
                5 => {
                    let outcome = tracker.retry(run, &node);
                    prop_assert_eq!(outcome.is_ok(), before == NodeState::Failed);
                    if outcome.is_ok() {
                        oracle.told.remove(&node);
                    }
                }
                _ => {
                    drop(tracker);
                    tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
                    if tracker.state(run).is_err() {
                        // Only what is complete is not read back.
                        prop_assert!(graph.iter().all(|(name, _)| oracle.state(name).is_done()));
                        return Ok(());
                    }
                }
            }
            oracle.check(&tracker, run);
        }
    }
}

#[test]
fn a_completed_node_is_never_ready_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DagTracker::open(folder.path(), Durability::Process).unwrap();
    let tracker = open();
    let shape = Shape::new(&graph(&[("a", &[]), ("b", &["a"]), ("c", &["a"])])).unwrap();
    let options =
        SubmitOptions { priority: 7, label: "review-file".to_owned(), ..SubmitOptions::default() };
    let run = tracker.submit_with(&shape, &options).unwrap();
    tracker.complete(run, "a", Some("0a")).unwrap();
    tracker.start(run, 1).unwrap();
    tracker.fail(run, "c", "no such file").unwrap();
    drop(tracker);

    let tracker = open();
    assert_eq!(resumable(&tracker), [run]);
    let status = tracker.status(run).unwrap();
    assert_eq!((status.priority, &*status.label, status.resumed), (7, "review-file", true));
    assert_eq!(status.nodes[0].artifact.as_deref(), Some("0a"));
    assert_eq!(status.nodes[2].reason.as_deref(), Some("no such file"));
    assert_eq!(tracker.ready(run, 0).unwrap(), ["b"], "what was running is ready again");
    assert!(tracker.uses("0a"));
    let next = tracker.submit(&graph(&[("x", &[])]), 0).unwrap();
    assert!(next > run, "a number is never used twice");
    tracker.complete(next, "x", None).unwrap();
    tracker.forget(next).unwrap();
    drop(tracker);

    let tracker = open();
    assert_eq!(tracker.runs().len(), 1);
    assert!(tracker.submit(&graph(&[("x", &[])]), 0).unwrap() > next);
}

#[test]
fn completing_twice_and_unknown_names_are_errors() {
    let tracker = DagTracker::in_memory();
    let run = tracker.submit(&graph(&[("a", &[]), ("b", &["a"])]), 0).unwrap();
    let early = tracker.complete(run, "b", None).unwrap_err();
    assert_eq!(early.to_string(), "cannot complete node `b`: it is pending");
    tracker.complete(run, "a", None).unwrap();
    let twice = tracker.complete(run, "a", None).unwrap_err();
    assert_eq!(twice.to_string(), "cannot complete node `a`: it is completed");
    let unknown = tracker.complete(run, "z", None).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no node `z` of run `1`");
    assert!(matches!(tracker.ready(RunId(9), 0), Err(PitError::NotFound { kind: "run", .. })));
    assert!(tracker.start(run, 99).is_err());
    assert!(tracker.forget(run).is_err(), "an active run is not forgotten");
    tracker.cancel(run).unwrap();
    tracker.cancel(run).unwrap();
    assert!(tracker.complete(run, "b", None).is_err());
    tracker.forget(run).unwrap();
    assert!(tracker.status(run).is_err());
}

#[test]
fn a_batch_moves_all_or_nothing() {
    let tracker = DagTracker::in_memory();
    let run = tracker.submit(&graph(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]), 0).unwrap();
    let done = |node| Step::Complete { node, artifact: None };
    let (mut ready, mut blocked) = (Vec::new(), Vec::new());
    for lawless in [[done(0), done(2)], [done(0), done(0)], [done(0), done(7)]] {
        tracker.apply(run, &lawless, &mut ready, &mut blocked).unwrap_err();
        assert_eq!(tracker.ready(run, 0).unwrap(), ["a", "b"]);
    }
    tracker.apply(run, &[done(0), done(1)], &mut ready, &mut blocked).unwrap();
    assert_eq!(ready, [2]);
}

#[test]
fn artifacts_are_in_use_until_their_run_cannot_go_on() {
    let tracker = DagTracker::in_memory();
    let two = graph(&[("a", &[]), ("b", &["a"])]);
    let first = tracker.submit(&two, 0).unwrap();
    let second = tracker.submit(&two, 0).unwrap();
    tracker.complete(first, "a", Some("shared")).unwrap();
    tracker.complete(second, "a", Some("shared")).unwrap();
    tracker.complete(first, "b", Some("own")).unwrap();
    assert_eq!(tracker.user_of("shared"), Some(second), "the first is completed");
    assert!(!tracker.uses("own"), "its run is completed");
    tracker.fail(second, "b", "broke").unwrap();
    assert!(tracker.uses("shared"), "a failed run may be retried");
    tracker.forget(second).unwrap();
    assert!(!tracker.uses("shared"), "nobody can go on with it");
}

#[test]
fn a_journal_written_anew_holds_what_is_unfinished_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    // `late` stands before what it needs: a rewrite lists nodes by index.
    let shape =
        Shape::new(&graph(&[("late", &["early"]), ("end", &["late"]), ("early", &[])])).unwrap();
    let kept = tracker.submit_shape(&shape, 0).unwrap();
    tracker.complete(kept, "early", None).unwrap();
    tracker.complete(kept, "late", None).unwrap();
    tracker.fail(kept, "end", "broke").unwrap();
    let artifact = "f".repeat(60_000);
    for _ in 0..200 {
        let run = tracker.submit_shape(&shape, 0).unwrap();
        tracker.complete(run, "early", Some(&artifact)).unwrap();
        tracker.cancel(run).unwrap();
        tracker.forget(run).unwrap();
    }
    assert!(tracker.stats().journal_bytes < 3 << 20, "12 MB were written");
    let last = tracker.submit_shape(&shape, 0).unwrap();
    drop(tracker);
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(resumable(&tracker), [kept, last]);
    let states: Vec<_> =
        tracker.status(kept).unwrap().nodes.iter().map(|node| node.state).collect();
    assert_eq!(states, [NodeState::Completed, NodeState::Failed, NodeState::Completed]);
}

#[test]
fn what_is_too_large_for_a_record_is_refused_and_nothing_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    let small = Shape::new(&graph(&[("a", &[]), ("b", &["a"])])).unwrap();
    let kept = tracker.submit_shape(&small, 0).unwrap();
    let written = tracker.stats().journal_bytes;
    let nodes: Graph = (0..500_000).map(|node| (format!("node {node:030}"), Vec::new())).collect();
    let large = Shape::new(&nodes).unwrap();
    for _ in 0..2 {
        let refused = tracker.submit_shape(&large, 0).unwrap_err();
        assert!(matches!(refused, PitError::OverLimit { .. }), "{refused:?}");
    }
    let reason = "x".repeat(20 << 20);
    let refused = tracker.fail(kept, "a", &reason).unwrap_err();
    assert!(matches!(refused, PitError::OverLimit { .. }), "{refused:?}");
    assert_eq!(tracker.stats().journal_bytes, written);
    assert_eq!(tracker.ready(kept, 0).unwrap(), ["a"]);
    tracker.complete(kept, "a", None).unwrap();
    let next = tracker.submit_shape(&small, 0).unwrap();
    drop(tracker);
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(resumable(&tracker), [kept, next]);
}

/// Four threads drive forty runs at once; each node is completed exactly once, whatever the interleaving.
#[test]
fn many_threads_complete_each_node_exactly_once() {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
        let layers: Graph = (0..300)
            .map(|node: usize| {
                let needs = if node < 10 { 0..0 } else { (node / 10 - 1) * 10..node / 10 * 10 };
                (format!("n{node}"), needs.map(|need| format!("n{need}")).collect())
            })
            .collect();
        let shape = Shape::new(&layers).unwrap();
        let runs: Vec<RunId> = (0..40).map(|_| tracker.submit_shape(&shape, 0).unwrap()).collect();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (tracker, runs) = (Arc::clone(&tracker), runs.clone());
                std::thread::spawn(move || {
                    let (mut ready, mut newly, mut mine) = (Vec::new(), Vec::new(), 0u32);
                    while runs.iter().any(|&run| !tracker.state(run).unwrap().is_finished()) {
                        for &run in &runs {
                            tracker.ready_indices(run, &mut ready).unwrap();
                            for &node in &ready {
                                if tracker.start(run, node).is_ok() {
                                    tracker.complete_index(run, node, None, &mut newly).unwrap();
                                    mine += 1;
                                }
                            }
                        }
                    }
                    mine
                })
            })
            .collect();
        let total: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(total, 40 * 300);
        assert_eq!(tracker.stats().steps, 40 * 300);
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(60)).expect("the runs did not end");
}

/// A real process is killed while it completes nodes: what it was told is done stays done.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn a_killed_process_loses_no_acknowledged_completion() {
    const NODES: usize = 100_000;
    if let Some(folder) = std::env::var_os("PIT_TEST_DAG") {
        let tracker = DagTracker::open(folder.as_ref(), Durability::Process).unwrap();
        let chain: Graph = (0..NODES)
            .map(|node| (format!("n{node}"), node.checked_sub(1).map(|need| format!("n{need}"))))
            .map(|(name, need)| (name, need.into_iter().collect()))
            .collect();
        let run = tracker.submit(&chain, 0).unwrap();
        for node in 0..NODES {
            tracker.complete(run, &format!("n{node}"), None).unwrap();
            // Not `println!`: the test harness would keep it.
            std::io::Write::write_all(&mut std::io::stderr(), format!("done {node}\n").as_bytes())
                .unwrap();
        }
        unreachable!("it is killed before");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_loses_no_acknowledged_completion", "--nocapture"])
        .env("PIT_TEST_DAG", folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut told = Vec::new();
    while told.len() < 500 {
        told.extend(lines.next().unwrap().unwrap().strip_prefix("done ").map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told.extend(lines.map_while(Result::ok).filter_map(|line| {
        // The last line may be torn.
        line.strip_prefix("done ").filter(|_| line.len() > 7).map(str::to_owned)
    }));
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    let run = resumable(&tracker)[0];
    let status = tracker.status(run).unwrap();
    for node in &told {
        let node: usize = node.parse().unwrap();
        assert_eq!(status.nodes[node].state, NodeState::Completed, "n{node}");
    }
    assert_eq!(tracker.ready(run, 0).unwrap().len(), 1, "a chain has one next node");
}

#[test]
fn a_tracker_that_was_closed_acknowledges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for tracker in
        [DagTracker::in_memory(), DagTracker::open(folder.path(), Durability::Process).unwrap()]
    {
        let run = tracker.submit(&graph(&[("a", &[]), ("b", &["a"])]), 0).unwrap();
        tracker.close().unwrap();
        let stopped = |error: Option<PitError>| matches!(error, Some(PitError::Stopped { .. }));
        assert!(stopped(tracker.submit(&graph(&[("a", &[])]), 0).err()));
        assert!(stopped(tracker.complete(run, "a", None).err()));
        assert!(stopped(tracker.cancel(run).err()));
        assert!(stopped(tracker.forget(run).err()));
    }
    let again = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(again.runs().len(), 1, "what was refused was written down");
}
