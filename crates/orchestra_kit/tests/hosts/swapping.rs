//! Another version of an extension takes its name, or shares its calls.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Hint, State};
use ipc::Value;
use orchestra_kit::catalogue::Sources;
use orchestra_kit::kit::Candidate;
use orchestra_kit::{Catalogue, Kit, SystemManifest};

use crate::runner::Test;
use crate::system::{System, call, extension, nothing, runs, soon};

pub(crate) const TESTS: &[Test] = &[
    ("the_name_leads_to_the_version_that_was_swapped_in", swapped),
    ("what_is_held_is_left_running_until_the_kit_stops", held),
    ("a_version_that_is_not_ready_leaves_nothing", refused),
    ("a_trial_shares_calls_and_keeps_a_key_together", tried),
];

const PATIENCE: Duration = Duration::from_secs(10);

/// Another version of `first`, in a folder that the system does not look into.
fn version(system: &System, kind: &str) -> PathBuf {
    let home = system.folder.join(".versions").join(kind);
    std::fs::create_dir_all(&home).unwrap();
    extension(&home, "first", kind, "");
    home.join("first")
}

fn catalogue(system: &System, kit: &Kit, kind: &str) -> Catalogue {
    let manifest = SystemManifest::read(&system.folder.join("Symphony.toml")).unwrap();
    kit.catalogue().with_version(&manifest, "first", &version(system, kind)).unwrap()
}

fn candidate(kit: &Kit, catalogue: &Catalogue) -> Candidate {
    let manifest = Arc::clone(&catalogue.get("first").unwrap().manifest);
    kit.bring_up(manifest, None).unwrap()
}

fn pid(kit: &Kit) -> u32 {
    let answer = call(&kit.extension("first").unwrap(), "pid", nothing()).unwrap();
    u32::try_from(answer.as_int().unwrap()).unwrap()
}

fn swapped() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let before = pid(&kit);
    let catalogue = catalogue(&system, &kit, "good");
    let candidate = candidate(&kit, &catalogue);
    assert_eq!(pid(&kit), before, "nobody is given what has not the name");
    let next = candidate.pid().unwrap();
    let taken = kit.swap(&candidate, catalogue, PATIENCE, None).unwrap();
    assert!(taken.drained);
    assert_eq!(pid(&kit), next);
    assert!(soon(PATIENCE, || !runs(before)));
    assert!(kit.catalogue().get("first").unwrap().folder().ends_with(".versions/good/first"));
    drop(candidate);
    kit.stop_all(Instant::now() + PATIENCE);
    assert!(soon(PATIENCE, || !runs(next)));
}

fn held() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let old = kit.extension("first").unwrap();
    let before = pid(&kit);
    let catalogue = catalogue(&system, &kit, "good");
    let candidate = candidate(&kit, &catalogue);
    let taken = kit.swap(&candidate, catalogue, Duration::from_millis(20), None).unwrap();
    assert!(!taken.drained);
    assert_eq!(taken.holders, 1);
    assert_ne!(pid(&kit), before);
    assert_eq!(old.state(), State::Ready);
    assert!(call(&old, "pid", nothing()).is_ok(), "its calls end where they began");
    kit.stop_all(Instant::now() + PATIENCE);
    assert!(soon(PATIENCE, || !runs(before)));
}

fn refused() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let before = pid(&kit);
    let catalogue = catalogue(&system, &kit, "raises");
    let manifest = Arc::clone(&catalogue.get("first").unwrap().manifest);
    let error = kit.bring_up(manifest, None).unwrap_err();
    assert_eq!(error.code(), Code::START_FAILED);
    assert!(error.to_string().contains("first"), "{error}");
    assert_eq!(pid(&kit), before);
    let system_manifest = SystemManifest::read(&system.folder.join("Symphony.toml")).unwrap();
    extension(&system.folder.join(".versions"), "second", "good", "");
    let other = system.folder.join(".versions").join("second");
    let faults = kit.catalogue().with_version(&system_manifest, "first", &other).unwrap_err();
    assert_eq!(faults[0].message, "this is extension `second`, not `first`");
    assert!(Catalogue::read(&system_manifest, Sources::default()).is_ok());
}

fn tried() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let before = pid(&kit);
    let catalogue = catalogue(&system, &kit, "good");
    let candidate = candidate(&kit, &catalogue);
    let next = candidate.pid().unwrap();
    let variants = vec![("old".to_owned(), 0.5, None), ("new".to_owned(), 0.5, Some(candidate))];
    let tried = kit.try_out("first", variants, Some("value".to_owned()), 7, None).unwrap();
    let ask = |value: i64| {
        let first = kit.extension("first").unwrap();
        call(&first, "pid", [("value", Value::Int(value))]).unwrap().as_int().unwrap()
    };
    let first: Vec<i64> = (0..40).map(ask).collect();
    assert_eq!((0..40).map(ask).collect::<Vec<_>>(), first, "one key, one version");
    let both: HashSet<i64> = first.iter().copied().collect();
    assert_eq!(both, HashSet::from([i64::from(before), i64::from(next)]));
    let report = tried.report();
    assert_eq!(report.iter().map(|one| one.calls).sum::<u64>(), 80);
    assert_eq!(report.iter().map(|one| one.seconds.len()).sum::<usize>(), 80);
    assert!(call(&kit.extension("first").unwrap(), "fail", nothing()).is_err());
    assert_eq!(tried.report().iter().map(|one| one.errors).sum::<u64>(), 1);
    let again = vec![("old".to_owned(), 1.0, None)];
    let refused = kit.try_out("first", again, None, 0, None).unwrap_err();
    assert_eq!(refused.to_string(), "an experiment runs on extension `first`");
    let taken = tried.end(Some("new"), Some(catalogue), PATIENCE, None).unwrap();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].drained);
    assert_eq!(pid(&kit), next);
    assert!(soon(PATIENCE, || !runs(before)));
}
