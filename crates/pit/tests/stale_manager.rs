//! The stale manager deletes what the rules name, and never what is pinned or in use.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};
use pit::stale_manager::{Action, InUse, NothingInUse, Rule, StaleManager, SweepOptions};
use pit::{Durability, PitError};
use proptest::prelude::*;

#[derive(Default)]
struct Runs(Mutex<Vec<ArtifactId>>);

impl InUse for Runs {
    fn in_use(&self, id: &ArtifactId) -> Option<String> {
        self.0.lock().contains(id).then(|| "run 7".to_owned())
    }
}

struct World {
    store: Arc<ArtifactStore>,
    runs: Arc<Runs>,
    stale: Arc<StaleManager>,
}

fn open(folder: &Path) -> World {
    let store = ArtifactStore::open(&folder.join("artifacts"), Durability::Process).unwrap();
    let runs = Arc::new(Runs::default());
    let in_use: Arc<dyn InUse> = Arc::clone(&runs) as _;
    let stale =
        StaleManager::open(&folder.join("stale"), Durability::Process, Arc::clone(&store), in_use)
            .unwrap();
    World { store, runs, stale }
}

fn put(store: &ArtifactStore, data: &[u8], name: &str, tags: &[&str]) -> ArtifactId {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    store.put(data, &PutOptions { name: Some(name.to_owned()), tags, parents: vec![] }).unwrap()
}

fn delete_tagged(tag: &str) -> Rule {
    Rule { tag: Some(tag.to_owned()), ..Rule::new("scratch", Action::Delete) }
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
fn the_first_rule_that_fits_decides_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let World { store, stale, .. } = open(folder.path());
    let training = put(&store, b"123456", "train/set", &["scratch"]);
    let scratch = put(&store, b"1234567", "tmp/a", &["scratch"]);
    let poor = put(&store, b"12345678", "out/b", &["quality=0.2"]);
    let good = put(&store, b"123456789", "out/c", &["quality=0.9"]);
    for id in [training, scratch, poor, good] {
        assert_eq!(stale.evaluate(&id).unwrap(), Action::Keep);
    }
    assert_eq!(stale.explain(&good).unwrap().to_string(), "keep: no rule fits it");
    stale
        .rule(Rule { named: Some("train/*".into()), ..Rule::new("training", Action::Keep) })
        .unwrap();
    stale.rule(Rule { larger_than: Some(6), ..delete_tagged("scratch") }).unwrap();
    stale.rule(Rule { quality_below: Some(0.5), ..Rule::new("poor", Action::Archive) }).unwrap();
    let verdicts = [training, scratch, poor, good].map(|id| stale.evaluate(&id).unwrap());
    assert_eq!(verdicts, [Action::Keep, Action::Delete, Action::Archive, Action::Keep]);
    assert_eq!(
        stale.explain(&scratch).unwrap().to_string(),
        "delete: rule `scratch`: 7 bytes (more than 6), tagged `scratch`"
    );
    assert_eq!(
        stale.explain(&poor).unwrap().to_string(),
        "archive: rule `poor`: quality 0.2 (below 0.5)"
    );
    assert_eq!(stale.explain(&training).unwrap().rule.as_deref(), Some("training"));
    let never = Rule { larger_than: Some(1000), ..Rule::new("training", Action::Keep) };
    stale.rule(never).unwrap();
    stale.rule(delete_tagged("scratch")).unwrap();
    assert_eq!(stale.evaluate(&training).unwrap(), Action::Delete, "replaced where it stood");
    assert_eq!(stale.rules().len(), 3);
}

