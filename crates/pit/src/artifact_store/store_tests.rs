//! What the store takes away, and goes on with, on a disk that refuses a flush.

use super::*;
use crate::artifact_store::database::refusal;

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

#[test]
fn while_the_disk_refuses_the_index_the_store_answers_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    let put = |number: usize| {
        let options = PutOptions { tags: vec!["t".to_owned()], ..PutOptions::default() };
        store.put(format!("{number}").as_bytes(), &options).unwrap()
    };
    let mut ids: Vec<_> = (0..3000).map(put).collect();
    store.flush().unwrap();
    refusal::set(true);
    ids.extend((3000..6000).map(put));
    for round in 0..3 {
        assert!(matches!(store.flush(), Err(PitError::Index { .. })));
        let health = store.health();
        let trouble = health.reason().unwrap();
        assert!(trouble.contains("index.redb` failed: "), "{trouble}");
        ids.push(put(6000 + round));
        store.delete(&ids.remove(0)).unwrap();
        assert!(store.find(None, Some("t")).unwrap() == ids);
        assert_eq!(store.get(&ids[0]).unwrap(), format!("{}", round + 1).into_bytes());
        assert!(store.verify().unwrap().bad.is_empty());
    }
    refusal::set(false);
    store.flush().unwrap();
    assert_eq!(store.health(), Health::Healthy);
    drop(store);
    let again = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    assert!(again.find(None, Some("t")).unwrap() == ids);
    assert_eq!(again.stats().replayed, 0, "all of it is in the index again");
}
