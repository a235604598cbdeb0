//! What the store takes away, and goes on with, on a disk that refuses a flush.

use super::*;
use crate::artifact_store::VerifyReport;
use crate::artifact_store::database::refusal;
use crate::artifact_store::record::{Put, Record, encode};

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

#[test]
fn content_in_chunks_is_in_a_journal_that_was_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Power).unwrap();
    let data: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let ids = [&data[..], &data[..4_000_000], &data[4_000_000..]]
        .map(|part| store.put(part, &PutOptions::default()).unwrap());
    store.delete(&ids[1]).unwrap();
    store.core.write_journal_anew(&mut store.core.index.write()).unwrap();
    let more = store.put(&data[1_000_000..], &PutOptions::default()).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let again = open(folder.path());
    assert_eq!(again.get(&ids[0]).unwrap(), data);
    assert_eq!(again.verify().unwrap(), VerifyReport { checked: 3, bad: vec![] });
    for id in [ids[0], ids[2], more] {
        again.delete(&id).unwrap();
    }
    assert_eq!(again.core.segments.bytes(), 0);
}

#[test]
fn a_store_of_the_version_before_opens_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![9; 3 << 20];
    let id = ArtifactId::of(&large);
    {
        let put = |id, place, size| {
            encode(&Record::Put(Put::new(id, place, size, 1.0, &PutOptions::default()))).unwrap()
        };
        let path = folder.path().join("journal");
        let journal = Journal::open(&path, FORMAT_BEFORE, Durability::Process, |_| Ok(())).unwrap();
        journal.append(&put(id, Place::File, 3 << 20)).unwrap();
        journal.append(&put(ArtifactId::of(b"small"), Place::Segment(0, 0), 5)).unwrap();
        make_folder(&folder.path().join("segments")).unwrap();
        fs::write(folder.path().join("segments/segment-00000000"), b"small").unwrap();
        let blobs = folder.path().join("blobs").join(&id.to_string()[..2]);
        make_folder(&blobs).unwrap();
        fs::write(blobs.join(id.to_string()), &large).unwrap();
    }
    let store = open(folder.path());
    assert_eq!(store.get(&id).unwrap(), large);
    assert_eq!(store.get(&ArtifactId::of(b"small")).unwrap(), b"small");
    assert_eq!(store.put(&large, &PutOptions::default()).unwrap(), id);
    let other = store.put(&vec![8; 3 << 20], &PutOptions::default()).unwrap();
    drop(store);
    // The program of before would not know what it reads.
    let path = folder.path().join("journal");
    let refused = Journal::begin(&path, FORMAT_BEFORE, Durability::Process);
    assert!(matches!(refused, Err(PitError::Format { found: 3, supported: 2, .. })));
    let store = open(folder.path());
    assert_eq!(store.stats().artifacts, 3);
    assert_eq!(store.verify().unwrap().bad, []);
    // Damaged in its file, it comes to lie in chunks.
    let blob = store.core.files.path(&id, Place::File);
    fs::write(&blob, [1; 100]).unwrap();
    assert!(store.get(&id).is_err());
    store.put(&large, &PutOptions::default()).unwrap();
    assert_eq!(store.get(&id).unwrap(), large);
    assert!(!blob.exists());
    store.archive(&other).unwrap();
    assert!(store.metadata(&other).unwrap().archived);
    assert_eq!(store.get(&other).unwrap(), vec![8; 3 << 20]);
    store.delete(&other).unwrap();
    store.delete(&id).unwrap();
    assert_eq!(store.verify().unwrap(), VerifyReport { checked: 1, bad: vec![] });
}
