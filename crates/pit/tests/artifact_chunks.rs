//! Large content: cut into chunks, each stored once, read while it is deleted and moved.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pit::artifact_store::{ArtifactId, ArtifactStore, CHUNKED, PutOptions};
use pit::{Durability, PitError};
use proptest::prelude::*;

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

fn plain() -> PutOptions {
    PutOptions::default()
}

/// Bytes that no other seed gives.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return vec![] };
    let mut found: Vec<_> = listing.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn stored(folder: &Path) -> u64 {
    let of = |name| {
        files(&folder.join(name)).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>()
    };
    of("segments") + of("temporary")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_two_contents_have_in_common_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let before = noise(1, 16 << 20);
    let mut after = before.clone();
    // Everything behind it stands elsewhere now.
    after.splice(5_000_000..5_000_100, *b"another");
    after.splice(0..0, *b"first");
    let first = store.put(&before, &plain()).unwrap();
    let alone = stored(folder.path());
    assert_eq!(alone, before.len() as u64);
    let second = store.put(&after, &plain()).unwrap();
    assert!(stored(folder.path()) - alone < 4 << 20, "two changes cost two or three chunks");
    let same = stored(folder.path());
    assert_eq!(store.put_reader(&after[..], &plain()).unwrap(), second);
    let mut tail = after.clone();
    tail.push(1);
    store.put_reader(&tail[..], &plain()).unwrap();
    assert!(stored(folder.path()) - same <= 1 << 20, "a byte at the end costs one chunk");
    store.delete(&first).unwrap();
    assert_eq!(store.get(&second).unwrap(), after);
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let store = open(folder.path());
    assert_eq!(store.get(&second).unwrap(), after);
    store.delete(&second).unwrap();
    store.delete(&ArtifactId::of(&tail)).unwrap();
    // The newest segment may be written on.
    assert!(stored(folder.path()) < 1 << 20);
}

#[test]
fn content_that_repeats_itself_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let zeros = vec![0; 40 << 20];
    let id = store.put(&zeros, &plain()).unwrap();
    assert!(stored(folder.path()) <= 2 << 20);
    assert_eq!(store.get(&id).unwrap(), zeros);
    assert_eq!(store.verify().unwrap().bad, []);
    store.delete(&id).unwrap();
    assert_eq!(stored(folder.path()), 0);
}

#[test]
fn a_reader_goes_on_though_its_artifact_is_deleted_and_what_it_held_goes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let data = noise(2, 9 << 20);
    let id = store.put(&data, &plain()).unwrap();
    let mut reader = store.open_reader(&id).unwrap();
    let mut half = vec![0; 4 << 20];
    reader.read_exact(&mut half).unwrap();
    store.delete(&id).unwrap();
    store.reclaim(None).unwrap();
    assert!(!store.exists(&id).unwrap());
    let mut again = reader.clone();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!([half, rest].concat(), data);
    drop(reader);
    store.flush().unwrap();
    assert!(stored(folder.path()) > 0, "there is another");
    again.seek(SeekFrom::Start(8 << 20)).unwrap();
    let mut part = [0; 100];
    again.read_exact(&mut part).unwrap();
    assert_eq!(part, data[8 << 20..][..100]);
    drop(again);
    // Nobody does anything any more.
    until("the deleted bytes to go", || stored(folder.path()) == 0);
}

#[test]
fn readers_never_race_deletions_and_collections() {
    const CONTENTS: u64 = 6;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let common = noise(3, 2 << 20);
    let content = |number: u64| [noise(100 + number, 600_000), common.clone()].concat();
    let contents: Vec<_> = (0..CONTENTS).map(content).collect();
    let ids: Vec<_> = contents.iter().map(|data| ArtifactId::of(data)).collect();
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, ids, stop, reads) = (&store, &ids, &stop, &reads);
            scope.spawn(move || {
                for number in (thread..).step_by(5) {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    let id = ids[number % ids.len()];
                    let mut reader = match store.open_reader(&id) {
                        Err(PitError::NotFound { .. }) => continue,
                        other => other.unwrap(),
                    };
                    let mut data = Vec::new();
                    reader.read_to_end(&mut data).unwrap();
                    assert_eq!(ArtifactId::of(&data), id);
                    reads.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        for round in 0..60_u64 {
            let number = (round * 5 % CONTENTS) as usize;
            if round % 3 == 0 {
                store.put(&contents[number], &plain()).unwrap();
            } else {
                store.put_reader(&contents[number][..], &plain()).unwrap();
            }
            let gone = ((round * 7 + 1) % CONTENTS) as usize;
            if store.exists(&ids[gone]).unwrap() {
                store.delete(&ids[gone]).unwrap();
            }
            if round % 4 == 0 {
                store.reclaim(None).unwrap();
            }
        }
        until("some reads", || reads.load(Ordering::Acquire) > 5);
        stop.store(true, Ordering::Release);
    });
    assert_eq!(store.verify().unwrap().bad, []);
    for id in store.find(None, None).unwrap() {
        store.delete(&id).unwrap();
    }
    store.flush().unwrap();
    let tail = files(&folder.path().join("segments"));
    assert!(tail.len() <= 1, "only the newest segment may stay: {tail:?}");
}

