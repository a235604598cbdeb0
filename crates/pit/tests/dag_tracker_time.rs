//! The tracker and the clock: soft needs, attempts, back-off, timeouts, deadlines, who is served next; each over a restart
//! too, and all of it against a naive model.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pit::Durability;
use pit::dag_tracker::{DagTracker, NodeState, RunId, RunPolicy, RunState, Shape, SubmitOptions};
use proptest::prelude::*;

type Edges = Vec<(String, Vec<String>)>;

fn edges(text: &[(&str, &[&str])]) -> Edges {
    text.iter()
        .map(|(name, needs)| ((*name).to_owned(), needs.iter().map(ToString::to_string).collect()))
        .collect()
}

fn soft(graph: &[(&str, &[&str])], soft: &[(&str, &[&str])]) -> Arc<Shape> {
    Shape::with_soft(&edges(graph), &edges(soft), &[]).expect("a lawful graph")
}

fn submit(tracker: &DagTracker, shape: &Arc<Shape>, policy: RunPolicy) -> RunId {
    let options = SubmitOptions { queued: true, policy, ..SubmitOptions::default() };
    tracker.submit_with(shape, &options).expect("it is submitted")
}

fn open(folder: &Path) -> Arc<DagTracker> {
    DagTracker::open(folder, Durability::Process).expect("it opens")
}

fn state(tracker: &DagTracker, run: RunId, node: &str) -> NodeState {
    let status = tracker.status(run).expect("the run is known");
    status.nodes.iter().find(|entry| &*entry.name == node).expect("the node is known").state
}

fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come");
        thread::sleep(Duration::from_millis(1));
    }
}

fn within<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    finished.recv_timeout(Duration::from_secs(60)).expect("it hung or panicked")
}

#[test]
fn what_is_softly_needed_is_waited_for_however_it_ends() {
    let tracker = DagTracker::in_memory();
    // `report` waits for all; `deploy` needs the tests; `notify` softly needs what is blocked.
    let shape = soft(
        &[("lint", &[]), ("test", &[]), ("deploy", &["test"]), ("report", &[]), ("notify", &[])],
        &[("report", &["lint", "test"]), ("notify", &["deploy"])],
    );
    let run = submit(&tracker, &shape, RunPolicy::default());
    assert_eq!(tracker.ready(run, 0).unwrap(), ["lint", "test"]);
    tracker.fail(run, "lint", "ugly").unwrap();
    assert_eq!(state(&tracker, run, "report"), NodeState::Pending);
    assert_eq!(tracker.fail(run, "test", "red").unwrap(), ["deploy"]);
    assert_eq!(tracker.ready(run, 0).unwrap(), ["report", "notify"]);
    // Tried again, it is waited for again by whoever has not begun.
    tracker.start_next(run, Some("report")).unwrap();
    tracker.retry(run, "test").unwrap();
    assert_eq!(tracker.ready(run, 0).unwrap(), ["test"]);
    assert_eq!(tracker.complete(run, "test", None).unwrap(), ["deploy"]);
    assert_eq!(tracker.complete(run, "deploy", None).unwrap(), ["notify"]);
    tracker.complete(run, "report", None).unwrap();
    tracker.complete(run, "notify", None).unwrap();
    assert_eq!(tracker.state(run).unwrap(), RunState::Failed, "`lint` failed");
}

#[test]
fn a_skipped_failure_is_noted_once_with_what_softly_needs_it() {
    let tracker = DagTracker::in_memory();
    let shape =
        soft(&[("a", &[]), ("b", &[]), ("hard", &["a"]), ("both", &[])], &[("both", &["a", "b"])]);
    let run = submit(&tracker, &shape, RunPolicy::default());
    tracker.fail(run, "a", "no").unwrap();
    assert_eq!(tracker.skip(run, "a", None).unwrap(), ["hard"]);
    assert_eq!(state(&tracker, run, "both"), NodeState::Pending, "`b` has not ended");
    assert_eq!(tracker.complete(run, "b", None).unwrap(), ["both"]);
}

#[test]
fn a_node_is_tried_again_after_pauses_that_double_and_then_fails() {
    let tracker = DagTracker::in_memory();
    let shape = soft(&[("a", &[]), ("b", &["a"])], &[]);
    let back_off = Duration::from_millis(20);
    let run = submit(&tracker, &shape, RunPolicy { retries: 2, back_off, ..RunPolicy::default() });
    for attempt in 0..2u32 {
        let began = Instant::now();
        assert_eq!(tracker.fail(run, "a", "flaky").unwrap(), [""; 0], "nothing is blocked yet");
        assert_eq!(state(&tracker, run, "a"), NodeState::Waiting);
        assert_eq!(tracker.state(run).unwrap(), RunState::Active);
        wait_for(|| tracker.ready(run, 0).unwrap() == ["a"]);
        assert!(began.elapsed() >= back_off * 2u32.pow(attempt));
    }
    assert_eq!(tracker.fail(run, "a", "broken").unwrap(), ["b"]);
    let status = tracker.status(run).unwrap();
    assert_eq!((status.state, status.nodes[0].attempts), (RunState::Failed, 3));
    assert_eq!(status.nodes[0].reason.as_deref(), Some("broken"));
}

