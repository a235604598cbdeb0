//! The supervisor: what it starts, ends, and leaves behind (nothing).

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use component::State;
use ipc::Value;
use orchestra_kit::error::SupervisorError;
use orchestra_kit::supervisor::{Launch, Supervisor};

use crate::runner::Test;
use crate::system::{
    GRANTED, INHERITED, System, call, environment, extension, nothing, runs, soon,
};

pub(crate) const TESTS: &[Test] = &[
    ("a_supervisor_that_fails_says_why", a_supervisor_that_fails_says_why),
    ("nothing_survives_the_kill_of_the_root", nothing_survives_the_kill_of_the_root),
    ("nothing_survives_a_stop", nothing_survives_a_stop),
    ("a_dead_supervisor_is_replaced", a_dead_supervisor_is_replaced),
    ("one_that_hangs_in_anothers_place_is_given_up", one_that_hangs_in_anothers_place_is_given_up),
    ("a_guest_has_its_lane_and_nothing_else", a_guest_has_its_lane_and_nothing_else),
    ("what_a_crash_leaves_in_its_session_is_killed", what_a_crash_leaves_in_its_session_is_killed),
];

fn a_supervisor_that_fails_says_why() {
    let launch =
        Launch::new(std::env::current_exe().unwrap(), ["broken-supervisor"], &environment());
    let supervisor = Supervisor::start(launch).unwrap();
    let error = supervisor.wait_up(Instant::now() + Duration::from_secs(20)).unwrap_err();
    let SupervisorError::Lost { how, lines } = error else { panic!("{error:?}") };
    assert_eq!(how, "ended with exit code 1");
    assert_eq!(lines, ["no module named `symphony`"]);
    assert!(Supervisor::start(Launch::new("/nonexistent", [""; 0], &environment())).is_err());
}

fn one_that_hangs_in_anothers_place_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("hang");
    let arguments = ["hanging-supervisor", sign.to_str().unwrap()];
    let launch = Launch::new(std::env::current_exe().unwrap(), arguments, &environment())
        .start_limit(Duration::from_millis(500));
    let supervisor = Supervisor::start(launch).unwrap();
    supervisor.wait_up(Instant::now() + Duration::from_secs(20)).unwrap();
    std::fs::write(&sign, "").unwrap();
    let first = supervisor.pid().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert!(soon(Duration::from_secs(20), || !sign.exists()), "no other was started");
    assert!(
        soon(Duration::from_secs(20), || supervisor.health().is_ok()),
        "{:?}",
        supervisor.health()
    );
    supervisor.stop(Instant::now() + Duration::from_secs(20)).unwrap();
}

/// The root's pipe is held open by another process, as a forked child of it would; its pidfd still tells.
fn nothing_survives_the_kill_of_the_root() {
    let folder = tempfile::tempdir().unwrap();
    extension(folder.path(), "first", "good", "");
    extension(folder.path(), "second", "stubborn", "");
    let mut root = Command::new(std::env::current_exe().unwrap())
        .arg("root")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(root.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 4, "{line}");
    assert!(pids.iter().all(|pid| runs(*pid)));
    let held: Vec<std::fs::File> = std::fs::read_dir(format!("/proc/{}/fd", root.id()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            std::fs::read_link(path).is_ok_and(|target| {
                target.starts_with("pipe:") || target.to_string_lossy().starts_with("pipe:")
            })
        })
        .filter_map(|path| std::fs::OpenOptions::new().write(true).open(path).ok())
        .collect();
    assert!(!held.is_empty());
    root.kill().unwrap();
    root.wait().unwrap();
    // The promise is 250 ms.
    let gone = soon(Duration::from_secs(1), || !pids.iter().any(|pid| runs(*pid)));
    let left: Vec<&u32> = pids.iter().filter(|pid| runs(**pid)).collect();
    assert!(gone, "left: {left:?} of {pids:?}");
}

fn nothing_survives_a_stop() {
    let system = System::with(&[("first", "stubborn", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let Value::Int(grandchild) = call(&first, "grandchild", nothing()).unwrap() else { panic!() };
    let pids = [
        first.pid().unwrap(),
        u32::try_from(grandchild).unwrap(),
        system.supervisor.pid().unwrap(),
    ];
    assert!(pids.iter().all(|pid| runs(*pid)));
    system.supervisor.stop(Instant::now() + Duration::from_secs(4)).unwrap();
    assert!(soon(Duration::from_secs(1), || !pids.iter().any(|pid| runs(*pid))));
    assert!(system.supervisor.health().is_err());
    system.supervisor.stop(Instant::now() + Duration::from_secs(4)).unwrap();
}

fn a_dead_supervisor_is_replaced() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    first.activate(None).unwrap();
    let (old, guest) = (system.supervisor.pid().unwrap(), first.pid().unwrap());
    let pid = rustix::process::Pid::from_raw(old.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(soon(Duration::from_secs(5), || !runs(guest)), "its guest lives on");
    assert!(soon(Duration::from_secs(20), || first.state() == State::Ready
        && first.pid() != Some(guest)));
    assert_ne!(system.supervisor.pid(), Some(old));
    assert_eq!(call(&first, "echo", [("value", 7_i64)]).unwrap(), Value::Int(7));
}

fn a_guest_has_its_lane_and_nothing_else() {
    let system = System::with(&[(
        "first",
        "good",
        "[extension.permissions]\nenv = [\"SYMPHONY_TEST_NOT_SET\", \"SYMPHONY_TEST_GIVEN\"]",
    )]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let Value::List(open) = call(&first, "descriptors", nothing()).unwrap() else { panic!() };
    let sockets =
        open.iter().filter(|open| open.as_text().is_some_and(|open| open.contains("socket")));
    assert_eq!(sockets.count(), 1, "{open:?}");
    let pipes = open.iter().filter(|open| open.as_text().is_some_and(|open| open.contains("pipe")));
    assert_eq!(pipes.count(), 0, "{open:?}");
    let environment = call(&first, "environment", nothing()).unwrap();
    let Value::Map(entries) = &environment else { panic!() };
    let allowed = ["PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME"];
    for (name, _) in entries {
        // The last is the supervisor's own mark, which the one in Python takes out of its variables; this one is not in Python.
        let own = ["SYMPHONY_LANE", "SYMPHONY_SUPERVISOR_OF"].contains(&name.as_str());
        let granted = name == GRANTED || own;
        let known = allowed.contains(&name.as_str()) || name.starts_with("LC_") || granted;
        assert!(known, "`{name}` reached the guest");
    }
    // This process has neither: it is not asked for its variables, which another thread may be setting.
    for name in [GRANTED, INHERITED] {
        assert_eq!(environment.get(name).and_then(Value::as_text), Some("by the caller"), "{name}");
    }
}

fn what_a_crash_leaves_in_its_session_is_killed() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let Value::Int(straggler) = call(&first, "straggler", nothing()).unwrap() else { panic!() };
    let straggler = u32::try_from(straggler).unwrap();
    assert!(runs(straggler));
    call(&first, "exit", [("code", 0_i64)]).unwrap_err();
    assert!(soon(Duration::from_secs(5), || !runs(straggler)));
}
