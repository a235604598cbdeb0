//! What the tracker does when its journal cannot be relied upon any more.

use super::*;

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