#[test]
fn a_started_node_that_does_not_end_fails_by_itself() {
    let tracker = DagTracker::in_memory();
    let shape = soft(&[("a", &[]), ("slow", &[])], &[]);
    let timeout_of = BTreeMap::from([(0, Duration::from_millis(10))]);
    let policy =
        RunPolicy { retries_of: BTreeMap::from([(0, 1)]), timeout_of, ..RunPolicy::default() };
    let run = submit(&tracker, &shape, policy);
    let next = || tracker.start_next(run, None).unwrap();
    assert_eq!((next().as_deref(), next().as_deref(), next()), (Some("a"), Some("slow"), None));
    wait_for(|| tracker.ready(run, 0).unwrap() == ["a"]);
    tracker.start_next(run, Some("a")).unwrap();
    wait_for(|| state(&tracker, run, "a") == NodeState::Failed);
    assert_eq!(state(&tracker, run, "slow"), NodeState::Running, "it has no timeout");
    let late = tracker.complete(run, "a", None).unwrap_err();
    assert_eq!(late.to_string(), "cannot complete node `a`: it is failed");
    let status = tracker.status(run).unwrap();
    assert_eq!(status.nodes[0].reason.as_deref(), Some("it had not ended after 10ms"));
}

#[test]
fn at_the_deadline_everything_that_is_not_done_fails_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let shape = soft(&[("a", &[]), ("b", &["a"]), ("c", &[]), ("d", &[])], &[("d", &["c"])]);
    let policy = RunPolicy { retries: 9, ..RunPolicy::default() };
    let run = {
        let tracker = open(folder.path());
        let run = submit(&tracker, &shape, policy.ending_in(Some(Duration::from_millis(300))));
        tracker.complete(run, "c", None).unwrap();
        run
    };
    let tracker = open(folder.path());
    wait_for(|| tracker.state(run).unwrap() == RunState::Failed);
    let states = ["a", "b", "c", "d"].map(|node| state(&tracker, run, node));
    assert_eq!(
        states,
        [NodeState::Failed, NodeState::Blocked, NodeState::Completed, NodeState::Failed]
    );
    assert_eq!(tracker.take(1, Some(Duration::ZERO)).unwrap(), []);
    drop(tracker);
    let again = open(folder.path());
    assert_eq!(again.state(run).unwrap(), RunState::Failed);
}

/// Closed in every state that a rewrite must keep, with a journal that is long enough to be written anew.
#[test]
fn attempts_waits_and_soft_needs_survive_a_restart_and_a_rewrite() {
    let folder = tempfile::tempdir().unwrap();
    let graph: &[(&str, &[&str])] =
        &[("soft", &[]), ("a", &[]), ("b", &["a"]), ("w", &[]), ("x", &[])];
    let shape = soft(graph, &[("soft", &["a"])]);
    let policy = || RunPolicy {
        retries: 1,
        retries_of: BTreeMap::from([(4, 0)]),
        back_off: Duration::from_secs(60),
        ..RunPolicy::default()
    };
    let filler = "y".repeat(60_000);
    let tracker = open(folder.path());
    let run = submit(&tracker, &shape, policy());
    tracker.fail(run, "a", "one").unwrap();
    tracker.retry(run, "a").unwrap();
    tracker.fail(run, "a", "two").unwrap();
    tracker.fail(run, "w", "once").unwrap();
    tracker.fail(run, "x", "at once").unwrap();
    let check = |tracker: &DagTracker| {
        let found = ["soft", "a", "b", "w", "x"].map(|node| state(tracker, run, node));
        let expected = [
            NodeState::Ready,
            NodeState::Failed,
            NodeState::Blocked,
            NodeState::Waiting,
            NodeState::Failed,
        ];
        assert_eq!(found, expected);
        let status = tracker.status(run).unwrap();
        assert_eq!(
            status.nodes.iter().map(|node| node.attempts).collect::<Vec<_>>(),
            [0, 2, 0, 1, 0]
        );
        assert_eq!(status.nodes[1].reason.as_deref(), Some("two"));
    };
    check(&tracker);
    drop(tracker);
    let tracker = open(folder.path());
    check(&tracker);
    let before = tracker.stats().journal_bytes;
    for _ in 0..40 {
        let other = tracker.submit(&edges(&[("n", &[])]), 0).unwrap();
        tracker.fail(other, "n", &filler).unwrap();
        tracker.forget(other).unwrap();
    }
    assert!(tracker.stats().journal_bytes < before + 40 * 60_000, "it was written anew");
    drop(tracker);
    let tracker = open(folder.path());
    check(&tracker);
    tracker.retry(run, "w").unwrap();
    tracker.complete(run, "w", None).unwrap();
    tracker.complete(run, "soft", None).unwrap();
    assert_eq!(tracker.state(run).unwrap(), RunState::Failed);
}

