//! What the store takes away, and goes on with, on a disk that refuses a flush.

use super::*;
use crate::artifact_store::VerifyReport;
use crate::artifact_store::commit::Blob;
use crate::artifact_store::database::refusal;
use crate::artifact_store::record::{FORMAT_BEFORE, Put, Record, encode};
use crate::artifact_store::segments::WORTH_REMOVING;
use crate::disk::faults::fill_disk;

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Power).unwrap()
}

/// A store that brings its index up to date only when it is told to; its own thread would do so while a test fills the disk
/// for another one.
fn open_still(folder: &Path, durability: Durability) -> Arc<ArtifactStore> {
    let store = ArtifactStore::open(folder, durability).unwrap();
    store.flusher.stop();
    store
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
    let store = open_still(folder.path(), Durability::Process);
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
fn a_close_on_a_full_disk_says_what_it_needs_and_the_next_open_has_it_all() {
    for is_first in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.redb");
        let store = open_still(folder.path(), Durability::Process);
        let mut ids = vec![store.put(b"first", &PutOptions::default()).unwrap()];
        if !is_first {
            store.flush().unwrap();
        }
        ids.push(store.put(b"second", &PutOptions::default()).unwrap());
        refusal::set(true);
        let error = store.close().unwrap_err();
        refusal::set(false);
        assert!(matches!(&error, PitError::Index { path, .. } if *path == index));
        let hint = format!("free space on the disk that holds `{}`", index.display());
        assert_eq!(component::Hint::hints(&error), [hint]);
        assert_eq!(index.exists(), !is_first, "a part of one takes room and is of no use");
        assert_eq!(store.core.rebuilds.load(Ordering::Acquire), 0, "nobody reads it any more");
        assert!(matches!(store.core.journal.sync(), Err(PitError::Stopped { .. })));
        let again = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
        assert_eq!(again.find(None, None).unwrap(), ids);
        assert_eq!(again.stats().replayed, if is_first { 2 } else { 1 });
    }
}

#[test]
fn content_in_chunks_is_in_a_journal_that_was_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Power).unwrap();
    let data: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let ids = [&data[..], &data[..4_000_000], &data[4_000_000..]]
        .map(|part| store.put(part, &PutOptions::default()).unwrap());
    store.delete(&ids[1]).unwrap();
    store.core.write_journal_anew(&RecoveryProgress::default()).unwrap();
    let more = store.put(&data[1_000_000..], &PutOptions::default()).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let again = open(folder.path());
    assert_eq!(again.get(&ids[0]).unwrap(), data);
    assert_eq!(again.verify().unwrap(), VerifyReport { checked: 3, bad: vec![], journal: None });
    for id in [ids[0], ids[2], more] {
        again.delete(&id).unwrap();
    }
    assert!(again.core.index.read().sums().live.values().all(|live| *live == 0));
    // The newest segment goes on, unless it is long.
    assert!(again.core.segments.bytes() < WORTH_REMOVING);
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
    assert_eq!(store.verify().unwrap(), VerifyReport { checked: 1, bad: vec![], journal: None });
}

#[test]
fn a_deletion_on_a_full_disk_has_the_room_that_is_kept_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let reserve = folder.path().join("reserve");
    let store = open_still(folder.path(), Durability::Process);
    let [first, second, third] =
        [1, 2, 3].map(|byte| store.put(&vec![byte; 100_000], &PutOptions::default()).unwrap());
    store.flush().unwrap();
    assert!(fs::metadata(&reserve).unwrap().len() > 0);
    fill_disk(1);
    assert!(store.put(b"no room", &PutOptions::default()).is_err());
    assert!(fs::metadata(&reserve).unwrap().len() > 0, "it is for deletions alone");
    fill_disk(1);
    store.delete(&first).unwrap();
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 0);
    fill_disk(1);
    assert!(matches!(store.delete(&second), Err(PitError::Io { .. })));
    assert_eq!(store.get(&second).unwrap(), vec![2; 100_000], "what was refused did not happen");
    store.delete(&third).unwrap();
    store.flush().unwrap();
    assert!(fs::metadata(&reserve).unwrap().len() > 0, "there is room again");
    fill_disk(1);
    store.delete(&second).unwrap();
    assert_eq!(store.stats().artifacts, 0);
}