#[test]
fn age_and_use_are_measured_from_the_last_put_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let World { store, stale, .. } = open(folder.path());
    let limit = Some(Duration::from_millis(300));
    let old = put(&store, b"old", "old", &[]);
    let read = put(&store, b"read", "read", &[]);
    let again = put(&store, b"again", "again", &[]);
    std::thread::sleep(Duration::from_millis(320));
    store.get(&read).unwrap();
    put(&store, b"again", "again", &[]);
    stale.rule(Rule { unused_for: limit, ..Rule::new("unused", Action::Archive) }).unwrap();
    let verdicts = |ids: [ArtifactId; 3]| ids.map(|id| stale.evaluate(&id).unwrap());
    assert_eq!(verdicts([old, read, again]), [Action::Archive, Action::Keep, Action::Keep]);
    stale.rule(Rule { older_than: limit, ..Rule::new("aged", Action::Delete) }).unwrap();
    assert_eq!(verdicts([old, read, again]), [Action::Archive, Action::Delete, Action::Keep]);
    let reason = stale.explain(&read).unwrap().reason;
    assert!(reason.starts_with("put 0.") && reason.ends_with("s ago (limit 0.3 s)"), "{reason}");
    let never = Rule { reads_below: Some(1), ..Rule::new("unused", Action::Delete) };
    stale.rule(never).unwrap();
    let hours = Some(Duration::from_secs(3600));
    stale.rule(Rule { older_than: hours, ..Rule::new("aged", Action::Delete) }).unwrap();
    assert_eq!(verdicts([old, read, again]), [Action::Delete, Action::Keep, Action::Delete]);
}

#[test]
fn a_sweep_spares_what_is_pinned_or_in_use_and_a_dry_one_everything() {
    let folder = tempfile::tempdir().unwrap();
    let World { store, runs, stale } = open(folder.path());
    let pinned = put(&store, b"pinned", "a", &["scratch"]);
    let used = put(&store, b"used", "b", &["scratch"]);
    let gone = put(&store, b"gone", "c", &["scratch"]);
    let archived = put(&store, b"archived", "d", &["big"]);
    let kept = put(&store, b"kept", "e", &[]);
    stale.rule(delete_tagged("scratch")).unwrap();
    stale.rule(Rule { tag: Some("big".into()), ..Rule::new("big", Action::Archive) }).unwrap();
    assert!(stale.pin(&pinned).unwrap());
    assert!(!stale.pin(&pinned).unwrap());
    runs.0.lock().push(used);
    assert_eq!(stale.explain(&pinned).unwrap().to_string(), "keep: it is pinned");
    assert_eq!(stale.explain(&used).unwrap().to_string(), "keep: it is in use by run 7");

    let dry = stale.sweep(true).unwrap();
    let wet = stale.sweep(false).unwrap();
    for report in [&dry, &wet] {
        assert_eq!((report.examined, report.kept, report.pinned, report.in_use), (5, 3, 1, 1));
        assert_eq!((&report.deleted[..], &report.archived[..]), (&[gone][..], &[archived][..]));
        assert_eq!(report.deleted_bytes, 4);
        assert!(report.failures.is_empty());
    }
    assert!(dry.dry_run && !wet.dry_run);
    assert_eq!(store.find(None, None).unwrap(), [pinned, used, archived, kept]);
    assert_eq!(store.get(&archived).unwrap(), b"archived");

    runs.0.lock().clear();
    assert!(stale.unpin(&pinned).unwrap());
    let last = stale.sweep(false).unwrap();
    assert_eq!(last.deleted, [pinned, used]);
    assert!(last.archived.is_empty(), "it is in the archive already");
}