#[test]
fn no_node_is_taken_twice_and_every_one_is_by_workers_that_wait() {
    within(|| {
        let tracker = DagTracker::in_memory();
        let taken = Arc::new(Mutex::new(HashSet::new()));
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (tracker, taken) = (Arc::clone(&tracker), Arc::clone(&taken));
                thread::spawn(move || {
                    while let Ok(nodes) = tracker.take(1 + worker % 2, None) {
                        for (run, node) in nodes {
                            assert!(taken.lock().unwrap().insert((run, node.to_string())), "twice");
                            tracker.complete(run, &node, None).unwrap();
                        }
                    }
                })
            })
            .collect();
        let graph: Edges = (0..30)
            .map(|node: usize| {
                let needs = if node == 0 { vec![] } else { vec![format!("n{}", node / 2)] };
                (format!("n{node}"), if node == 1 { vec![] } else { needs })
            })
            .collect();
        let runs: Vec<_> = (0..50).map(|_| tracker.submit(&graph, 0).unwrap()).collect();
        wait_for(|| runs.iter().all(|run| tracker.state(*run).unwrap() == RunState::Completed));
        assert_eq!(taken.lock().unwrap().len(), 50 * 30);
        tracker.close().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn of_several_runs_the_most_urgent_is_taken_first_and_those_of_melodies_never() {
    let tracker = DagTracker::in_memory();
    let shape = soft(&[("a", &[]), ("b", &[])], &[]);
    let with = |priority, queued| {
        let options = SubmitOptions { priority, queued, ..SubmitOptions::default() };
        tracker.submit_with(&shape, &options).unwrap()
    };
    let (low, high, _melody) = (with(-100, true), with(100, true), with(1000, false));
    let order: Vec<_> =
        tracker.take(9, Some(Duration::ZERO)).unwrap().into_iter().map(|(run, _)| run).collect();
    assert_eq!(order, [high, high, low, low]);
    assert_eq!(tracker.take(1, Some(Duration::ZERO)).unwrap(), []);
}

#[test]
fn a_take_wakes_for_a_node_whose_pause_is_over() {
    within(|| {
        let tracker = DagTracker::in_memory();
        let policy =
            RunPolicy { retries: 1, back_off: Duration::from_millis(50), ..RunPolicy::default() };
        let run = submit(&tracker, &soft(&[("a", &[])], &[]), policy);
        assert_eq!(tracker.take(1, None).unwrap().len(), 1);
        tracker.fail(run, "a", "once").unwrap();
        assert_eq!(tracker.take(1, None).unwrap(), [(run, Arc::from("a"))]);
    });
}

#[test]
fn what_is_tried_again_waits_for_the_soft_need_that_is_tried_again() {
    let tracker = DagTracker::in_memory();
    let run =
        submit(&tracker, &soft(&[("a", &[]), ("b", &[])], &[("b", &["a"])]), RunPolicy::default());
    tracker.fail(run, "a", "no").unwrap();
    tracker.fail(run, "b", "no").unwrap();
    tracker.retry(run, "a").unwrap();
    tracker.retry(run, "b").unwrap();
    let states = || -> Vec<_> {
        tracker.status(run).unwrap().nodes.iter().map(|node| node.state.as_str()).collect()
    };
    assert_eq!(states(), ["ready", "pending"]);
    tracker.complete(run, "a", None).unwrap();
    assert_eq!(states(), ["completed", "ready"]);
}

// The model: states by name, computed anew from scratch after each move ------------------------------------------------

#[derive(Debug, Clone, Default)]
struct Model {
    hard: Vec<BTreeSet<usize>>,
    soft: Vec<BTreeSet<usize>>,
    failures: Vec<u32>,
    /// Done, failed for good, waiting, started.
    done: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    waiting: BTreeSet<usize>,
    started: BTreeSet<usize>,
}

impl Model {
    fn is_blocked(&self, node: usize) -> bool {
        !self.done.contains(&node)
            && self.hard[node]
                .iter()
                .any(|need| self.failed.contains(need) || self.is_blocked(*need))
    }

    fn has_ended(&self, node: usize) -> bool {
        self.done.contains(&node) || self.failed.contains(&node) || self.is_blocked(node)
    }

    fn expected(&self, node: usize) -> &'static str {
        if self.done.contains(&node) {
            return "done";
        }
        for (set, word) in
            [(&self.failed, "failed"), (&self.waiting, "waiting"), (&self.started, "running")]
        {
            if set.contains(&node) {
                return word;
            }
        }
        let is_open = self.hard[node].iter().all(|need| self.done.contains(need))
            && self.soft[node].iter().all(|need| self.has_ended(*need));
        if self.is_blocked(node) {
            "blocked"
        } else if is_open {
            "ready"
        } else {
            "pending"
        }
    }
}

