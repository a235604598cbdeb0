//! The artifact store when its files were damaged by others or the disk has no room.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};
use pit::{Durability, PitError};

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

fn plain() -> PutOptions {
    PutOptions::default()
}

fn blob(folder: &Path, kind: &str, id: &ArtifactId) -> PathBuf {
    folder.join(kind).join(&id.to_string()[..2]).join(id.to_string())
}

fn flip(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"!!", 3).unwrap();
}

/// How a fault is found, before the content is put again.
fn by_reading(store: &ArtifactStore, id: &ArtifactId) {
    assert!(store.get(id).is_err());
}

fn by_verifying(store: &ArtifactStore, id: &ArtifactId) {
    assert_eq!(store.verify().unwrap().bad, [*id]);
}

#[test]
fn content_that_was_found_damaged_is_stored_anew_by_a_put() {
    type Damage = fn(&Path, &ArtifactId);
    let cases: [(usize, bool, Damage); 6] = [
        (100, false, |folder, _| flip(&folder.join("segments").join("segment-00000000"))),
        (100, true, |folder, id| flip(&blob(folder, "archive", id))),
        (100, true, |folder, id| fs::remove_file(blob(folder, "archive", id)).unwrap()),
        (100_000, false, |folder, id| flip(&blob(folder, "blobs", id))),
        (100_000, false, |folder, id| fs::remove_file(blob(folder, "blobs", id)).unwrap()),
        (100_000, true, |folder, id| {
            OpenOptions::new()
                .write(true)
                .open(blob(folder, "archive", id))
                .unwrap()
                .set_len(9)
                .unwrap();
        }),
    ];
    for (number, (size, archived, damage)) in cases.into_iter().enumerate() {
        for find in [by_reading as fn(&ArtifactStore, &ArtifactId), by_verifying] {
            for streamed in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let data = vec![7; size];
                let store = open(folder.path());
                let name = PutOptions { name: Some("n".to_owned()), ..plain() };
                let id = store.put(&data, &name).unwrap();
                if archived {
                    store.archive(&id).unwrap();
                }
                damage(folder.path(), &id);
                find(&store, &id);
                if streamed {
                    assert_eq!(store.put_reader(&data[..], &plain()).unwrap(), id);
                } else {
                    assert_eq!(store.put(&data, &plain()).unwrap(), id);
                }
                assert_eq!(store.get(&id).unwrap(), data, "case {number}");
                assert_eq!(store.stats().deduplicated, 0);
                assert_eq!(store.put(&data, &plain()).unwrap(), id);
                assert_eq!(store.stats().deduplicated, 1, "once is enough");
                drop(store);
                // From the journal alone: it must say where the new bytes are.
                fs::remove_file(folder.path().join("index.redb")).unwrap();
                let store = open(folder.path());
                assert_eq!(store.get(&id).unwrap(), data, "case {number}, from the journal");
                assert_eq!(store.versions("n").unwrap(), [id]);
                assert_eq!(store.metadata(&id).unwrap().archived, archived);
                assert!(store.verify().unwrap().bad.is_empty());
            }
        }
    }
}

#[test]
fn a_journal_that_cannot_be_shortened_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let kept = store.put(b"kept", &plain()).unwrap();
    for _ in 0..55_000 {
        store.put(b"again", &plain()).unwrap();
    }
    let long = store.stats().journal_bytes;
    drop(store);
    // A folder where the new journal would be written: as on a full disk, it cannot be.
    let unfinished = folder.path().join("journal.new");
    fs::create_dir(&unfinished).unwrap();
    let store = open(folder.path());
    assert_eq!(store.stats().journal_bytes, long);
    let late = store.put(b"late", &plain()).unwrap();
    drop(store);
    fs::remove_dir(&unfinished).unwrap();
    let store = open(folder.path());
    assert!(store.stats().journal_bytes < long / 2, "it was tried again");
    assert_eq!(store.get(&kept).unwrap(), b"kept");
    assert_eq!(store.get(&late).unwrap(), b"late");
}

#[test]
fn a_large_put_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let data = vec![7; 100_000];
    let id = ArtifactId::of(&data);
    // The blob gets its name before its record is found to be too large for the journal.
    let parents = vec![id; 600_000];
    let failed = store.put(&data, &PutOptions { parents, ..plain() });
    assert!(matches!(failed, Err(PitError::OverLimit { .. })), "{failed:?}");
    assert!(!store.exists(&id).unwrap());
    assert!(!blob(folder.path(), "blobs", &id).exists());
    assert_eq!(store.put(&data, &plain()).unwrap(), id);
    assert_eq!(store.get(&id).unwrap(), data);
}

#[test]
fn a_blob_is_deleted_without_room_for_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = store.put(&vec![7; 100_000], &plain()).unwrap();
    let temporary = folder.path().join("temporary");
    fs::remove_dir_all(&temporary).unwrap();
    fs::write(&temporary, b"").unwrap();
    store.delete(&id).unwrap();
    assert!(!blob(folder.path(), "blobs", &id).exists());
}