#[test]
fn pins_outlive_the_process_and_their_journal_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("stale").join("pins");
    let world = open(folder.path());
    let one = put(&world.store, b"one", "n", &[]);
    let two = put(&world.store, b"two", "n", &[]);
    for _ in 0..1000 {
        world.stale.pin(&two).unwrap();
        world.stale.unpin(&two).unwrap();
    }
    world.stale.pin(&one).unwrap();
    let missing = ArtifactId::of(b"missing");
    assert!(matches!(world.stale.pin(&missing), Err(PitError::NotFound { .. })));
    let long = std::fs::metadata(&journal).unwrap().len();
    drop(world);
    let world = open(folder.path());
    assert_eq!(world.stale.pinned(), [one]);
    assert!(std::fs::metadata(&journal).unwrap().len() < long / 100);
    drop(world);
    assert_eq!(open(folder.path()).stale.pinned(), [one]);
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let World { stale, .. } = open(folder.path());
    for rule in [
        Rule::new("everything", Action::Delete),
        Rule::new("", Action::Keep),
        Rule { quality_below: Some(f64::NAN), ..Rule::new("nan", Action::Archive) },
    ] {
        assert!(matches!(stale.rule(rule), Err(PitError::Invalid { .. })));
    }
    assert!(stale.rules().is_empty());
    stale.rule(Rule::new("all of it", Action::Keep)).unwrap();
}

#[test]
fn a_pin_that_succeeded_is_never_swept_away() {
    within_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        let World { store, stale, .. } = open(folder.path());
        stale.rule(delete_tagged("scratch")).unwrap();
        for round in 0..30_u32 {
            let ids: Vec<_> = (0..40_u32)
                .map(|number| {
                    let data = [round.to_le_bytes(), number.to_le_bytes()].concat();
                    put(&store, &data, "n", &["scratch"])
                })
                .collect();
            let pinned = std::thread::scope(|scope| {
                let sweeper = scope.spawn(|| stale.sweep(false).unwrap());
                let pinned: Vec<_> =
                    ids.iter().rev().filter(|id| stale.pin(id).is_ok_and(|new| new)).collect();
                sweeper.join().unwrap();
                pinned
            });
            for id in pinned {
                assert!(store.exists(id).unwrap());
                stale.unpin(id).unwrap();
            }
        }
    });
}

#[test]
fn a_file_for_a_folder_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(&folder.path().join("a"), Durability::Process).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"precious").unwrap();
    let error =
        StaleManager::open(&file, Durability::Process, store, Arc::new(NothingInUse)).unwrap_err();
    assert!(matches!(error, PitError::NotAFolder { .. }), "{error}");
}

/// Pins what it is asked about: a pin exactly between the judgement and the deletion.
#[derive(Default)]
struct PinsWhenAsked(std::sync::OnceLock<Arc<StaleManager>>);

impl InUse for PinsWhenAsked {
    fn in_use(&self, id: &ArtifactId) -> Option<String> {
        assert!(self.0.get().unwrap().pin(id).unwrap());
        None
    }
}

#[test]
fn a_pin_between_the_judgement_and_the_deletion_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(&folder.path().join("a"), Durability::Process).unwrap();
    let asked = Arc::new(PinsWhenAsked::default());
    let in_use: Arc<dyn InUse> = Arc::clone(&asked) as _;
    let pins = folder.path().join("stale");
    let stale = StaleManager::open(&pins, Durability::Process, Arc::clone(&store), in_use).unwrap();
    asked.0.set(Arc::clone(&stale)).unwrap();
    stale.rule(delete_tagged("scratch")).unwrap();
    let id = put(&store, b"data", "n", &["scratch"]);
    let report = stale.sweep(false).unwrap();
    assert_eq!((report.kept, report.pinned, report.deleted.len()), (1, 1, 0));
    assert!(store.exists(&id).unwrap());
}

/// Comes to use what it was asked about after it has answered.
#[derive(Default)]
struct UsedOnceAsked(Mutex<Vec<ArtifactId>>);

impl InUse for UsedOnceAsked {
    fn in_use(&self, id: &ArtifactId) -> Option<String> {
        let mut asked = self.0.lock();
        let user = asked.contains(id).then(|| "run 9".to_owned());
        asked.push(*id);
        user
    }
}