fn word(state: NodeState) -> &'static str {
    match state {
        NodeState::Completed | NodeState::Skipped => "done",
        other => other.as_str(),
    }
}

fn play(needs: &[Vec<u8>], retries: u32, moves: &[(usize, u8)], folder: &Path) {
    let count = needs.len();
    let kind = |node: usize, need: usize| needs[node].get(need).copied().unwrap_or(0) % 4;
    let of = |wanted: u8| -> Vec<BTreeSet<usize>> {
        (0..count)
            .map(|node| (0..node).filter(|need| kind(node, *need) == wanted).collect())
            .collect()
    };
    let mut model = Model { hard: of(1), soft: of(2), ..Model::default() };
    model.failures = vec![0; count];
    let name = |node: usize| format!("n{node}");
    let graph = |rows: &[BTreeSet<usize>]| -> Edges {
        rows.iter()
            .enumerate()
            .map(|(node, row)| (name(node), row.iter().map(|need| name(*need)).collect()))
            .collect()
    };
    let shape = Shape::with_soft(&graph(&model.hard), &graph(&model.soft), &[]).expect("no ring");
    let mut tracker = open(folder);
    let policy = RunPolicy { retries, back_off: Duration::from_secs(600), ..RunPolicy::default() };
    let run = submit(&tracker, &shape, policy);
    for &(at, act) in moves {
        let node = at % count;
        let before = model.expected(node);
        let text = name(node);
        let lawful = match act % 7 {
            0 => {
                let lawful = before == "ready";
                assert_eq!(tracker.start_next(run, Some(&text)).is_ok(), lawful, "start {text}");
                if lawful {
                    model.started.insert(node);
                }
                lawful
            }
            1 | 2 => {
                let lawful = matches!(before, "ready" | "running");
                assert_eq!(tracker.complete(run, &text, None).is_ok(), lawful, "complete {text}");
                if lawful {
                    model.done.insert(node);
                }
                lawful
            }
            3 => {
                let lawful = matches!(before, "ready" | "running");
                assert_eq!(tracker.fail(run, &text, "no").is_ok(), lawful, "fail {text}");
                if lawful {
                    model.failures[node] += 1;
                    let again = retries > 0 && model.failures[node] <= retries;
                    if again {
                        model.waiting.insert(node)
                    } else {
                        model.failed.insert(node)
                    };
                }
                lawful
            }
            4 => {
                let lawful = matches!(before, "failed" | "waiting");
                assert_eq!(tracker.retry(run, &text).is_ok(), lawful, "retry {text}");
                lawful
            }
            5 => {
                let lawful = before != "done";
                assert_eq!(tracker.skip(run, &text, None).is_ok(), lawful, "skip {text}");
                if lawful {
                    model.done.insert(node);
                }
                lawful
            }
            _ => {
                // Without a farewell, as a process that is killed; what ran is ready again.
                if matches!(tracker.state(run).expect("it is known"), RunState::Completed) {
                    return;
                }
                tracker = open(folder);
                model.started.clear();
                false
            }
        };
        if lawful && act % 7 != 0 {
            model.started.remove(&node);
            if act % 7 != 3 {
                model.failed.remove(&node);
                model.waiting.remove(&node);
            }
        }
        let status = tracker.status(run).expect("it is known");
        let found: Vec<_> = status.nodes.iter().map(|node| word(node.state)).collect();
        let expected: Vec<_> = (0..count).map(|node| model.expected(node)).collect();
        assert_eq!(found, expected, "after {act} of {text}, retries {retries}: {model:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(
        needs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..7), 1..8),
        retries in 0u32..3,
        moves in prop::collection::vec((0usize..8, 0u8..7), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        play(&needs, retries, &moves, folder.path());
    }
}
