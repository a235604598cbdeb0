//! What a store keeps: for how long, how many bytes, and what goes first. Each test has a clock of its own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};
use pit::dag_tracker::DagTracker;
use pit::stale_manager::{Action, Enforced, Rule, StaleManager, StoreLimits};
use pit::{Durability, Pit, PitConfig, PitError};

const DAY: f64 = 86_400.0;

fn pit(folder: &Path) -> (Arc<ArtifactStore>, Arc<DagTracker>, Arc<StaleManager>) {
    let pit = Pit::open(&PitConfig::new(folder)).unwrap();
    (pit.artifacts.unwrap(), pit.dag.unwrap(), pit.stale.unwrap())
}

fn in_days(days: f64) -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + days * DAY
}

/// Bytes that have nothing in common with those of another seed.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn put(store: &ArtifactStore, data: &[u8]) -> ArtifactId {
    store.put(data, &PutOptions::default()).unwrap()
}

fn keep(days: u64) -> StoreLimits {
    StoreLimits { keep: Some(Duration::from_secs(days * 86_400)), cap: None }
}

fn cap(bytes: u64) -> StoreLimits {
    StoreLimits { keep: None, cap: Some(bytes) }
}

fn enforce(stale: &StaleManager, limits: &StoreLimits, days: f64) -> Enforced {
    stale.enforce(limits, in_days(days), false, None).unwrap()
}

#[test]
fn what_is_not_used_is_archived_and_after_as_long_again_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, dag, stale) = pit(folder.path());
    let sizes = [100, 100_000, 3 << 20];
    let gone: Vec<_> =
        (1..).zip(sizes).map(|(seed, size)| put(&store, &bytes(size, seed))).collect();
    let pinned = put(&store, b"pinned");
    stale.pin(&pinned).unwrap();
    let held = put(&store, b"held");
    let graph = [("a".to_owned(), Vec::new()), ("b".to_owned(), vec!["a".to_owned()])];
    let run = dag.submit(&graph, 0).unwrap();
    dag.complete(run, "a", Some(&held.to_string())).unwrap();
    let named = store
        .put(b"named", &PutOptions { name: Some("keep/it".to_owned()), ..PutOptions::default() })
        .unwrap();
    let rule = Rule { named: Some("keep/*".into()), ..Rule::new("mine", Action::Keep) };
    stale.rule(rule).unwrap();

    let early = enforce(&stale, &keep(30), 29.0).sweep;
    assert_eq!((early.examined, early.kept), (6, 6));
    let dry = stale.enforce(&keep(30), in_days(31.0), true, None).unwrap().sweep;
    assert_eq!((&dry.archived, dry.deleted.len()), (&gone, 0));
    assert!(!store.metadata(&gone[0]).unwrap().archived, "a dry run touches nothing");
    for days in [31.0, 59.0] {
        let swept = enforce(&stale, &keep(30), days).sweep;
        assert_eq!((swept.pinned, swept.in_use, swept.deleted.len()), (1, 1, 0));
    }
    for (id, (seed, size)) in gone.iter().zip((1..).zip(sizes)) {
        assert!(store.metadata(id).unwrap().archived);
        assert!(store.get(id).unwrap() == bytes(size, seed), "it reads as before");
    }
    // Reading it was a use, a moment ago by the real clock.
    let swept = enforce(&stale, &keep(30), 61.0).sweep;
    assert_eq!(swept.deleted, gone);
    assert!(swept.failures.is_empty(), "{:?}", swept.failures);
    assert_eq!(store.find(None, None).unwrap(), [pinned, held, named]);
    assert_eq!(store.stats().stored_bytes, 15);
}

