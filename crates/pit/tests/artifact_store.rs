//! The artifact store keeps its promises, with real files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use component::Hint;
use pit::artifact_store::{ArtifactId, ArtifactStore, LARGE_BLOB, PutOptions};
use pit::{Durability, PitError};

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

fn named(name: &str) -> PutOptions {
    PutOptions { name: Some(name.to_owned()), ..PutOptions::default() }
}

fn tagged(tags: &[&str]) -> PutOptions {
    PutOptions { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..PutOptions::default() }
}

fn plain() -> PutOptions {
    PutOptions::default()
}

/// Bytes that no compression or pattern makes equal by chance.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut data = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
    data
}

fn length_of_folder(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Runs `body` and fails when it has not ended after a minute.
fn within_a_minute(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        done.send(()).unwrap();
    });
    if finished.recv_timeout(std::time::Duration::from_secs(60)).is_err() {
        assert!(thread.is_finished(), "it hangs");
        thread.join().unwrap();
    }
}

#[test]
fn every_size_comes_back_before_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sizes = [0, 1, 4096, LARGE_BLOB - 1, LARGE_BLOB, LARGE_BLOB + 1, 3 << 20];
    let mut ids = Vec::new();
    for (seed, size) in sizes.into_iter().enumerate() {
        let data = bytes(size, seed as u64);
        let id = store.put(&data, &plain()).unwrap();
        assert_eq!(id, ArtifactId::of(&data));
        assert_eq!(store.get(&id).unwrap(), data);
        ids.push((id, data));
    }
    store.close().unwrap();
    let store = open(folder.path());
    assert_eq!(store.stats().replayed, 0, "the index was brought up to date at close");
    for (id, data) in &ids {
        assert_eq!(&store.get(id).unwrap(), data);
        assert_eq!(store.metadata(id).unwrap().size, data.len() as u64);
    }
    assert_eq!(store.find(None, None).unwrap(), ids.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let report = store.verify().unwrap();
    assert_eq!((report.checked, report.bad.len()), (sizes.len() as u64, 0));
}

#[test]
fn the_same_content_is_stored_once_whatever_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (size, place) in [(5000, "segments"), (200_000, "blobs")] {
        let data = bytes(size, 7);
        let first = store.put(&data, &named("a")).unwrap();
        let written = || {
            if place == "segments" {
                length_of_folder(&folder.path().join(place))
            } else {
                length_of_folder(&folder.path().join(place).join(&first.to_string()[..2]))
            }
        };
        let before = written();
        assert_eq!(store.put(&data, &named("b")).unwrap(), first);
        assert_eq!(store.put_reader(&data[..], &tagged(&["t"])).unwrap(), first);
        assert_eq!(written(), before);
        let metadata = store.metadata(&first).unwrap();
        assert_eq!(metadata.tags, ["t"]);
        assert!(metadata.names.iter().any(|(name, _)| name == "b"));
    }
    let stats = store.stats();
    assert_eq!((stats.artifacts, stats.bytes, stats.puts, stats.deduplicated), (2, 205_000, 6, 4));
    assert_eq!(fs::read_dir(folder.path().join("temporary")).unwrap().count(), 0);
}

#[test]
fn names_have_versions_that_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let one = store.put(b"one", &named("model")).unwrap();
    let two = store.put(b"two", &named("model")).unwrap();
    assert_eq!(store.put(b"two", &named("model")).unwrap(), two);
    assert_eq!(store.versions("model").unwrap(), [one, two], "the newest again is no new version");
    let back = store.put(b"one", &named("model")).unwrap();
    assert_eq!(store.versions("model").unwrap(), [one, two, back]);
    assert_eq!(
        store.metadata(&one).unwrap().names,
        [("model".to_owned(), 1), ("model".to_owned(), 3)]
    );
    assert_eq!(store.find(Some("model"), None).unwrap(), [one, two]);
    store.delete(&one).unwrap();
    assert_eq!(store.versions("model").unwrap(), [two]);
    drop(store);
    let store = open(folder.path());
    let three = store.put(b"three", &named("model")).unwrap();
    assert_eq!(store.metadata(&three).unwrap().names, [("model".to_owned(), 4)]);
    assert!(store.versions("mode").unwrap().is_empty(), "a name is not a prefix of another");
}

