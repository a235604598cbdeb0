//! The store against a model in plain maps, with reopening, crashes and every kind of upkeep in between.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use pit::Durability;
use pit::artifact_store::{ArtifactId, ArtifactStore, CHUNKED, LARGE_BLOB, PutOptions};
use proptest::prelude::*;

const CONTENTS: usize = 11;
const NAMES: usize = 3;
const TAGS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Put {
        content: usize,
        name: Option<usize>,
        tags: Vec<usize>,
        stream: bool,
    },
    Get(usize),
    Delete(usize),
    Archive(usize),
    Flush,
    Reclaim,
    Reopen,
    /// The folder as a killed process would leave it, opened by another.
    Crash,
    /// The same, and the index is lost.
    LoseIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let put = (
        0..CONTENTS,
        prop::option::of(0..NAMES),
        prop::collection::vec(0..TAGS, 0..3),
        any::<bool>(),
    );
    prop_oneof![
        10 => put.prop_map(|(content, name, tags, stream)| Step::Put { content, name, tags, stream }),
        4 => (0..CONTENTS).prop_map(Step::Get),
        4 => (0..CONTENTS).prop_map(Step::Delete),
        2 => (0..CONTENTS).prop_map(Step::Archive),
        2 => Just(Step::Flush),
        1 => Just(Step::Reclaim),
        2 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::LoseIndex),
    ]
}

/// Each content, with its id.
static CONTENT: LazyLock<Vec<(Vec<u8>, ArtifactId)>> = LazyLock::new(|| {
    let make = |number| {
        let data = make(number);
        let id = ArtifactId::of(&data);
        (data, id)
    };
    (0..CONTENTS).map(make).collect()
});

fn make(number: usize) -> Vec<u8> {
    // Two of them are files, and three lie in chunks, of which two have most in common.
    match number {
        0 | 1 => vec![u8::try_from(number).unwrap(); LARGE_BLOB + number],
        8 => vec![0; CHUNKED],
        9 | 10 => {
            let noise = |place: u32| (place.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0];
            let mut data: Vec<_> = (0..1_500_000).map(noise).collect();
            data[number * 50_000] ^= 1;
            data
        }
        _ => vec![u8::try_from(number).unwrap(); number * 10],
    }
}

fn content(number: usize) -> &'static [u8] {
    &CONTENT[number].0
}

fn id(number: usize) -> ArtifactId {
    CONTENT[number].1
}

#[derive(Default)]
struct Model {
    /// Content to its place in the order of first puts, names with versions, tags, reads, archived.
    artifacts: BTreeMap<usize, Known>,
    versions: BTreeMap<usize, BTreeMap<u64, usize>>,
    last_version: BTreeMap<usize, u64>,
    puts: usize,
}

#[derive(Default)]
struct Known {
    order: usize,
    names: Vec<(String, u64)>,
    tags: BTreeSet<String>,
    archived: bool,
}

impl Model {
    fn put(&mut self, content: usize, name: Option<usize>, tags: &[usize]) {
        let order = self.puts;
        self.puts += 1;
        let new = || Known { order, ..Known::default() };
        let known = self.artifacts.entry(content).or_insert_with(new);
        known.tags.extend(tags.iter().map(|tag| format!("tag{tag}")));
        let Some(name) = name else { return };
        let last = self.last_version.entry(name).or_default();
        let versions = self.versions.entry(name).or_default();
        if *last > 0 && versions.get(last) == Some(&content) {
            return;
        }
        *last += 1;
        versions.insert(*last, content);
        known.names.push((format!("name{name}"), *last));
    }

    fn delete(&mut self, content: usize) -> bool {
        for versions in self.versions.values_mut() {
            versions.retain(|_, named| *named != content);
        }
        self.artifacts.remove(&content).is_some()
    }

    fn in_order(&self, wanted: impl Fn(&Known) -> bool) -> Vec<ArtifactId> {
        let mut found: Vec<_> = self.artifacts.iter().filter(|(_, known)| wanted(known)).collect();
        found.sort_by_key(|(_, known)| known.order);
        found.into_iter().map(|(number, _)| id(*number)).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn agree(store: &ArtifactStore, model: &Model) {
    assert_eq!(store.find(None, None).unwrap(), model.in_order(|_| true));
    for tag in 0..TAGS {
        let tag = format!("tag{tag}");
        let expected = model.in_order(|known| known.tags.contains(&tag));
        assert_eq!(store.find(None, Some(&tag)).unwrap(), expected);
    }
    for name in 0..NAMES {
        let expected: Vec<_> = model.versions.get(&name).map_or_else(Vec::new, |versions| {
            versions.values().map(|number| id(*number)).collect()
        });
        assert_eq!(store.versions(&format!("name{name}")).unwrap(), expected);
    }
    for number in 0..CONTENTS {
        let id = id(number);
        let Some(known) = model.artifacts.get(&number) else {
            assert!(store.metadata(&id).is_err());
            continue;
        };
        let metadata = store.metadata(&id).unwrap();
        assert_eq!(metadata.names, known.names);
        assert_eq!(metadata.tags, known.tags.iter().cloned().collect::<Vec<_>>());
        assert_eq!(metadata.archived, known.archived);
    }
    let stats = store.stats();
    assert_eq!(stats.artifacts, model.artifacts.len() as u64);
    let bytes: usize = model.artifacts.keys().map(|number| content(*number).len()).sum();
    assert_eq!(stats.bytes, bytes as u64);
}

fn open(folder: &Path) -> Arc<ArtifactStore> {
    ArtifactStore::open(folder, Durability::Process).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_what_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        let mut folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Put { content: number, name, tags, stream } => {
                    let data = content(number);
                    let options = PutOptions {
                        name: name.map(|name| format!("name{name}")),
                        tags: tags.iter().map(|tag| format!("tag{tag}")).collect(),
                        parents: vec![],
                    };
                    let put = if stream {
                        store.put_reader(data, &options)
                    } else {
                        store.put(data, &options)
                    };
                    prop_assert_eq!(put.unwrap(), id(number));
                    model.put(number, name, &tags);
                }
                Step::Get(number) => {
                    let data = content(number);
                    let found = store.get(&id(number)).ok();
                    let expected = model.artifacts.contains_key(&number).then(|| data.to_vec());
                    prop_assert!(found == expected);
                }
                Step::Delete(number) => {
                    let deleted = store.delete(&id(number)).is_ok();
                    prop_assert_eq!(deleted, model.delete(number));
                }
                Step::Archive(number) => {
                    let archived = store.archive(&id(number)).is_ok();
                    let known = model.artifacts.get_mut(&number);
                    prop_assert_eq!(archived, known.is_some());
                    if let Some(known) = known {
                        known.archived = true;
                    }
                }
                Step::Flush => store.flush().unwrap(),
                Step::Reclaim => drop(store.reclaim(None).unwrap()),
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                }
                Step::Crash | Step::LoseIndex => {
                    let left = tempfile::tempdir().unwrap();
                    copy(folder.path(), left.path());
                    if matches!(step, Step::LoseIndex) {
                        drop(fs::remove_file(left.path().join("index.redb")));
                    }
                    drop(store);
                    folder = left;
                    store = open(folder.path());
                }
            }
            agree(&store, &model);
        }
        prop_assert_eq!(store.verify().unwrap().bad, vec![]);
    }
}
