//! A process that is out of descriptors for a moment: what that costs (one start), and what it does not.

use std::fs::File;
use std::time::Duration;

use component::State;
use ipc::Value;
use orchestra_kit::error::ExtensionError;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};

use crate::runner::Test;
use crate::system::{System, call, soon};

pub(crate) const TESTS: &[Test] = &[
    ("a_root_without_descriptors_loses_one_start", a_root_without_descriptors_loses_one_start),
    (
        "a_supervisor_without_descriptors_refuses_one_start",
        a_supervisor_without_descriptors_refuses_one_start,
    ),
    (
        "a_supervisor_that_dies_in_a_shortage_is_replaced_after_it",
        a_supervisor_that_dies_in_a_shortage_is_replaced_after_it,
    ),
    ("a_supervisor_is_replaced_as_often_as_it_dies", a_supervisor_is_replaced_as_often_as_it_dies),
];

/// Every descriptor of this process, taken until this is dropped.
struct Hog {
    before: Rlimit,
    taken: Vec<File>,
}

impl Hog {
    fn new() -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: before.maximum })
            .unwrap();
        let taken = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // What others give back meanwhile, a guest that ends say, is not to be had either. Not zero: `poll` would be refused.
        setrlimit(Resource::Nofile, Rlimit { current: Some(10), maximum: before.maximum }).unwrap();
        Self { before, taken }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.taken.clear();
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// The order is under way when the descriptors go, so that the answer finds none for the new process.
fn a_root_without_descriptors_loses_one_start() {
    let system = System::with(&[("first", "good", ""), ("second", "good", "")]);
    let kit = system.kit();
    let (first, second) = (kit.extension("first").unwrap(), kit.extension("second").unwrap());
    first.activate(None).unwrap();
    let (guest, supervisor) = (first.pid(), system.supervisor.pid());
    signal(supervisor.unwrap(), Signal::STOP);
    let asked = second.clone();
    let start = std::thread::spawn(move || asked.activate(None));
    assert!(soon(Duration::from_secs(5), || second.state() == State::Loading));
    // The state says that it was begun, not that the order is sent.
    std::thread::sleep(Duration::from_millis(200));
    let hog = Hog::new();
    signal(supervisor.unwrap(), Signal::CONT);
    let error = start.join().unwrap().unwrap_err();
    drop(hog);
    assert!(matches!(error, ExtensionError::StartFailed { .. }), "{error:?}");
    assert!(error.to_string().contains("no descriptor free"), "{error}");
    assert_eq!((first.pid(), system.supervisor.pid()), (guest, supervisor));
    second.activate(None).unwrap();
    for extension in [&first, &second] {
        assert_eq!(call(extension, "echo", [("value", 7_i64)]).unwrap(), Value::Int(7));
    }
}

/// It has room for none, one, two of an order's three descriptors, then for those and none to hold the process by.
fn a_supervisor_without_descriptors_refuses_one_start() {
    let system = System::with(&[
        ("first", "good", ""),
        ("second", "good", "[extension.restart]\nbudget = 0"),
    ]);
    let kit = system.kit();
    let (first, second) = (kit.extension("first").unwrap(), kit.extension("second").unwrap());
    first.activate(None).unwrap();
    let (guest, supervisor) = (first.pid(), system.supervisor.pid());
    let pid = Pid::from_raw(supervisor.unwrap().cast_signed());
    let open = std::fs::read_dir(format!("/proc/{}/fd", supervisor.unwrap())).unwrap();
    let open = open.count() as u64;
    for room in 0..3 {
        let lower =
            Rlimit { current: Some(open + room), maximum: getrlimit(Resource::Nofile).maximum };
        let before = prlimit(pid, Resource::Nofile, lower).unwrap();
        let error = second.activate(None).unwrap_err();
        prlimit(pid, Resource::Nofile, before).unwrap();
        assert!(error.to_string().contains("the supervisor has no descriptors"), "{error}");
        assert_eq!(system.supervisor.pid(), supervisor);
        assert_eq!(second.state(), State::Failed, "it was not its fault");
    }
    second.activate(None).unwrap();
    assert_eq!(first.pid(), guest);
}

/// No other can be started while it lasts, more often than any budget allows.
fn a_supervisor_that_dies_in_a_shortage_is_replaced_after_it() {
    let system = System::with(&[("first", "good", ""), ("second", "good", "")]);
    let kit = system.kit();
    let (first, second) = (kit.extension("first").unwrap(), kit.extension("second").unwrap());
    first.activate(None).unwrap();
    let hog = Hog::new();
    signal(system.supervisor.pid().unwrap(), Signal::KILL);
    assert!(soon(Duration::from_secs(5), || system.supervisor.pid().is_none()));
    std::thread::sleep(Duration::from_secs(2));
    let why = system.supervisor.health().unwrap_err().to_string();
    assert!(why.contains("no other can be started yet"), "{why}");
    second.activate(None).unwrap_err();
    drop(hog);
    assert!(soon(Duration::from_secs(40), || first.state() == State::Ready), "{}", first.state());
    second.activate(None).unwrap();
    assert!(system.supervisor.health().is_ok());
}

fn a_supervisor_is_replaced_as_often_as_it_dies() {
    let system = System::with(&[("first", "good", "[extension.restart]\nbudget = 0")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    first.activate(None).unwrap();
    for death in 0..6 {
        let (old, guest) = (system.supervisor.pid().unwrap(), first.pid());
        signal(old, Signal::KILL);
        assert!(
            soon(Duration::from_secs(20), || first.state() == State::Ready && first.pid() != guest),
            "after death {death}: {}, {:?}",
            first.state(),
            system.supervisor.health()
        );
        assert_ne!(system.supervisor.pid(), Some(old));
    }
}