#[test]
fn tags_and_names_find_together_and_lineage_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let source = store.put(b"source", &tagged(&["raw", "keep"])).unwrap();
    let middle =
        store.put(b"middle", &PutOptions { parents: vec![source], ..named("result") }).unwrap();
    let last = PutOptions { parents: vec![middle, source], ..tagged(&["keep"]) };
    let last = store.put(b"last", &PutOptions { name: Some("result".into()), ..last }).unwrap();
    assert_eq!(store.find(None, Some("keep")).unwrap(), [source, last]);
    assert_eq!(store.find(Some("result"), Some("keep")).unwrap(), [last]);
    assert!(store.find(Some("result"), Some("raw")).unwrap().is_empty());
    assert!(store.find(None, Some("kee")).unwrap().is_empty());
    assert_eq!(store.lineage(&last).unwrap(), [middle, source]);
    store.delete(&source).unwrap();
    assert_eq!(store.lineage(&last).unwrap(), [middle, source], "history outlives its subject");
    assert_eq!(store.find(None, Some("keep")).unwrap(), [last]);
}

#[test]
fn what_is_deleted_is_gone_also_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let small = store.put(&bytes(100, 1), &named("x")).unwrap();
    let large = store.put(&bytes(100_000, 2), &plain()).unwrap();
    let file = folder.path().join("blobs").join(&large.to_string()[..2]).join(large.to_string());
    assert!(file.exists());
    let mut reader = store.open_reader(&large).unwrap();
    for id in [small, large] {
        store.delete(&id).unwrap();
        assert!(!store.exists(&id).unwrap());
        assert!(matches!(store.get(&id), Err(PitError::NotFound { kind: "artifact", .. })));
        assert!(matches!(store.delete(&id), Err(PitError::NotFound { .. })));
    }
    assert!(!file.exists());
    assert_eq!(fs::read_dir(folder.path().join("temporary")).unwrap().count(), 0);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, bytes(100_000, 2), "an open reader reads on");
    assert!(store.find(None, None).unwrap().is_empty());
    assert!(store.versions("x").unwrap().is_empty());
    let again = store.put(&bytes(100_000, 2), &plain()).unwrap();
    assert_eq!(store.get(&again).unwrap(), bytes(100_000, 2));
}

#[test]
fn a_changed_artifact_is_not_deleted_by_one_who_saw_it_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = store.put(b"data", &plain()).unwrap();
    let seen = store.metadata(&id).unwrap();
    store.get(&id).unwrap();
    assert!(!store.delete_unchanged(&seen).unwrap(), "it was read meanwhile");
    let seen = store.metadata(&id).unwrap();
    store.put(b"data", &plain()).unwrap();
    assert!(!store.delete_unchanged(&seen).unwrap(), "it was put meanwhile");
    assert!(store.delete_unchanged(&store.metadata(&id).unwrap()).unwrap());
    assert!(!store.exists(&id).unwrap());
}

#[test]
fn reads_are_counted_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = store.put(b"data", &plain()).unwrap();
    assert_eq!(store.metadata(&id).unwrap().last_read, None);
    store.get(&id).unwrap();
    store.flush().unwrap();
    store.open_reader(&id).unwrap();
    let before = store.metadata(&id).unwrap();
    assert_eq!(before.reads, 2);
    drop(store);
    assert_eq!(open(folder.path()).metadata(&id).unwrap(), before);
}

#[test]
fn a_reader_seeks_within_its_artifact_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put(&bytes(500, 1), &plain()).unwrap();
    let data = bytes(1000, 2);
    let id = store.put(&data, &plain()).unwrap();
    store.put(&bytes(500, 3), &plain()).unwrap();
    let mut reader = store.open_reader(&id).unwrap();
    assert_eq!(reader.size(), 1000);
    reader.seek(SeekFrom::End(-10)).unwrap();
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, data[990..]);
    reader.seek(SeekFrom::Start(1)).unwrap();
    reader.seek(SeekFrom::Current(1)).unwrap();
    let mut some = [0; 5];
    reader.read_exact(&mut some).unwrap();
    assert_eq!(some, data[2..7]);
    assert!(reader.seek(SeekFrom::Current(-8)).is_err());
    reader.seek(SeekFrom::Start(5000)).unwrap();
    assert_eq!(reader.read(&mut some).unwrap(), 0);
}