#[test]
fn what_a_run_comes_to_use_between_the_judgement_and_the_deletion_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(&folder.path().join("a"), Durability::Process).unwrap();
    let in_use: Arc<dyn InUse> = Arc::new(UsedOnceAsked::default());
    let pins = folder.path().join("stale");
    let stale = StaleManager::open(&pins, Durability::Process, Arc::clone(&store), in_use).unwrap();
    stale.rule(delete_tagged("scratch")).unwrap();
    let id = put(&store, b"data", "n", &["scratch"]);
    let report = stale.sweep(false).unwrap();
    assert_eq!((report.kept, report.in_use, report.deleted.len()), (1, 1, 0));
    assert!(store.exists(&id).unwrap());
}

#[test]
fn a_sweep_says_why_and_keeps_to_its_limit_and_its_rate() {
    let folder = tempfile::tempdir().unwrap();
    let World { store, runs, stale } = open(folder.path());
    let ids: Vec<_> = (0..6u8)
        .map(|number| put(&store, &[number], &format!("n{number}"), &["scratch"]))
        .collect();
    let kept = put(&store, b"kept", "kept", &[]);
    stale.rule(delete_tagged("scratch")).unwrap();
    stale.pin(&ids[0]).unwrap();
    runs.0.lock().push(ids[1]);
    let explain = SweepOptions { dry_run: true, explain: true, ..SweepOptions::default() };
    let dry = stale.sweep_with(&explain, None).unwrap();
    let told: Vec<_> = dry.explained.iter().map(|why| (why.id, why.to_string())).take(3).collect();
    let expected = [
        (ids[0], "keep: it is pinned"),
        (ids[1], "keep: it is in use by run 7"),
        (ids[2], "delete: rule `scratch`: tagged `scratch`"),
    ];
    assert_eq!(told, expected.map(|(id, why)| (id, why.to_owned())));
    assert!(dry.explained.iter().all(|why| why.id != kept), "nobody wants to touch it");

    let two = SweepOptions { limit: Some(2), ..SweepOptions::default() };
    let first = stale.sweep_with(&two, None).unwrap();
    assert_eq!((first.deleted, first.limited), (ids[2..4].to_vec(), true));
    let slowly = SweepOptions { rate: Some(20.0), ..SweepOptions::default() };
    let began = std::time::Instant::now();
    let rest = stale.sweep_with(&slowly, None).unwrap();
    assert_eq!((rest.deleted, rest.limited), (ids[4..].to_vec(), false));
    assert!(began.elapsed() >= Duration::from_millis(50), "one each 50 ms");
    for rate in [0.0, -1.0, f64::NAN] {
        let options = SweepOptions { rate: Some(rate), ..SweepOptions::default() };
        assert!(stale.sweep_with(&options, None).is_err());
    }
}

#[test]
fn a_slow_sweep_is_given_up_when_it_is_asked_to_and_tells_what_it_did() {
    within_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        let World { store, stale, .. } = open(folder.path());
        for number in 0..3u8 {
            put(&store, &[number], &format!("n{number}"), &["scratch"]);
        }
        stale.rule(delete_tagged("scratch")).unwrap();
        // The second would come after a thousand seconds.
        let options = SweepOptions { rate: Some(0.001), ..SweepOptions::default() };
        let report = stale.sweep_with(&options, Some(&|| true)).unwrap();
        assert_eq!(report.deleted.len(), 1);
        assert_eq!(store.find(None, None).unwrap().len(), 2);
    });
}

#[test]
fn a_rule_by_score_takes_what_is_worth_least() {
    let folder = tempfile::tempdir().unwrap();
    let World { store, stale, .. } = open(folder.path());
    let good = put(&store, b"good", "good", &["quality=1.0"]);
    let bad = put(&store, b"bad", "bad", &["quality=0.0"]);
    stale.rule(Rule { score_below: Some(0.6), ..Rule::new("worth", Action::Delete) }).unwrap();
    assert_eq!(stale.evaluate(&good).unwrap(), Action::Keep);
    let why = stale.explain(&bad).unwrap().to_string();
    let expected = "delete: rule `worth`: score 0.50 (recency 1.00, use 0.00, quality 0.00, lightness 1.00) below 0.6";
    assert_eq!(why, expected);
    for score in [-0.1, 1.1, f64::NAN] {
        let rule = Rule { score_below: Some(score), ..Rule::new("worth", Action::Keep) };
        assert!(stale.rule(rule).is_err());
    }
}

