//! The index is derived: whatever happens to it, the store answers what the journal says.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use component::Health;
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

/// A store of 300 artifacts that was closed, and what it has to say.
fn filled(folder: &Path) -> Expected {
    let mut expected = Expected::default();
    let store = open(folder);
    (0..300).for_each(|number| expected.put(&store, number));
    store.close().unwrap();
    expected
}

/// The files beside the journal that were kept of it.
fn kept_of(folder: &Path) -> Vec<Vec<u8>> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kept = names.filter(|path| path.to_string_lossy().contains("journal.kept-"));
    kept.map(|path| fs::read(path).unwrap()).collect()
}

/// Opens a store whose journal was damaged: nothing is lost, it says what was done, and the new journal has it all.
#[track_caller]
fn is_rescued(folder: &Path, damaged: &[u8], expected: &Expected) {
    let store = open(folder);
    expected.holds(&store);
    let health = store.health();
    assert!(
        matches!(&health, Health::Degraded(text) if text.contains("anew of the index")),
        "{health:?}"
    );
    assert!(kept_of(folder).iter().any(|kept| kept == damaged), "the old one is kept");
    store.close().unwrap();
    fs::remove_file(folder.join("index.redb")).unwrap();
    let store = open(folder);
    assert_eq!(store.health(), Health::Healthy);
    expected.holds(&store);
}

#[test]
fn a_cut_journal_is_written_anew_of_the_index_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let expected = filled(folder.path());
    let (index, journal) = (folder.path().join("index.redb"), folder.path().join("journal"));
    let (whole_index, whole) = (fs::read(&index).unwrap(), fs::read(&journal).unwrap());
    let mark = fs::read(folder.path().join("journal.mark")).unwrap();
    for length in [1, 31, 32, 33, 60, whole.len() / 2, whole.len() - 1] {
        for with_mark in [true, false] {
            fs::write(&index, &whole_index).unwrap();
            fs::write(&journal, &whole[..length]).unwrap();
            fs::write(folder.path().join("journal.mark"), if with_mark { &mark[..] } else { b"" })
                .unwrap();
            is_rescued(folder.path(), &whole[..length], &expected);
        }
    }
}

#[test]
fn a_journal_without_a_header_is_written_anew_of_the_index_and_of_what_it_holds_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Expected::default();
    let store = open(folder.path());
    (0..200).for_each(|number| expected.put(&store, number));
    store.flush().unwrap();
    (200..300).for_each(|number| expected.put(&store, number));
    // As a kill leaves it: the index does not know the last hundred.
    let taken = tempfile::tempdir().unwrap();
    for name in ["index.redb", "journal", "segments/segment-00000000"] {
        let to = taken.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(folder.path().join(name), to).unwrap();
    }
    let (index, journal) = (taken.path().join("index.redb"), taken.path().join("journal"));
    let (whole_index, whole) = (fs::read(&index).unwrap(), fs::read(&journal).unwrap());
    for range in [0..1, 8..9, 20..21, 31..32, 0..64, 0..4096] {
        let mut damaged = whole.clone();
        damaged[range].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&index, &whole_index).unwrap();
        fs::write(&journal, &damaged).unwrap();
        is_rescued(taken.path(), &damaged, &expected);
    }
    // An index of another store proves nothing, and is no reason to touch the journal.
    let other = tempfile::tempdir().unwrap();
    filled(other.path());
    let mut damaged = whole;
    damaged[0] ^= 1;
    fs::copy(other.path().join("index.redb"), &index).unwrap();
    fs::write(&journal, &damaged).unwrap();
    let refused = ArtifactStore::open(taken.path(), Durability::Process);
    assert!(matches!(refused, Err(PitError::Corrupt { offset: 0, .. })), "{refused:?}");
    assert!(fs::read(&journal).unwrap() == damaged);
}

#[test]
fn a_cut_journal_beside_an_index_that_is_not_whole_is_an_error_and_both_stay() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let (index, journal) = (folder.path().join("index.redb"), folder.path().join("journal"));
    let whole = fs::read(&journal).unwrap();
    let cut = &whole[..whole.len() / 2];
    fs::write(&journal, cut).unwrap();
    let refuses = || {
        let refused = ArtifactStore::open(folder.path(), Durability::Process);
        let Err(PitError::JournalCut { length, held, witness, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((length, held), (cut.len() as u64, whole.len() as u64));
        assert!(fs::read(&journal).unwrap() == cut);
        witness
    };
    // A page of rows, which nothing reads at the open.
    let mut bytes = fs::read(&index).unwrap();
    let key = b"n39";
    let at = bytes.windows(key.len()).rposition(|window| window == key).unwrap();
    bytes[at] ^= 1;
    fs::write(&index, &bytes).unwrap();
    assert_eq!(refuses(), index);
    assert!(index.exists(), "it is left for whoever wants to look");
    fs::remove_file(&index).unwrap();
    let mark = folder.path().join("journal.mark");
    assert_eq!(refuses(), mark);
    // Whoever removes the witness goes on with what is left.
    fs::remove_file(&mark).unwrap();
    let left = open(folder.path()).stats().artifacts;
    assert!((100..200).contains(&left), "{left}");
}

#[test]
fn a_journal_that_verify_finds_damaged_is_written_anew_while_the_store_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = filled(folder.path());
    let journal = folder.path().join("journal");
    let mut damaged = fs::read(&journal).unwrap();
    let at = damaged.len() / 2;
    damaged[at] ^= 4;
    fs::write(&journal, &damaged).unwrap();
    let store = open(folder.path());
    let report = store.verify().unwrap();
    assert!(report.bad.is_empty() && report.checked == 300);
    let text = report.journal.unwrap();
    assert!(text.contains("damaged at byte") && text.contains("kept-1"), "{text}");
    assert!(matches!(store.health(), Health::Degraded(_)));
    expected.put(&store, 300);
    assert_eq!(store.verify().unwrap().journal, None);
    assert!(kept_of(folder.path()).contains(&damaged));
    drop(store);
    fs::remove_file(folder.path().join("index.redb")).unwrap();
    expected.holds(&open(folder.path()));
}

#[test]
fn a_damaged_journal_that_cannot_be_written_anew_leaves_no_second_name() {
    let folder = tempfile::tempdir().unwrap();
    let expected = filled(folder.path());
    let journal = folder.path().join("journal");
    let mut damaged = fs::read(&journal).unwrap();
    let at = damaged.len() / 2;
    damaged[at] ^= 4;
    fs::write(&journal, &damaged).unwrap();
    let store = open(folder.path());
    // A folder where the new one would be written.
    let unfinished = folder.path().join("journal.new");
    fs::create_dir(&unfinished).unwrap();
    for _ in 0..3 {
        let text = store.verify().unwrap().journal.unwrap();
        assert!(text.contains("could not be written anew"), "{text}");
        assert_eq!(kept_of(folder.path()), Vec::<Vec<u8>>::new());
    }
    fs::remove_dir(&unfinished).unwrap();
    assert!(store.verify().unwrap().journal.unwrap().contains("kept-1"));
    assert_eq!(kept_of(folder.path()), [damaged]);
    drop(store);
    expected.holds(&open(folder.path()));
}