#[test]
fn beyond_the_cap_the_least_valuable_goes_and_nothing_that_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let (store, dag, stale) = pit(folder.path());
    let ids: Vec<_> = (0..10).map(|seed| put(&store, &bytes(50_000, seed))).collect();
    // Those that were read are worth more, and a good one most.
    for _ in 0..50 {
        ids[3..6].iter().for_each(|id| drop(store.get(id).unwrap()));
    }
    let good = PutOptions { tags: vec!["quality=1".to_owned()], ..PutOptions::default() };
    store.put(&bytes(50_000, 9), &good).unwrap();
    stale.pin(&ids[0]).unwrap();
    let graph = [("a".to_owned(), Vec::new()), ("b".to_owned(), vec!["a".to_owned()])];
    let run = dag.submit(&graph, 0).unwrap();
    dag.complete(run, "a", Some(&ids[1].to_string())).unwrap();
    assert_eq!(store.stats().stored_bytes, 500_000);
    let kept = enforce(&stale, &cap(500_000), 1.0);
    assert_eq!((kept.sweep.deleted.len(), kept.is_over), (0, false));
    let swept = enforce(&stale, &cap(300_000), 1.0);
    assert_eq!((swept.stored_bytes, swept.is_over), (300_000, false));
    let mut left = store.find(None, None).unwrap();
    left.sort_unstable();
    let mut expected = vec![ids[0], ids[1], ids[3], ids[4], ids[5], ids[9]];
    expected.sort_unstable();
    assert_eq!(left, expected);
    // No more than is pinned or held stays.
    let swept = enforce(&stale, &cap(1), 1.0);
    assert_eq!((swept.stored_bytes, swept.is_over), (100_000, true));
    assert_eq!(store.find(None, None).unwrap(), [ids[0], ids[1]]);
}

#[test]
fn what_two_have_in_common_is_counted_once_and_the_cap_is_kept_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, stale) = pit(folder.path());
    let shared = bytes(4 << 20, 1);
    for seed in 0..4 {
        let mut data = shared.clone();
        data.extend(bytes(1 << 20, 100 + seed));
        put(&store, &data);
    }
    let stats = store.stats();
    assert!(stats.bytes == 20 << 20 && stats.stored_bytes < 10 << 20, "{stats:?}");
    let limit = 7 << 20;
    let swept = enforce(&stale, &cap(limit), 1.0);
    assert!(swept.stored_bytes <= limit && !swept.is_over, "{}", swept.stored_bytes);
    let left = store.find(None, None).unwrap();
    assert!((1..=3).contains(&left.len()), "{left:?}");
    let report = store.verify().unwrap();
    assert!(report.bad.is_empty());
}

#[test]
fn what_was_put_a_moment_ago_stays_for_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, stale) = pit(folder.path());
    let id = put(&store, &bytes(1000, 1));
    let swept = enforce(&stale, &cap(10), 0.0);
    assert!(swept.is_over && store.exists(&id).unwrap());
    assert!(!enforce(&stale, &cap(10), 1.0).is_over);
    assert!(!store.exists(&id).unwrap());
}

#[test]
fn what_had_aged_before_it_was_archived_gets_its_second_period_also_from_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<_> = {
        let (store, _, stale) = pit(folder.path());
        let sizes = [100, 100_000, 3 << 20];
        let ids: Vec<_> =
            (1..).zip(sizes).map(|(seed, size)| put(&store, &bytes(size, seed))).collect();
        let swept = enforce(&stale, &keep(30), 300.0).sweep;
        assert_eq!((&swept.archived, swept.deleted.len()), (&ids, 0));
        assert_eq!(enforce(&stale, &keep(30), 300.1).sweep.deleted, []);
        store.close().unwrap();
        ids
    };
    let (store, _, stale) = pit(folder.path());
    let archived = store.archived_at(&ids[0]).unwrap().unwrap();
    assert!((archived - in_days(300.0)).abs() < 3600.0);
    assert_eq!(enforce(&stale, &keep(30), 329.0).sweep.deleted, []);
    assert_eq!(enforce(&stale, &keep(30), 331.0).sweep.deleted, ids);
}

#[test]
fn what_was_used_in_the_last_second_outlives_any_keep_and_limits_of_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, stale) = pit(folder.path());
    let id = put(&store, b"new");
    store.archive(&id).unwrap();
    let short = StoreLimits { keep: Some(Duration::from_millis(1)), cap: None };
    for part in [0.1, 0.3, 0.5] {
        let swept = enforce(&stale, &short, part / DAY).sweep;
        assert_eq!((swept.kept, swept.deleted.len()), (1, 0));
    }
    assert_eq!(enforce(&stale, &short, 1.0).sweep.deleted, [id]);
    for limits in [cap(0), keep(0)] {
        let refused = stale.enforce(&limits, in_days(1.0), true, None);
        assert!(matches!(refused, Err(PitError::Invalid { .. })), "{refused:?}");
    }
}

