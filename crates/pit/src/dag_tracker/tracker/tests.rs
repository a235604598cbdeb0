//! What the tracker does when its journal cannot be relied upon any more.

use component::Hint as _;

use super::*;
use crate::disk::faults;

fn graph() -> Vec<(String, Vec<String>)> {
    vec![("a".to_owned(), Vec::new()), ("b".to_owned(), vec!["a".to_owned()])]
}

#[test]
fn a_broken_journal_is_written_anew_by_the_next_call_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Power).unwrap();
    let journal = || tracker.ledger.as_ref().unwrap().journal();
    let first = tracker.submit(&graph(), 0).unwrap();
    journal().break_now();
    tracker.complete(first, "a", None).unwrap();
    journal().break_now();
    let second = tracker.submit(&graph(), 0).unwrap();
    let third = tracker.submit(&graph(), 0).unwrap();
    journal().break_now();
    tracker.cancel(third).unwrap();
    journal().break_now();
    tracker.forget(third).unwrap();
    // Not closed: what a process that dies now would leave.
    let again = DagTracker::open(folder.path(), Durability::Power).unwrap();
    assert_eq!(again.ready(first, 0).unwrap(), ["b"]);
    assert_eq!(again.ready(second, 0).unwrap(), ["a"]);
    assert_eq!(again.runs().len(), 2);
}

#[test]
fn a_closed_tracker_does_not_touch_its_files_again() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    let run = tracker.submit(&graph(), 0).unwrap();
    tracker.close().unwrap();
    tracker.ledger.as_ref().unwrap().journal().break_now();
    let identity = || {
        use std::os::unix::fs::MetadataExt;
        let mut files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap())
            .map(|about| (about.ino(), about.len()))
            .collect();
        files.sort_unstable();
        files
    };
    let before = identity();
    assert!(matches!(tracker.cancel(run), Err(PitError::Stopped { .. })));
    assert!(matches!(tracker.submit(&graph(), 0), Err(PitError::Stopped { .. })));
    assert_eq!(identity(), before);
}

#[test]
fn a_completion_with_what_a_sweep_takes_away_is_not_written_before_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let tracker = DagTracker::open(folder.path(), Durability::Process).unwrap();
    let run = tracker.submit(&graph(), 0).unwrap();
    let id = ArtifactId::of(b"made");
    let written = || tracker.stats().journal_bytes;
    for is_gone in [true, false] {
        let before = written();
        let completed = std::thread::scope(|scope| {
            let mut completing = None;
            let holder = tracker.unless_held(&id, &mut || {
                let tracker = &tracker;
                completing =
                    Some(scope.spawn(move || tracker.complete(run, "a", Some(&id.to_string()))));
                std::thread::sleep(std::time::Duration::from_millis(50));
                assert_eq!(written(), before, "acknowledged on what is being deleted");
                is_gone
            });
            assert_eq!(holder, None);
            completing.unwrap().join().unwrap()
        });
        if is_gone {
            assert!(matches!(completed, Err(PitError::NotFound { kind: "artifact", .. })));
            assert_eq!(written(), before);
            assert_eq!(tracker.ready(run, 0).unwrap(), ["a"]);
        } else {
            assert_eq!(completed.unwrap(), ["b"]);
        }
    }
    assert_eq!(tracker.user_of(&id.to_string()), Some(run));
}

/// What ends a run.
type End = fn(&DagTracker, RunId) -> PitResult<()>;

#[test]
fn what_a_run_held_is_let_go_of_once_its_end_is_acknowledged() {
    let ends: [End; 2] = [
        |tracker, run| tracker.complete(run, "b", None).map(drop),
        |tracker, run| tracker.cancel(run),
    ];
    for end in ends {
        for is_lost in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let tracker = DagTracker::open(folder.path(), Durability::Power).unwrap();
            let run = tracker.submit(&graph(), 0).unwrap();
            tracker.complete(run, "a", Some("made")).unwrap();
            if is_lost {
                tracker.ledger.as_ref().unwrap().journal().lose_the_disk();
            }
            assert_eq!(end(&tracker, run).is_err(), is_lost);
            assert_eq!(tracker.uses("made"), is_lost);
        }
    }
}

/// A tracker under a lock, and whether somebody still has that.
fn locked(folder: &Path) -> (Arc<DagTracker>, impl Fn() -> bool) {
    let lock = Arc::new(());
    let (guard, progress) = (StateGuard::new(Arc::clone(&lock)), RecoveryProgress::default());
    let tracker = DagTracker::open_guarded(folder, Durability::Process, guard, &progress).unwrap();
    (tracker, move || Arc::strong_count(&lock) > 1)
}

#[test]
fn a_close_on_a_full_disk_says_what_was_not_written_and_lets_go_of_the_file_and_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let (tracker, is_locked) = locked(folder.path());
    let run = tracker.submit(&graph(), 0).unwrap();
    tracker.complete(run, "a", None).unwrap();
    let journal = tracker.ledger.as_ref().unwrap().journal();
    journal.break_now();
    faults::fill_disk(1);
    let error = tracker.close().unwrap_err();
    assert!(matches!(&error, PitError::Io { path, .. } if path.starts_with(folder.path())));
    assert!(error.hints()[0].contains("free space on the disk"), "{:?}", error.hints());
    assert!(matches!(journal.sync(), Err(PitError::Stopped { .. })), "the file is free");
    assert!(!is_locked());
    let again = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(again.ready(run, 0).unwrap(), ["b"]);
}

#[test]
fn a_journal_that_a_full_disk_does_not_let_be_shortened_at_the_close_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (tracker, is_locked) = locked(folder.path());
    for _ in 0..100 {
        let run = tracker.submit(&graph(), 0).unwrap();
        tracker.complete(run, "a", None).unwrap();
        tracker.cancel(run).unwrap();
    }
    let long = tracker.stats().journal_bytes;
    assert!(long > 4096);
    faults::fill_disk(1);
    tracker.close().unwrap();
    let journal = tracker.ledger.as_ref().unwrap().journal();
    assert!(matches!(journal.sync(), Err(PitError::Stopped { .. })), "the file is free");
    assert!(!is_locked());
    let again = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert_eq!((again.stats().journal_bytes, again.runs().len()), (long, 0));
    again.close().unwrap();
    let again = DagTracker::open(folder.path(), Durability::Process).unwrap();
    assert!(again.stats().journal_bytes < long / 10);
}
