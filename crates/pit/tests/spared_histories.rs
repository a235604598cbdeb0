//! Random histories of store, tracker and stale manager in which a sweep runs all the time: nothing that is pinned, held by a
//! run or shared with what stays is deleted or damaged.
//!
//! A short selection runs with the other tests; `SYMPHONY_CASES` says how many histories, for `make soak`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pit::artifact_store::{ArtifactId, PutOptions};
use pit::dag_tracker::RunId;
use pit::stale_manager::{Action, Rule};
use pit::{Pit, PitConfig, PitError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Without a wish from outside.
const HISTORIES: u32 = 400;
/// Histories that one pair of folders is used for: journals grow until they are opened again.
const PER_WORLD: u32 = 5_000;
const THREADS: u32 = 2;
const ARTIFACTS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Act {
    Put(usize),
    Pin(usize),
    Unpin(usize),
    /// A run that is not over completes a node with it.
    Hold(usize),
    Release(usize),
    /// Its owner's own wish, which counts for more than any pin.
    Delete(usize),
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..ARTIFACTS).prop_map(Act::Put),
        3 => (0..ARTIFACTS - 1).prop_map(Act::Pin),
        1 => (0..ARTIFACTS - 1).prop_map(Act::Unpin),
        3 => (0..ARTIFACTS).prop_map(Act::Hold),
        1 => (0..ARTIFACTS).prop_map(Act::Release),
        1 => (0..ARTIFACTS - 1).prop_map(Act::Delete),
        1 => Just(Act::Sweep),
    ]
}

/// What keeps one artifact of a history.
#[derive(Default)]
struct Kept {
    pinned: bool,
    held: Vec<RunId>,
    /// It was seen after it was pinned or held: it has to stay.
    stays: bool,
}

impl Kept {
    fn let_go(&mut self) {
        self.stays &= self.pinned || !self.held.is_empty();
    }
}

fn bytes(history: u64, number: usize) -> Vec<u8> {
    // Each third is the same in two histories at once: what one lets go the other may still have.
    let history = if number == ARTIFACTS - 1 { history / 2 } else { history };
    format!("{history} {number}").into_bytes()
}

/// A history beside a sweep that takes whatever nothing keeps.
fn play(pit: &Pit, history: u64, acts: &[Act]) {
    let (store, dag, stale) = (pit.artifacts().unwrap(), pit.dag().unwrap(), pit.stale().unwrap());
    let shape = [("a".to_owned(), vec![]), ("b".to_owned(), vec!["a".to_owned()])];
    let mut kept: BTreeMap<usize, Kept> = BTreeMap::new();
    for act in acts {
        match *act {
            Act::Put(number) => {
                store.put(&bytes(history, number), &PutOptions::default()).unwrap();
            }
            Act::Pin(number) => {
                let id = ArtifactId::of(&bytes(history, number));
                match stale.pin(&id) {
                    Ok(_) => {
                        let kept = kept.entry(number).or_default();
                        (kept.pinned, kept.stays) = (true, true);
                    }
                    Err(PitError::NotFound { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Act::Unpin(number) => {
                let id = ArtifactId::of(&bytes(history, number));
                let kept = kept.entry(number).or_default();
                kept.pinned = false;
                kept.let_go();
                stale.unpin(&id).unwrap();
            }
            Act::Hold(number) => {
                let id = ArtifactId::of(&bytes(history, number));
                let run = dag.submit(&shape, 0).unwrap();
                match dag.complete(run, "a", Some(&id.to_string())) {
                    Ok(_) => {}
                    // A sweep was about to take it: whoever completes is told, and nothing is held.
                    Err(PitError::NotFound { .. }) => {
                        dag.cancel(run).unwrap();
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                let kept = kept.entry(number).or_default();
                kept.held.push(run);
                // It may have gone before; what is there now stays.
                kept.stays |= store.exists(&id).unwrap();
            }
            Act::Release(number) => {
                let kept = kept.entry(number).or_default();
                if let Some(run) = kept.held.pop() {
                    kept.let_go();
                    dag.cancel(run).unwrap();
                }
            }
            Act::Delete(number) if number < ARTIFACTS - 1 => {
                let id = ArtifactId::of(&bytes(history, number));
                kept.entry(number).or_default().stays = false;
                match store.delete(&id) {
                    Ok(()) | Err(PitError::NotFound { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Act::Delete(_) => {}
            Act::Sweep => {
                stale.sweep(false).unwrap();
            }
        }
        for (number, _) in kept.iter().filter(|(_, kept)| kept.stays) {
            let content = bytes(history, *number);
            let found = store.get(&ArtifactId::of(&content));
            assert!(found.as_ref().is_ok_and(|found| *found == content), "{number}: {found:?}");
        }
    }
    for (number, kept) in kept {
        for run in kept.held {
            dag.cancel(run).unwrap();
        }
        if kept.pinned {
            stale.unpin(&ArtifactId::of(&bytes(history, number))).unwrap();
        }
    }
}

fn world() -> (tempfile::TempDir, Pit) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let pit = Pit::open(&PitConfig::new(folder.path())).unwrap();
    let all = Rule { reads_below: Some(u64::MAX), ..Rule::new("all", Action::Delete) };
    pit.stale().unwrap().rule(all).unwrap();
    (folder, pit)
}

/// So many histories on each of two threads, in one world, beside a sweep without end.
fn histories(count: u32, swept: &AtomicU64) {
    let ((folder, pit), ended) = (world(), AtomicBool::new(false));
    thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let report = pit.stale().unwrap().sweep(false).unwrap();
                assert!(report.failures.is_empty(), "{:?}", report.failures);
                swept.fetch_add(report.deleted.len() as u64, Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let players: Vec<_> = (0..u64::from(THREADS))
            .map(|player| {
                let pit = &pit;
                scope.spawn(move || {
                    let config = ProptestConfig {
                        cases: count.div_ceil(THREADS),
                        failure_persistence: None,
                        max_shrink_iters: 2000,
                        ..ProptestConfig::default()
                    };
                    let number = AtomicU64::new(0);
                    TestRunner::new(config)
                        .run(&prop::collection::vec(act(), 1..14), |acts| {
                            let number = number.fetch_add(1, Ordering::Relaxed);
                            play(pit, number * u64::from(THREADS) + player, &acts);
                            Ok(())
                        })
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        let outcomes: Vec<_> = players.into_iter().map(|player| player.join().unwrap()).collect();
        ended.store(true, Ordering::Relaxed);
        sweeper.join().unwrap();
        for outcome in outcomes {
            outcome.unwrap();
        }
    });
    // Nothing is kept any more, so everything goes; and the store is whole.
    pit.stale().unwrap().sweep(false).unwrap();
    let store = pit.artifacts().unwrap();
    assert_eq!(store.find(None, None).unwrap(), []);
    assert_eq!(store.verify().unwrap().bad, []);
    drop(pit);
    drop(folder);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn nothing_that_is_pinned_held_or_shared_is_swept_away() {
    let asked = std::env::var("SYMPHONY_CASES").ok();
    let count = asked.map_or(HISTORIES, |asked| asked.parse().expect("SYMPHONY_CASES is a number"));
    let (began, swept) = (Instant::now(), AtomicU64::new(0));
    let mut done = 0;
    while done < count {
        let more = PER_WORLD.min(count - done);
        histories(more, &swept);
        done += more;
        let swept = swept.load(Ordering::Relaxed);
        println!("{done} histories, {swept} swept, {:.0} s", began.elapsed().as_secs_f64());
    }
    assert!(swept.load(Ordering::Relaxed) > 0, "no sweep found anything");
}
