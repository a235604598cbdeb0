//! What a put acknowledged is there after `kill -9`.
//!
//! The test binary runs itself as the child that is killed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use pit::Durability;
use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};

const FOLDER: &str = "PIT_TEST_FOLDER";

/// Not a test of its own: with the folder in its environment it puts until it is killed.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn child_that_puts() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = ArtifactStore::open(Path::new(&folder), Durability::Process).unwrap();
    let base = store.stats().artifacts;
    let mut out = std::io::stdout();
    for number in 0_u64.. {
        // Each 40th is a file, each 3rd has a name, each 500th comes after a batch for the index.
        let size = if number % 40 == 39 { 80_000 } else { 2000 };
        let data = (base + number).to_le_bytes().repeat(size / 8);
        let name = (number % 3 == 0).then(|| "named".to_owned());
        let options = PutOptions { name, tags: vec!["all".to_owned()], parents: vec![] };
        let id = store.put(&data, &options).unwrap();
        if number % 500 == 499 {
            store.flush().unwrap();
        }
        writeln!(out, "\nid {id}").unwrap();
        out.flush().unwrap();
    }
}

/// Not a test of its own either: large contents that have half in common come and go until it is killed.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn child_that_puts_chunks() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = ArtifactStore::open(Path::new(&folder), Durability::Process).unwrap();
    let base = u64::from(std::process::id()) << 20;
    let noise = |number: u64, words: u64| {
        (0..words).flat_map(move |place| {
            (number + place + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).to_le_bytes()
        })
    };
    let common: Vec<u8> = noise(0, 100_000).collect();
    let options = PutOptions { tags: vec!["all".to_owned()], ..PutOptions::default() };
    let mut out = std::io::stdout();
    let mut kept = std::collections::VecDeque::new();
    for number in 0_u64.. {
        let data: Vec<u8> =
            noise(base + (number << 12), 60_000).chain(common.iter().copied()).collect();
        let id = if number % 2 == 0 {
            store.put(&data, &options).unwrap()
        } else {
            store.put_reader(&data[..], &options).unwrap()
        };
        writeln!(out, "\nid {id}").unwrap();
        kept.push_back(id);
        if kept.len() > 4 {
            let gone = kept.pop_front().unwrap();
            // Said first: it may be gone from here on.
            writeln!(out, "\ngone {gone}").unwrap();
            out.flush().unwrap();
            store.delete(&gone).unwrap();
        }
        if number % 7 == 6 {
            store.flush().unwrap();
            store.reclaim(None).unwrap();
        }
        out.flush().unwrap();
    }
}

fn start(folder: &Path) -> Child {
    start_test(folder, "child_that_puts")
}

fn start_test(folder: &Path, test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills the child after it acknowledged `count` puts; gives back all that it acknowledged until it was dead.
fn acknowledged_until_killed(child: Child, count: usize) -> Vec<ArtifactId> {
    lines_until_killed(child, count).0
}

/// The same, and what it was about to delete.
fn lines_until_killed(mut child: Child, count: usize) -> (Vec<ArtifactId>, Vec<ArtifactId>) {
    let (sender, receiver) = mpsc::channel();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            // The kill may have cut the last line.
            let line = line.unwrap();
            let Some((word, id)) = line.split_once(' ') else { continue };
            if let (true, Ok(id)) = (matches!(word, "id" | "gone"), id.parse()) {
                sender.send((word == "id", id)).unwrap();
            }
        }
    });
    let (mut ids, mut gone) = (Vec::new(), Vec::new());
    let mut keep = |(is_put, id)| if is_put { ids.push(id) } else { gone.push(id) };
    let mut puts = 0;
    while puts < count {
        match receiver.recv_timeout(Duration::from_secs(30)) {
            Ok(line) => {
                puts += usize::from(line.0);
                keep(line);
            }
            Err(error) => {
                child.kill().unwrap();
                panic!("the child stopped putting: {error}");
            }
        }
    }
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    receiver.into_iter().for_each(keep);
    reader.join().unwrap();
    (ids, gone)
}

#[test]
fn every_acknowledged_artifact_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    // The same store is killed again and again, at different distances from its last batch.
    for count in [1, 130, 501, 777, 1234] {
        acknowledged.extend(acknowledged_until_killed(start(folder.path()), count));
        let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
        let report = store.verify().unwrap();
        assert_eq!(report.bad, []);
        let tagged = store.find(None, Some("all")).unwrap();
        assert_eq!(report.checked, tagged.len() as u64);
        assert!(
            tagged.len() <= acknowledged.len() + 5,
            "at most one put per kill is stored and not acknowledged"
        );
        for id in &acknowledged {
            assert_eq!(ArtifactId::of(&store.get(id).unwrap()), *id);
        }
        let versions = store.versions("named").unwrap();
        for (index, id) in versions.iter().enumerate() {
            let names = store.metadata(id).unwrap().names;
            assert_eq!(names, [("named".to_owned(), index as u64 + 1)]);
        }
    }
}

#[test]
fn content_in_chunks_survives_sigkill_and_what_was_under_way_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for count in [1, 3, 8, 15, 30] {
        let (ids, gone) =
            lines_until_killed(start_test(folder.path(), "child_that_puts_chunks"), count);
        acknowledged.extend(ids);
        for id in gone {
            acknowledged.remove(&id);
        }
        let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
        assert_eq!(store.verify().unwrap().bad, []);
        for id in &acknowledged {
            assert_eq!(ArtifactId::of(&store.get(id).unwrap()), *id);
        }
        for id in store.find(None, Some("all")).unwrap() {
            if !acknowledged.contains(&id) {
                store.delete(&id).unwrap();
            }
        }
    }
    let store = ArtifactStore::open(folder.path(), Durability::Process).unwrap();
    for id in &acknowledged {
        store.delete(id).unwrap();
    }
    let begun = std::time::Instant::now();
    // All but the newest segment, which may be written on.
    while std::fs::read_dir(folder.path().join("segments")).unwrap().count() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(30), "dead segments stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!folder.path().join("temporary").exists());
}