#[derive(Debug, Clone)]
enum Act {
    Put(u8),
    Pin(u8),
    Unpin(u8),
    Use(u8),
    Free(u8),
    /// From then on what has this tag goes; the tags are the parities.
    Doom(bool),
    Spare(bool),
    Sweep,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..8u8).prop_map(Act::Put),
        2 => (0..8u8).prop_map(Act::Pin),
        1 => (0..8u8).prop_map(Act::Unpin),
        2 => (0..8u8).prop_map(Act::Use),
        1 => (0..8u8).prop_map(Act::Free),
        1 => any::<bool>().prop_map(Act::Doom),
        1 => any::<bool>().prop_map(Act::Spare),
        3 => Just(Act::Sweep),
        1 => Just(Act::Reopen),
    ]
}

fn parity(odd: bool) -> &'static str {
    if odd { "odd" } else { "even" }
}

/// Sets, and one loop for a sweep.
fn play(acts: &[Act]) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = open(folder.path());
    let id = |number: u8| ArtifactId::of(&[number]);
    let mut there = std::collections::BTreeSet::new();
    let mut pinned = std::collections::BTreeSet::new();
    let mut used = std::collections::BTreeSet::new();
    let mut doomed = [false; 2];
    for act in acts {
        match *act {
            Act::Put(number) => {
                put(&world.store, &[number], &format!("n{number}"), &[parity(number % 2 == 1)]);
                there.insert(number);
            }
            Act::Pin(number) => {
                assert_eq!(world.stale.pin(&id(number)).is_ok(), there.contains(&number));
                if there.contains(&number) {
                    pinned.insert(number);
                }
            }
            Act::Unpin(number) => {
                assert_eq!(world.stale.unpin(&id(number)).unwrap(), pinned.remove(&number));
            }
            Act::Use(number) => {
                if used.insert(number) {
                    world.runs.0.lock().push(id(number));
                }
            }
            Act::Free(number) => {
                used.remove(&number);
                world.runs.0.lock().retain(|held| *held != id(number));
            }
            Act::Doom(odd) => {
                doomed[usize::from(odd)] = true;
                let tag = Some(parity(odd).to_owned());
                world.stale.rule(Rule { tag, ..Rule::new(parity(odd), Action::Delete) }).unwrap();
            }
            Act::Spare(odd) => {
                doomed[usize::from(odd)] = false;
                let tag = Some(parity(odd).to_owned());
                world.stale.rule(Rule { tag, ..Rule::new(parity(odd), Action::Keep) }).unwrap();
            }
            Act::Sweep => {
                let goes = |number: &u8| {
                    doomed[usize::from(number % 2)]
                        && !pinned.contains(number)
                        && !used.contains(number)
                };
                let expected: std::collections::BTreeSet<_> =
                    there.iter().filter(|number| goes(number)).map(|number| id(*number)).collect();
                let report = world.stale.sweep(false).unwrap();
                assert_eq!(
                    report.deleted.into_iter().collect::<std::collections::BTreeSet<_>>(),
                    expected
                );
                there.retain(|number| !goes(number));
            }
            Act::Reopen => {
                // Rules and uses are of the process; artifacts and pins are not.
                world.stale.close().unwrap();
                world.store.close().unwrap();
                drop(world);
                world = open(folder.path());
                (doomed, used) = ([false; 2], std::collections::BTreeSet::new());
            }
        }
        let found: std::collections::BTreeSet<_> =
            world.store.find(None, None).unwrap().into_iter().collect();
        assert_eq!(found, there.iter().map(|number| id(*number)).collect(), "after {act:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(acts in prop::collection::vec(act(), 1..40)) {
        play(&acts);
    }
}
