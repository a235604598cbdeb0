//! What the store takes away, and goes on with, on a disk that refuses a flush.

use super::*;

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Power).unwrap()
}

#[test]
fn under_power_nothing_is_taken_away_before_its_record_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = store.put(&vec![7; 100_000], &PutOptions::default()).unwrap();
    let blob = store.core.files.path(&id, Place::File);
    store.core.journal.lose_the_disk();
    assert!(store.delete(&id).is_err());
    // After a power cut the journal would name it.
    assert!(blob.exists());
}

#[test]
fn after_a_failed_flush_the_journal_is_written_anew_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let options = PutOptions { name: Some("kept".to_owned()), ..PutOptions::default() };
    let kept = store.put(b"kept", &options).unwrap();
    store.core.journal.lose_the_disk();
    assert!(store.put(b"not acknowledged", &PutOptions::default()).is_err());
    assert!(store.core.journal.is_broken());
    let next = store.put(b"next", &PutOptions::default()).unwrap();
    drop(store);
    let again = open(folder.path());
    assert_eq!(again.find(Some("kept"), None).unwrap(), [kept]);
    assert_eq!(again.get(&kept).unwrap(), b"kept");
    assert_eq!(again.get(&next).unwrap(), b"next");
}