#[test]
fn damage_is_told_and_never_returned_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let good = store.put(&bytes(100, 1), &plain()).unwrap();
    let flipped = store.put(&bytes(100, 2), &plain()).unwrap();
    let large = store.put(&bytes(100_000, 3), &plain()).unwrap();
    let missing = store.put(&bytes(100_000, 4), &plain()).unwrap();
    let blob = |id: &ArtifactId| {
        folder.path().join("blobs").join(&id.to_string()[..2]).join(id.to_string())
    };
    let segment = folder.path().join("segments").join("segment-00000000");
    OpenOptions::new().write(true).open(segment).unwrap().write_all_at(b"!!", 150).unwrap();
    OpenOptions::new().write(true).open(blob(&large)).unwrap().set_len(5).unwrap();
    fs::remove_file(blob(&missing)).unwrap();
    assert!(store.get(&good).is_ok());
    assert!(matches!(store.get(&flipped), Err(PitError::Corrupt { offset: 100, .. })));
    assert!(matches!(store.get(&large), Err(PitError::Corrupt { .. })));
    assert!(matches!(store.get(&missing), Err(PitError::Io { .. })));
    let report = store.verify().unwrap();
    assert_eq!(report.checked, 4);
    assert_eq!(report.bad.into_iter().collect::<HashSet<_>>(), [flipped, large, missing].into());
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt_from_the_journal() {
    for damage in [
        (|path| fs::remove_file(path).unwrap()) as fn(&Path),
        |path| fs::write(path, b"no index at all").unwrap(),
        |path| fs::write(path, b"").unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(9000).unwrap(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let first = store.put(b"first", &named("n")).unwrap();
        let second = store.put(b"second", &named("n")).unwrap();
        let third = store.put(b"third", &tagged(&["t"])).unwrap();
        store.delete(&first).unwrap();
        drop(store);
        damage(&folder.path().join("index.redb"));
        let store = open(folder.path());
        assert_eq!(store.versions("n").unwrap(), [second]);
        assert_eq!(store.find(None, Some("t")).unwrap(), [third]);
        assert_eq!(store.stats().artifacts, 2);
        drop(store);
        assert_eq!(open(folder.path()).stats().replayed, 0);
    }
}

#[test]
fn a_torn_journal_loses_only_what_was_torn() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let store = open(folder.path());
    let kept = store.put(b"kept", &plain()).unwrap();
    let end = store.stats().journal_bytes;
    let torn = store.put(b"torn", &plain()).unwrap();
    // As a kill leaves it: no index says that there was more.
    let whole = fs::read(&journal).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    fs::remove_file(folder.path().join("journal.mark")).unwrap();
    fs::write(&journal, &whole[..usize::try_from(end).unwrap() + 20]).unwrap();
    let store = open(folder.path());
    assert_eq!(store.stats().truncated, 20);
    assert!(store.exists(&kept).unwrap());
    assert!(!store.exists(&torn).unwrap());
    assert_eq!(store.put(b"torn", &plain()).unwrap(), torn);
    assert_eq!(store.get(&torn).unwrap(), b"torn");
    assert_eq!(store.verify().unwrap().bad, []);
}

#[test]
fn leftovers_of_a_crash_are_removed_at_open() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let temporary = folder.path().join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    fs::write(temporary.join("7"), b"half a blob").unwrap();
    let store = open(folder.path());
    assert!(!temporary.join("7").exists());
    store.put(&bytes(100_000, 1), &plain()).unwrap();
}

#[test]
fn an_archived_artifact_leaves_its_segment_and_reads_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for size in [1000, 100_000] {
        let data = bytes(size, 1);
        let id = store.put(&data, &named("n")).unwrap();
        store.archive(&id).unwrap();
        store.archive(&id).unwrap();
        assert!(store.metadata(&id).unwrap().archived);
        assert_eq!(store.get(&id).unwrap(), data);
        assert_eq!(store.put(&data, &plain()).unwrap(), id);
        let name = id.to_string();
        assert!(folder.path().join("archive").join(&name[..2]).join(&name).exists());
        assert!(!folder.path().join("blobs").join(&name[..2]).join(&name).exists());
    }
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.verify().unwrap().bad, []);
    for id in store.find(None, None).unwrap() {
        store.delete(&id).unwrap();
    }
    assert_eq!(store.stats().artifacts, 0);
}

