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