#[test]
fn a_large_put_whose_record_has_no_room_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_still(folder.path(), Durability::Process);
    let data = vec![7; 100_000];
    let id = ArtifactId::of(&data);
    let nothing = || {
        let files: Vec<_> = ["blobs", "archive", "temporary"]
            .into_iter()
            .filter_map(|name| fs::read_dir(folder.path().join(name)).ok())
            .flatten()
            .flat_map(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect()
                } else {
                    vec![path]
                }
            })
            .collect();
        assert!(files.is_empty(), "{files:?}");
    };
    fill_disk(1);
    assert!(store.put(&data, &PutOptions::default()).is_err());
    nothing();
    fill_disk(1);
    assert!(store.put_reader(&data[..], &PutOptions::default()).is_err());
    nothing();
    assert!(!store.exists(&id).unwrap());
    // Of content that is there, in another place and damaged, the record of the move may be the one that has no room.
    let small = ArtifactId::of(&[7; 1000]);
    store.put(&[7; 1000], &PutOptions::default()).unwrap();
    store.core.damage.found(&small);
    let draft = store.core.draft(&[7; 1000]).unwrap();
    fill_disk(1);
    assert!(
        store.core.commit(small, 1000, &PutOptions::default(), Some(Blob::Large(draft))).is_err()
    );
    nothing();
    assert_eq!(store.get(&small).unwrap(), [7; 1000]);
    let draft = store.core.draft(&[7; 1000]).unwrap();
    store.core.damage.found(&small);
    assert!(
        store.core.commit(small, 1000, &PutOptions::default(), Some(Blob::Large(draft))).unwrap()
    );
    assert_eq!(store.get(&small).unwrap(), [7; 1000]);
    assert!(store.core.files.path(&small, Place::File).exists());
}

/// Bytes in which no two chunks are alike.
fn varied(length: usize) -> Vec<u8> {
    let words = (0..length as u64 / 8)
        .flat_map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    words.collect()
}

#[test]
fn content_in_chunks_whose_record_has_no_room_leaves_nothing() {
    for durability in [Durability::Process, Durability::Power] {
        let folder = tempfile::tempdir().unwrap();
        let store = open_still(folder.path(), durability);
        let data = varied(3 << 20);
        let files = || {
            let list = |name| fs::read_dir(folder.path().join(name)).map_or(0, Iterator::count);
            (list("segments"), list("temporary"))
        };
        fill_disk(1);
        assert!(store.put(&data, &PutOptions::default()).is_err());
        assert_eq!(files(), (0, 0));
        fill_disk(1);
        assert!(store.put_reader(&data[..], &PutOptions::default()).is_err());
        assert_eq!(files(), (0, 0));
        let id = store.put(&data, &PutOptions::default()).unwrap();
        assert_eq!(store.get(&id).unwrap(), data);
        assert_eq!(files(), (1, 0));
    }
}

#[test]
fn a_disk_without_room_for_what_is_moved_costs_a_sweep_nothing_but_that() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_still(folder.path(), Durability::Process);
    let data = varied(8 << 20);
    let whole = store.put(&data, &PutOptions::default()).unwrap();
    let part = store.put(&data[..2 << 20], &PutOptions::default()).unwrap();
    store.delete(&whole).unwrap();
    let before = store.core.segments.bytes();
    fill_disk(1);
    assert_eq!(store.reclaim(None).unwrap(), 0);
    assert_eq!(store.core.segments.bytes(), before);
    assert_eq!(store.get(&part).unwrap(), data[..2 << 20]);
    assert!(store.reclaim(None).unwrap() > 4 << 20);
    assert_eq!(store.get(&part).unwrap(), data[..2 << 20]);
}

/// A closed store with an index that is not looked at before it is read.
fn large(folder: &Path) -> Vec<ArtifactId> {
    let store = ArtifactStore::open(folder, Durability::Process).unwrap();
    let put = |number: usize| {
        let name = Some(format!("{number}-{}", "n".repeat(900)));
        store
            .put(format!("{number}").as_bytes(), &PutOptions { name, ..PutOptions::default() })
            .unwrap()
    };
    let ids: Vec<_> = (0..600).map(put).collect();
    store.close().unwrap();
    let length = fs::metadata(folder.join("index.redb")).unwrap().len();
    assert!(length > crate::artifact_store::database::CHECKED_BYTES, "{length}");
    ids
}

