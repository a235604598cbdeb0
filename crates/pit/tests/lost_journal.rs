//! Store and tracker acknowledge nothing that the next start would not find.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use component::Health;
use pit::artifact_store::{ArtifactStore, PutOptions};
use pit::dag_tracker::DagTracker;
use pit::{Durability, Pit, PitConfig, PitError};

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

fn plain() -> PutOptions {
    PutOptions::default()
}

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    vec![seed; length]
}

#[test]
fn a_store_whose_journal_is_deleted_acknowledges_nothing_more_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let store = open(folder.path());
    let id = store.put(b"kept", &plain()).unwrap();
    fs::remove_file(&journal).unwrap();
    for data in [b"one".to_vec(), bytes(100_000, 1)] {
        let refused = store.put(&data, &plain());
        assert!(matches!(refused, Err(PitError::JournalLost { what: "deleted", .. })));
    }
    assert!(matches!(store.delete(&id), Err(PitError::JournalLost { .. })));
    assert!(matches!(store.health(), Health::Unhealthy(reason) if reason.contains("deleted")));
    assert_eq!(store.get(&id).unwrap(), b"kept");
    assert_eq!(store.stats().artifacts, 1);
    assert!(matches!(store.close(), Err(PitError::JournalLost { .. })));
    drop(store);
    let again = ArtifactStore::open(folder.path(), Durability::Process);
    assert!(matches!(again, Err(PitError::JournalMissing { found: "missing", .. })));
    assert!(!journal.exists(), "a new journal would hide that one is missing");
}

#[test]
fn a_missing_or_empty_journal_beside_what_it_acknowledged_is_an_error_and_changes_nothing() {
    let losses: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"").unwrap(),
        // A journal of another store in which nothing was ever put.
        |path| {
            let other = tempfile::tempdir().unwrap();
            drop(open(other.path()));
            fs::copy(other.path().join("journal"), path).unwrap();
        },
    ];
    for (number, lose) in losses.into_iter().enumerate() {
        for (size, with_index) in [(10, true), (10, false), (100_000, true), (100_000, false)] {
            let folder = tempfile::tempdir().unwrap();
            let (journal, index) =
                (folder.path().join("journal"), folder.path().join("index.redb"));
            let store = open(folder.path());
            let id = store.put(&bytes(size, 1), &plain()).unwrap();
            drop(store);
            let kept = fs::read(&journal).unwrap();
            lose(&journal);
            if !with_index {
                fs::remove_file(&index).unwrap();
                // Blobs without a record are also what a first put leaves that was cut off.
                if number == 2 {
                    continue;
                }
            }
            for _ in 0..2 {
                let opened = ArtifactStore::open(folder.path(), Durability::Process);
                let refused = matches!(opened, Err(PitError::JournalMissing { .. }));
                assert!(refused, "loss {number}, {size} bytes, index {with_index}: {opened:?}");
            }
            // The rescue: the journal is put back.
            fs::write(&journal, kept).unwrap();
            assert_eq!(open(folder.path()).get(&id).unwrap(), bytes(size, 1));
        }
    }
}

#[test]
fn a_first_open_that_was_cut_off_leaves_a_folder_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["segments", "blobs", "archive", "temporary"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("segments/segment-00000000"), b"").unwrap();
    fs::write(folder.path().join("journal.new"), b"half a header").unwrap();
    let store = open(folder.path());
    let id = store.put(b"first", &plain()).unwrap();
    assert_eq!(store.get(&id).unwrap(), b"first");
    // Everything is deleted and nothing is left: that is no loss.
    store.delete(&id).unwrap();
    drop(store);
    assert_eq!(open(folder.path()).stats().artifacts, 0);
}

#[test]
fn a_tracker_whose_journal_is_deleted_acknowledges_nothing_more_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    let graph = [("a".to_owned(), Vec::new()), ("b".to_owned(), vec!["a".to_owned()])];
    let run = tracker.submit(&graph, 0).unwrap();
    assert_eq!(tracker.health(), Health::Healthy);
    fs::remove_file(folder.path().join("dag.journal")).unwrap();
    let refused = |outcome: Result<(), PitError>| {
        assert!(
            matches!(outcome, Err(PitError::JournalLost { what: "deleted", .. })),
            "{outcome:?}"
        );
    };
    refused(tracker.complete(run, "a", None).map(drop));
    refused(tracker.submit(&graph, 0).map(drop));
    refused(tracker.cancel(run));
    assert_eq!(tracker.ready(run, 0).unwrap(), ["a"], "what was refused did not happen");
    assert!(matches!(tracker.health(), Health::Unhealthy(reason) if reason.contains("deleted")));
    refused(tracker.close());
    assert!(!folder.path().join("dag.journal").exists());
}