#[test]
fn dead_bytes_of_full_segments_are_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let size = 60_000;
    // Two segments of 64 MiB and a bit of a third.
    let ids: Vec<_> =
        (0..2300).map(|seed| store.put(&bytes(size, seed), &plain()).unwrap()).collect();
    let segments = folder.path().join("segments");
    assert_eq!(fs::read_dir(&segments).unwrap().count(), 3);
    for (number, id) in ids.iter().enumerate() {
        if number % 4 != 0 {
            store.delete(id).unwrap();
        }
    }
    let freed = store.reclaim(None).unwrap();
    assert!(freed > 60 << 20, "{freed}");
    assert!(!segments.join("segment-00000000").exists());
    assert!(!segments.join("segment-00000001").exists());
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.stats().artifacts, 575);
    assert_eq!(store.verify().unwrap().bad, []);
    for id in ids.iter().step_by(4) {
        store.delete(id).unwrap();
    }
}

#[test]
fn readers_and_writers_at_once_see_whole_artifacts() {
    within_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        for durability in [Durability::Process, Durability::Power] {
            let store = ArtifactStore::open(folder.path(), durability).unwrap();
            let rounds = if durability == Durability::Process { 300 } else { 20 };
            std::thread::scope(|scope| {
                for thread in 0..4_u64 {
                    let store = &store;
                    scope.spawn(move || {
                        for round in 0..rounds {
                            // Half of the content is shared by all threads; some of it comes and goes.
                            let seed = if round % 2 == 0 { round } else { thread << 32 | round };
                            let size = if round % 7 == 0 { 70_000 } else { 3000 };
                            let data = bytes(size, seed);
                            let id = store.put(&data, &named("shared")).unwrap();
                            match store.get(&id) {
                                Ok(found) => assert_eq!(found, data),
                                Err(PitError::NotFound { .. }) => assert_eq!(round % 2, 0),
                                Err(error) => panic!("{error:?}"),
                            }
                            if round % 6 == 0 {
                                match store.delete(&id) {
                                    Ok(()) | Err(PitError::NotFound { .. }) => {}
                                    Err(error) => panic!("{error:?}"),
                                }
                            }
                            if round % 50 == 0 {
                                store.flush().unwrap();
                            }
                        }
                    });
                }
            });
            assert_eq!(store.verify().unwrap().bad, []);
            let found = store.find(None, None).unwrap();
            assert_eq!(found.len() as u64, store.stats().artifacts);
            store.close().unwrap();
        }
    });
}

#[test]
fn a_failing_source_stores_nothing() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(out.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
            Ok(out.len())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = store.put_reader(Failing(30 << 20), &plain()).unwrap_err();
    assert!(matches!(error, PitError::Io { .. }));
    assert_eq!(store.stats().artifacts, 0);
    assert_eq!(fs::read_dir(folder.path().join("temporary")).unwrap().count(), 0);
}

#[test]
fn a_closed_store_says_so() {
    within_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let id = store.put(b"data", &plain()).unwrap();
        store.close().unwrap();
        store.close().unwrap();
        assert!(matches!(store.get(&id), Err(PitError::Stopped { member: "artifact-store" })));
        assert!(matches!(store.put(b"data", &plain()), Err(PitError::Stopped { .. })));
    });
}

#[test]
fn names_tags_and_ids_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for bad in ["", "a\nb", "a\0b", &"x".repeat(1025)] {
        assert!(matches!(store.put(b"", &named(bad)), Err(PitError::Invalid { .. })), "{bad:?}");
        assert!(matches!(store.put(b"", &tagged(&[bad])), Err(PitError::Invalid { .. })));
    }
    assert_eq!(store.stats().artifacts, 0);
    for bad in ["", "abc", &"g".repeat(64), &"a".repeat(65)] {
        assert!(bad.parse::<ArtifactId>().is_err(), "{bad}");
    }
    let id = ArtifactId::of(b"data");
    assert_eq!(id.to_string().parse::<ArtifactId>().unwrap(), id);
}

