//! What the store takes away, and when, on a disk that is about to go.

use super::*;

#[test]
fn under_power_nothing_is_taken_away_before_its_record_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let open = || ArtifactStore::open(folder.path(), Durability::Power).unwrap();
    let data = vec![7; 100_000];
    let store = open();
    let id = store.put(&data, &PutOptions::default()).unwrap();
    store.core.journal.lose_the_disk();
    assert!(store.delete(&id).is_err());
    drop(store);
    // The record of the deletion never reached the disk: the artifact was not deleted.
    assert_eq!(open().get(&id).unwrap(), data);
}
