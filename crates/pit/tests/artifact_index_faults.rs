//! The index is derived: whatever happens to it, the store answers what the journal says.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};
use pit::{Durability, PitError};

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

fn plain() -> PutOptions {
    PutOptions::default()
}

/// What was put, and what the store has to say of it.
#[derive(Default)]
struct Expected {
    data: BTreeMap<ArtifactId, (Vec<u8>, String)>,
    versions: BTreeMap<String, Vec<ArtifactId>>,
    tagged: BTreeMap<String, Vec<ArtifactId>>,
}

impl Expected {
    fn put(&mut self, store: &ArtifactStore, number: usize) {
        let data = format!("{number}-{}", "x".repeat(number % 300)).into_bytes();
        let (name, tag) = (format!("n{}", number % 40), format!("t{}", number % 7));
        let options = PutOptions {
            name: Some(name.clone()),
            tags: vec![tag.clone()],
            ..PutOptions::default()
        };
        let id = store.put(&data, &options).unwrap();
        self.versions.entry(name).or_default().push(id);
        self.tagged.entry(tag.clone()).or_default().push(id);
        self.data.insert(id, (data, tag));
    }

    #[track_caller]
    fn holds(&self, store: &ArtifactStore) {
        for (id, (data, tag)) in &self.data {
            assert_eq!(&store.get(id).unwrap(), data);
            assert_eq!(store.metadata(id).unwrap().tags, std::slice::from_ref(tag));
        }
        for (name, ids) in &self.versions {
            assert_eq!(&store.versions(name).unwrap(), ids, "{name}");
        }
        for (tag, ids) in &self.tagged {
            assert_eq!(&store.find(None, Some(tag)).unwrap(), ids, "{tag}");
        }
        assert_eq!(store.find(None, None).unwrap().len(), self.data.len());
        assert_eq!(store.stats().artifacts, self.data.len() as u64);
    }
}

/// Numbers without a pattern (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len());
    let near = |length: usize| at..(at + length).min(bytes.len());
    match dice.below(6) {
        0 | 1 => bytes[at] ^= 1 << dice.below(8),
        2 => bytes.truncate(at),
        3 => {
            let range = near(64);
            bytes[range].fill(0);
        }
        4 => {
            let range = near(4096);
            bytes[range].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
        }
        _ => bytes.extend(std::iter::repeat_n(0xa5, 1 + at % 100)),
    }
}

#[test]
fn a_damaged_index_never_gives_a_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Expected::default();
    let store = open(folder.path());
    (0..300).for_each(|number| expected.put(&store, number));
    drop(store);
    let index = folder.path().join("index.redb");
    let whole = fs::read(&index).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..30 {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut dice);
        fs::write(&index, bytes).unwrap();
        let store = open(folder.path());
        expected.holds(&store);
    }
}

#[test]
fn an_index_that_cannot_be_made_anew_answers_nothing_and_makes_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Expected::default();
    let store = open(folder.path());
    (0..300).for_each(|number| expected.put(&store, number));
    drop(store);
    let (index, journal) = (folder.path().join("index.redb"), folder.path().join("journal"));
    let (whole_index, whole) = (fs::read(&index).unwrap(), fs::read(&journal).unwrap());
    // What the index covers is not read at the open, so that the damage of both is met when it is asked.
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let mut met = 0;
    for at in (whole_index.len() / 8..whole_index.len()).step_by(whole_index.len() / 40) {
        let mut bytes = whole_index.clone();
        bytes[at] ^= 0x10;
        fs::write(&index, bytes).unwrap();
        // Where the open itself reads what is damaged, it says so; where nobody ever does, all is well.
        let Ok(store) = ArtifactStore::open(folder.path(), Durability::Process) else { continue };
        let (id, _) = expected.data.iter().next().unwrap();
        if store.metadata(id).is_ok() {
            continue;
        }
        met += 1;
        for _ in 0..3 {
            let got = store.get(id);
            assert!(matches!(got, Err(PitError::Corrupt { .. })), "{got:?}");
            assert!(store.find(None, None).is_err() && store.put(b"new", &plain()).is_err());
            assert!(store.flush().is_err());
        }
    }
    assert!(met > 0, "no damage was met by a read");
    assert_eq!(fs::read(&journal).unwrap(), damaged, "the journal is left as it is");
    fs::write(&journal, whole).unwrap();
    expected.holds(&open(folder.path()));
}
