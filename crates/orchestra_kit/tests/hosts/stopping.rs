//! Stopping: in order, by its deadline, whatever the extension does.

use std::time::{Duration, Instant};

use component::State;
use orchestra_kit::ExtensionError;

use crate::runner::Test;
use crate::system::{System, call, nothing, runs, soon};

pub(crate) const TESTS: &[Test] = &[
    ("all_stop_by_the_deadline_and_the_stubborn_is_killed", all_stop_by_the_deadline),
    (
        "what_was_stopped_for_good_is_not_started_again",
        what_was_stopped_for_good_is_not_started_again,
    ),
    ("a_stop_while_it_loads_ends_it", a_stop_while_it_loads_ends_it),
];

fn all_stop_by_the_deadline() {
    let system =
        System::with(&[("good", "good", ""), ("stubborn", "stubborn", ""), ("idle", "good", "")]);
    let kit = system.kit();
    let mut pids = Vec::new();
    for name in ["good", "stubborn"] {
        let extension = kit.extension(name).unwrap();
        extension.activate(None).unwrap();
        pids.push(extension.pid().unwrap());
    }
    let begun = Instant::now();
    let report = kit.stop_all(begun + Duration::from_secs(3));
    // Its deadline, and what a loaded machine may add.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(report.terminated, ["stubborn"]);
    assert_eq!(report.killed, ["stubborn"]);
    assert_eq!(report.unfinished, [""; 0]);
    assert!(pids.iter().all(|pid| !runs(*pid)));
    for name in ["good", "stubborn", "idle"] {
        assert_eq!(kit.extension(name).unwrap().state(), State::Stopped);
    }
}

fn what_was_stopped_for_good_is_not_started_again() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    call(&first, "echo", nothing()).unwrap();
    let report = first.stop(Instant::now() + Duration::from_secs(20));
    assert_eq!(report.killed, [""; 0]);
    let error = call(&first, "echo", nothing()).unwrap_err();
    assert!(matches!(error, ExtensionError::Stopped { .. }), "{error:?}");
    let error = first.restart(Instant::now() + Duration::from_secs(20), None).unwrap_err();
    assert!(matches!(error, ExtensionError::Stopped { .. }), "{error:?}");
}

fn a_stop_while_it_loads_ends_it() {
    let system = System::with(&[("first", "silent", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    first.activated(move |outcome| tell.send(outcome).unwrap());
    assert!(soon(Duration::from_secs(20), || first.state() == State::Loading));
    kit.stop_all(Instant::now() + Duration::from_secs(3));
    let error = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
    assert!(matches!(error, ExtensionError::Stopped { .. }), "{error:?}");
    assert_eq!(first.state(), State::Stopped);
}
