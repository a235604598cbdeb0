//! What a put acknowledged is there after `kill -9`.
//!
//! The test binary runs itself as the child that is killed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

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

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_puts", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills the child after it acknowledged `count` puts; gives back all that it acknowledged until it was dead.
fn acknowledged_until_killed(mut child: Child, count: usize) -> Vec<ArtifactId> {
    let (sender, receiver) = mpsc::channel();
    let out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            // The kill may have cut the last line.
            if let Some(Ok(id)) = line.unwrap().strip_prefix("id ").map(str::parse) {
                sender.send(id).unwrap();
            }
        }
    });
    let mut ids = Vec::new();
    while ids.len() < count {
        match receiver.recv_timeout(Duration::from_secs(30)) {
            Ok(id) => ids.push(id),
            Err(error) => {
                child.kill().unwrap();
                panic!("the child stopped putting: {error}");
            }
        }
    }
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    ids.extend(receiver);
    reader.join().unwrap();
    ids
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