/// Waits until the store's thread has looked at the whole index.
fn looked_at(store: &ArtifactStore) {
    let begun = std::time::Instant::now();
    while !store.core.vouched.load(Ordering::Acquire) {
        assert!(begun.elapsed().as_secs() < 60, "nobody looks");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_large_index_is_looked_at_while_it_is_read_and_made_anew_where_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let ids = large(folder.path());
    let path = folder.path().join("index.redb");
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    looked_at(&store);
    assert_eq!(store.core.rebuilds.load(Ordering::Acquire), 0, "a whole one stays");
    assert_eq!(store.find(None, None).unwrap(), ids);
    store.close().unwrap();
    // A row that has another name afterwards, and would be believed.
    let mut bytes = fs::read(&path).unwrap();
    let row = b"599-nnnn";
    let at = bytes.windows(row.len()).position(|window| window == row).unwrap();
    bytes[at] = b'4';
    fs::write(&path, bytes).unwrap();
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    looked_at(&store);
    assert_eq!(store.core.rebuilds.load(Ordering::Acquire), 1);
    for (number, id) in ids.iter().enumerate() {
        let name = format!("{number}-{}", "n".repeat(900));
        assert_eq!(store.versions(&name).unwrap(), [*id]);
        assert_eq!(store.metadata(id).unwrap().names, [(name, 1)]);
    }
}

#[test]
fn a_put_of_content_with_many_names_writes_no_more_than_one_of_content_with_few() {
    const MANY: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let store = open_still(folder.path(), Durability::Process);
    let parents: Vec<_> = (0..MANY).map(|number| ArtifactId::of(&number.to_le_bytes())).collect();
    let (mut names, mut tags) = (Vec::new(), Vec::new());
    let put = |number: usize, parent: ArtifactId| {
        let (name, tags) = (Some(format!("name {number}")), vec![format!("tag {number}")]);
        store.put(b"content", &PutOptions { name, tags, parents: vec![parent] }).unwrap()
    };
    let id = ArtifactId::of(b"content");
    let row_length = || {
        let mut key = b"a".to_vec();
        key.extend_from_slice(id.as_bytes());
        store.core.index.read().rows().get(&key).unwrap().unwrap().len()
    };
    let mut short = 0;
    for (number, parent) in parents.iter().enumerate() {
        // Each is told twice, and counts once.
        assert_eq!(put(number, *parent), put(number, *parent));
        names.push((format!("name {number}"), 1));
        tags.push(format!("tag {number}"));
        if number == 50 {
            short = row_length();
        }
    }
    assert!(row_length() < short + 20, "{} and {short}", row_length());
    tags.sort_unstable();
    let holds = |store: &ArtifactStore| {
        let metadata = store.metadata(&id).unwrap();
        assert!(metadata.names == names && metadata.tags == tags && metadata.parents == parents);
        for number in [0, 15, 16, 17, MANY - 1] {
            let (name, tag) = (format!("name {number}"), format!("tag {number}"));
            assert_eq!(store.find(Some(&name), Some(&tag)).unwrap(), [id]);
            assert_eq!(store.find(None, Some(&tag)).unwrap(), [id]);
            assert_eq!(store.derived(&parents[number]).unwrap(), [id]);
        }
        assert!(store.lineage(&id).unwrap() == parents);
    };
    holds(&store);
    store.core.write_journal_anew(&RecoveryProgress::default()).unwrap();
    put(0, parents[0]);
    store.close().unwrap();
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let store = open_still(folder.path(), Durability::Process);
    holds(&store);
    // What is as it was seen goes with all its rows, and nothing of it stays.
    let seen = store.metadata(&id).unwrap();
    store
        .put(b"content", &PutOptions { name: Some("one more".to_owned()), ..PutOptions::default() })
        .unwrap();
    assert!(!store.delete_unchanged(&seen).unwrap());
    assert!(store.delete_unchanged(&store.metadata(&id).unwrap()).unwrap());
    let index = store.core.index.read();
    for kind in [b"a", b"o", b"n", b"t", b"d", b"m", b"g", b"p", b"q"] {
        assert!(index.rows().scan(kind, None, 1).unwrap().is_empty(), "rows of {kind:?}");
    }
}

#[test]
fn two_contents_in_turn_under_one_name_are_versions_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_still(folder.path(), Durability::Process);
    let options = PutOptions { name: Some("status".to_owned()), ..PutOptions::default() };
    let put = |data: &[u8]| store.put(data, &options).unwrap();
    let mut versions = Vec::new();
    for number in 0..100 {
        let data: &[u8] = if number % 2 == 0 { b"ok" } else { b"failed" };
        versions.push(put(data));
        put(data);
    }
    assert!(store.versions("status").unwrap() == versions);
    assert_eq!(store.metadata(&versions[0]).unwrap().names.len(), 50);
    store.delete(&versions[0]).unwrap();
    assert_eq!(store.versions("status").unwrap(), [versions[1]; 50]);
}