/// What the open then says, and how it comes to it.
type Cut = (&'static str, fn(&Path));

/// What can be lost of a journal that nobody has open, and how it is found.
fn cuts() -> [Cut; 4] {
    fn cut(path: &Path, length: impl Fn(usize) -> usize) {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..length(bytes.len())]).unwrap();
    }
    [
        ("is missing", |path| fs::remove_file(path).unwrap()),
        ("is empty", |path| cut(path, |_| 0)),
        ("is empty", |path| cut(path, |_| 32)),
        ("was cut at", |path| cut(path, |length| length - 1)),
    ]
}

#[test]
fn what_was_lost_of_the_journal_of_runs_or_of_pins_is_an_error_and_changes_nothing() {
    let journals = ["dag-tracker/dag.journal", "stale-manager/pins"];
    for journal in journals {
        for (number, (said, lose)) in cuts().into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(journal);
            let config = PitConfig::new(folder.path());
            let pit = Pit::open(&config).unwrap();
            let id = pit.artifacts().unwrap().put(b"kept", &plain()).unwrap();
            let run = pit.dag().unwrap().submit(&[("a".to_owned(), Vec::new())], 0).unwrap();
            pit.stale().unwrap().pin(&id).unwrap();
            pit.stale().unwrap().close().unwrap();
            pit.dag().unwrap().close().unwrap();
            drop(pit);
            let whole = fs::read(&path).unwrap();
            lose(&path);
            let left = fs::read(&path).ok();
            for _ in 0..2 {
                let error = Pit::open(&config).unwrap_err().to_string();
                assert!(error.contains(said) && error.contains(journal), "{number}: {error}");
                assert!(error.contains(".mark"), "{number}: {error}");
                assert_eq!(fs::read(&path).ok(), left);
            }
            // The rescue: it is put back.
            fs::write(&path, whole).unwrap();
            let pit = Pit::open(&config).unwrap();
            assert_eq!(pit.dag().unwrap().ready(run, 0).unwrap(), ["a"]);
            assert_eq!(pit.stale().unwrap().pinned(), [id]);
        }
    }
}

#[test]
fn damage_at_the_end_of_a_journal_that_was_closed_is_no_torn_tail() {
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes.iter_mut().rev().take(8).for_each(|byte| *byte = 0),
        // In front of a tail that a killed process has left.
        |bytes| {
            *bytes.last_mut().unwrap() ^= 1;
            bytes.extend([7; 5]);
        },
    ];
    for journal in ["dag-tracker/dag.journal", "stale-manager/pins"] {
        for damage in damages {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(journal);
            let config = PitConfig::new(folder.path());
            let pit = Pit::open(&config).unwrap();
            let id = pit.artifacts().unwrap().put(b"kept", &plain()).unwrap();
            pit.dag().unwrap().submit(&[("a".to_owned(), Vec::new())], 0).unwrap();
            pit.stale().unwrap().pin(&id).unwrap();
            pit.stale().unwrap().close().unwrap();
            pit.dag().unwrap().close().unwrap();
            drop(pit);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, &bytes).unwrap();
            for _ in 0..2 {
                let error = Pit::open(&config).unwrap_err().to_string();
                assert!(error.contains("when the journal was closed"), "{error}");
                assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is removed");
            }
        }
    }
}

#[test]
fn a_journal_of_a_killed_process_is_missed_too() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    tracker.submit(&[("a".to_owned(), Vec::new())], 0).unwrap();
    // Not closed, as a kill leaves it.
    let taken = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("dag.journal.mark"), taken.path().join("dag.journal.mark"))
        .unwrap();
    let refused = DagTracker::open(taken.path(), Durability::Process);
    assert!(
        matches!(refused, Err(PitError::JournalMissing { found: "missing", .. })),
        "{refused:?}"
    );
}

#[test]
fn no_record_is_missed_of_a_journal_that_never_had_one_or_was_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DagTracker::open(folder.path(), Durability::Process).unwrap();
    open().close().unwrap();
    fs::remove_file(folder.path().join("dag.journal")).unwrap();
    let tracker = open();
    let graph = [("a".to_owned(), Vec::new())];
    // So many that the journal is written anew, and is shorter than it was.
    let reason = "r".repeat(100_000);
    for _ in 0..100 {
        let run = tracker.submit(&graph, 0).unwrap();
        tracker.fail(run, "a", &reason).unwrap();
        tracker.cancel(run).unwrap();
        tracker.forget(run).unwrap();
    }
    let length = fs::metadata(folder.path().join("dag.journal")).unwrap().len();
    assert!(length < 5_000_000, "{length}");
    // As a kill leaves it, and closed.
    drop(tracker);
    open().close().unwrap();
    open();
}