#[test]
fn a_segment_of_which_little_lives_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let common = noise(4, 3 << 20);
    let large = [noise(5, 30 << 20), common.clone()].concat();
    let first = store.put(&large, &plain()).unwrap();
    let second = store.put(&[&common[..], b"x"].concat(), &plain()).unwrap();
    let mut reader = store.open_reader(&second).unwrap();
    store.delete(&first).unwrap();
    let before = stored(folder.path());
    store.reclaim(None).unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert_eq!(ArtifactId::of(&read), second);
    drop(reader);
    until("the old segment to go", || stored(folder.path()) < before / 4);
    assert_eq!(store.get(&second).unwrap(), read);
    drop(store);
    assert_eq!(open(folder.path()).get(&second).unwrap(), read);
}

#[test]
fn a_damaged_chunk_is_found_and_a_put_mends_all_that_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let common = noise(6, 4 << 20);
    let contents = [common.clone(), [&common[..], &noise(7, 2 << 20)].concat()];
    let ids = contents.each_ref().map(|data| store.put(data, &plain()).unwrap());
    let path = files(&folder.path().join("segments")).remove(0);
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(1000)).unwrap();
    file.write_all(b"rot").unwrap();
    for id in &ids {
        assert!(matches!(store.get(id), Err(PitError::Corrupt { .. })));
        let mut reader = store.open_reader(id).unwrap();
        let mut part = [0; 10];
        assert!(reader.read_exact(&mut part).is_err(), "no wrong byte is given");
        // The other chunks are what they were.
        reader.seek(SeekFrom::Start(3 << 20)).unwrap();
        reader.read_exact(&mut part).unwrap();
        assert_eq!(part, common[3 << 20..][..10]);
    }
    assert_eq!(store.verify().unwrap().bad, ids);
    let before = stored(folder.path());
    store.put_reader(&contents[0][..], &plain()).unwrap();
    assert!(stored(folder.path()) - before <= 1 << 20, "only the damaged one is stored anew");
    for (id, data) in ids.iter().zip(&contents) {
        assert_eq!(&store.get(id).unwrap(), data);
    }
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    assert_eq!(open(folder.path()).verify().unwrap().bad, []);
}

#[test]
fn of_a_writer_that_was_given_up_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(b"before", &plain()).unwrap();
    let before = stored(folder.path());
    let mut writer = store.writer(plain()).unwrap();
    writer.write(&noise(8, 70 << 20)).unwrap();
    assert!(stored(folder.path()) > 60 << 20, "it is not held in memory");
    drop(writer);
    assert_eq!(stored(folder.path()), before);
    // A process that is killed leaves what the next one removes.
    let mut writer = store.writer(plain()).unwrap();
    writer.write(&noise(8, 9 << 20)).unwrap();
    std::mem::forget(writer);
    drop(store);
    drop(open(folder.path()));
    assert_eq!(stored(folder.path()), before);
    // Segments that were named and of which the record is missing, too.
    fs::write(folder.path().join("segments/segment-00000077"), vec![7; 70 << 20]).unwrap();
    let store = open(folder.path());
    until("the orphan to go", || stored(folder.path()) == before);
    assert_eq!(store.verify().unwrap().bad, []);
}

#[test]
fn what_was_made_of_an_artifact_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made_from = |parents: &[ArtifactId]| PutOptions { parents: parents.to_vec(), ..plain() };
    let source = store.put(b"source", &plain()).unwrap();
    let middle = store.put(&noise(9, CHUNKED), &made_from(&[source])).unwrap();
    let other = store.put(b"other", &made_from(&[source, middle])).unwrap();
    let last = store.put(b"last", &made_from(&[middle])).unwrap();
    assert_eq!(store.derived(&source).unwrap(), [middle, other, last]);
    assert_eq!(store.derived(&middle).unwrap(), [other, last]);
    assert_eq!(store.derived(&last).unwrap(), []);
    store.delete(&source).unwrap();
    assert_eq!(store.derived(&source).unwrap(), [middle, other, last], "also of what is gone");
    store.delete(&other).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    let store = open(folder.path());
    assert_eq!(store.derived(&source).unwrap(), [middle, last]);
    store.put(b"source", &made_from(&[last])).unwrap();
    assert_eq!(store.derived(&source).unwrap(), [middle, last], "a ring ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn however_it_is_written_it_is_the_same(
        size in 1_100_000_usize..7_000_000,
        seed in 0..3_u64,
        pieces in prop::collection::vec(1_usize..3_000_000, 1..8),
        reads in prop::collection::vec((0_u64..8_000_000, 0_usize..2_000_000), 0..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let data = noise(seed, size);
        let mut writer = store.writer(plain()).unwrap();
        let (mut left, mut pieces) = (&data[..], pieces.iter().cycle());
        while !left.is_empty() {
            let (piece, rest) = left.split_at((*pieces.next().unwrap()).min(left.len()));
            writer.write(piece).unwrap();
            left = rest;
        }
        let id = writer.finish().unwrap();
        prop_assert_eq!(id, ArtifactId::of(&data));
        let bytes = stored(folder.path());
        prop_assert_eq!(bytes, size as u64);
        // Cut at the same places.
        store.delete(&id).unwrap();
        let large = [&data[..], &noise(50, 3_000_000)].concat();
        store.put(&large, &plain()).unwrap();
        let bytes = stored(folder.path());
        store.put(&data, &plain()).unwrap();
        prop_assert!(stored(folder.path()) - bytes <= 1 << 20);
        let mut reader = store.open_reader(&id).unwrap();
        for (place, length) in reads {
            reader.seek(SeekFrom::Start(place)).unwrap();
            let mut part = Vec::new();
            reader.by_ref().take(length as u64).read_to_end(&mut part).unwrap();
            let start = usize::try_from(place).unwrap().min(size);
            prop_assert_eq!(&part[..], &data[start..(start + length).min(size)]);
        }
    }
}