#[test]
fn a_folder_that_cannot_be_used_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"precious").unwrap();
    let error = ArtifactStore::open(&file, Durability::Process).unwrap_err();
    assert!(matches!(error, PitError::NotAFolder { .. }), "{error}");
    assert!(error.to_string().contains("it is a file"));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let below = ArtifactStore::open(&file.join("below"), Durability::Process).unwrap_err();
    assert!(matches!(below, PitError::Io { doing: "create the folder", .. }), "{below}");
    // Not even root may write there, and a chmod does not stop root.
    let error =
        ArtifactStore::open(Path::new("/sys/kernel/symphony"), Durability::Process).unwrap_err();
    assert!(matches!(error, PitError::Io { .. }), "{error}");
    assert!(error.hints()[0].contains("writable"), "{:?}", error.hints());
    assert_eq!(error.code(), component::Code::STATE_INVALID);
}

#[test]
fn a_journal_that_is_mostly_history_is_written_anew_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = store.put(b"first", &named("n")).unwrap();
    let gone = store.put(b"gone", &named("n")).unwrap();
    let last = store.put(b"last", &PutOptions { parents: vec![first], ..tagged(&["t"]) }).unwrap();
    for _ in 0..50_000 {
        store.put(b"first", &plain()).unwrap();
    }
    store.get(&last).unwrap();
    store.archive(&last).unwrap();
    store.delete(&gone).unwrap();
    let before = [first, last].map(|id| store.metadata(&id).unwrap());
    drop(store);
    // Twice: once as the rewriting process goes on, once from what it left; then from the journal alone.
    for round in 0..3 {
        if round == 2 {
            fs::remove_file(folder.path().join("index.redb")).unwrap();
        }
        let store = open(folder.path());
        assert!(store.stats().journal_bytes < 10_000, "{}", store.stats().journal_bytes);
        assert_eq!([first, last].map(|id| store.metadata(&id).unwrap()), before);
        assert_eq!(store.find(None, None).unwrap(), [first, last]);
        assert_eq!(store.find(None, Some("t")).unwrap(), [last]);
        assert_eq!(store.versions("n").unwrap(), [first]);
        assert_eq!((store.stats().artifacts, store.stats().bytes), (2, 9));
        assert_eq!(store.verify().unwrap().bad, []);
    }
    let store = open(folder.path());
    let third = store.put(b"third", &named("n")).unwrap();
    assert_eq!(store.metadata(&third).unwrap().names, [("n".to_owned(), 3)]);
    assert_eq!(store.find(None, None).unwrap(), [first, last, third]);
}

#[test]
fn a_closed_store_that_is_still_held_leaves_its_folder_to_the_next() {
    within_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Vec::new();
        let mut ids = Vec::new();
        for round in 0..4 {
            let store = open(folder.path());
            for id in &ids {
                store.get(id).unwrap();
            }
            ids.extend(
                (0..200)
                    .map(|seed| store.put(&bytes(300, round << 32 | seed), &named("n")).unwrap()),
            );
            // Writers that are under way while it is closed are refused, they do not write on.
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    let mut last = Ok(ArtifactId::of(b""));
                    for number in 0.. {
                        last = store.put(&bytes(10, round << 40 | number), &plain());
                        if last.is_err() {
                            break;
                        }
                    }
                    last
                });
                std::thread::sleep(std::time::Duration::from_millis(5));
                store.close().unwrap();
                let refused = writer.join().unwrap().unwrap_err();
                assert!(matches!(refused, PitError::Stopped { .. }), "{refused:?}");
            });
            assert!(matches!(store.flush(), Err(PitError::Stopped { .. })));
            held.push(store);
        }
        let store = open(folder.path());
        drop(held);
        store.flush().unwrap();
        assert_eq!(store.verify().unwrap().bad, []);
        assert_eq!(store.versions("n").unwrap(), ids);
        drop(store);
        assert_eq!(open(folder.path()).versions("n").unwrap(), ids);
    });
}