#[test]
fn what_is_given_up_moves_nothing_out_of_sparse_segments() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    let data = bytes(8 << 20, 1);
    let whole = put(&store, &data);
    put(&store, &data[..2 << 20]);
    store.delete(&whole).unwrap();
    assert_eq!(store.reclaim(Some(&|| true)).unwrap(), 0);
    assert!(store.reclaim(Some(&|| false)).unwrap() > 0, "there was something to move");
}

#[test]
fn a_sweep_of_limits_that_is_given_up_leaves_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, stale) = pit(folder.path());
    for seed in 0..20 {
        put(&store, &bytes(100, seed));
    }
    let asked = std::cell::Cell::new(0);
    let gives_up = || {
        asked.set(asked.get() + 1);
        asked.get() > 5
    };
    let swept = stale.enforce(&keep(1), in_days(2.0), false, Some(&gives_up)).unwrap().sweep;
    assert_eq!(swept.archived.len(), 5);
}

/// Waits until it is so; the test fails after a minute.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_store_with_limits_keeps_to_them_by_itself_until_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreLimits { keep: Some(Duration::from_millis(1500)), cap: Some(250_000) };
    let pit = Pit::open(&PitConfig { store, ..PitConfig::new(folder.path()) }).unwrap();
    let (store, stale) = (pit.artifacts.unwrap(), pit.stale.unwrap());
    let pinned = put(&store, b"pinned");
    stale.pin(&pinned).unwrap();
    for seed in 0..10 {
        put(&store, &bytes(50_000, seed));
    }
    until("the cap is kept", || store.stats().stored_bytes <= 250_000);
    until("what is not used goes", || store.find(None, None).unwrap() == [pinned]);
    stale.close().unwrap();
    let last = put(&store, &bytes(300_000, 99));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(store.exists(&last).unwrap(), "a closed manager deletes nothing");
    stale.close().unwrap();
}

#[test]
fn a_manager_that_is_dropped_ends_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let config = PitConfig { store: keep(1), ..PitConfig::new(folder.path()) };
        let pit = Pit::open(&config).unwrap();
        put(&pit.artifacts.clone().unwrap(), b"x");
        drop(pit);
    }
}

#[test]
fn what_no_record_names_is_collected_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    let kept: Vec<_> = (1..)
        .zip([100, 100_000, 2 << 20])
        .map(|(seed, size)| put(&store, &bytes(size, seed)))
        .collect();
    let archived = put(&store, &bytes(200_000, 9));
    store.archive(&archived).unwrap();
    // As processes leave them that are killed between a blob and its record.
    let orphan = ArtifactId::of(b"orphan").to_string();
    for folder_of in ["blobs", "archive"] {
        let part = folder.path().join(folder_of).join(&orphan[..2]);
        std::fs::create_dir_all(&part).unwrap();
        std::fs::write(part.join(&orphan), bytes(70_000, 5)).unwrap();
        std::fs::write(part.join("not ours"), b"x").unwrap();
    }
    let dead = put(&store, &bytes(3 << 20, 77));
    store.delete(&dead).unwrap();
    let collected = store.collect(None).unwrap();
    assert_eq!(collected.files, 2);
    assert!(collected.bytes >= 140_000, "{collected:?}");
    assert_eq!(store.collect(None).unwrap().files, 0);
    for id in kept.iter().chain([&archived]) {
        assert!(store.get(id).is_ok());
    }
    assert!(folder.path().join("blobs").join(&orphan[..2]).join("not ours").exists());
}

#[test]
fn collecting_never_takes_what_is_being_put_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Acquire) {
                store.collect(None).unwrap();
            }
        });
        for seed in 0..60 {
            let data = bytes(70_000, seed);
            let id = put(&store, &data);
            assert!(store.get(&id).unwrap() == data);
            if seed % 3 == 0 {
                store.archive(&id).unwrap();
            }
            if seed % 2 == 0 {
                store.delete(&id).unwrap();
            } else {
                assert!(store.get(&id).unwrap() == data);
            }
        }
        ended.store(true, std::sync::atomic::Ordering::Release);
        collecting.join().unwrap();
    });
    assert!(store.verify().unwrap().bad.is_empty());
}
