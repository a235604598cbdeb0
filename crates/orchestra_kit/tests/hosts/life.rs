//! An extension's life: one start for many callers, crashes, restarts, quarantine, routed calls.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use component::{Code, Health, Hint, State};
use ipc::{CallOptions, Payload, Value};
use orchestra_kit::ExtensionError;
use orchestra_kit::extension::Ended;
use orchestra_kit::operations::Members;
use orchestra_kit::supervisor::Status;

use crate::runner::Test;
use crate::system::{System, call, nothing, runs, soon};

pub(crate) const TESTS: &[Test] = &[
    ("eight_callers_share_one_lazy_start", eight_callers_share_one_lazy_start),
    (
        "a_crash_fails_the_call_and_the_next_one_works",
        a_crash_fails_the_call_and_the_next_one_works,
    ),
    ("a_signal_is_told", a_signal_is_told),
    ("a_failed_start_is_told_with_its_last_lines", a_failed_start_is_told_with_its_last_lines),
    ("a_guest_that_never_answers_is_given_up", a_guest_that_never_answers_is_given_up),
    ("a_guest_of_another_name_is_refused", a_guest_of_another_name_is_refused),
    ("a_flood_on_stdout_hurts_nobody", a_flood_on_stdout_hurts_nobody),
    ("too_many_crashes_quarantine_until_a_restart", too_many_crashes_quarantine_until_a_restart),
    ("a_call_made_during_a_restart_waits", a_call_made_during_a_restart_waits),
    ("a_submitted_call_hears_of_the_crash", a_submitted_call_hears_of_the_crash),
    ("a_call_times_out_and_the_extension_lives", a_call_times_out_and_the_extension_lives),
    ("a_frozen_guest_is_killed", a_frozen_guest_is_killed),
    ("many_calls_at_once_stay_in_order", many_calls_at_once_stay_in_order),
    (
        "a_guest_reaches_what_it_is_granted_and_no_more",
        a_guest_reaches_what_it_is_granted_and_no_more,
    ),
    ("a_kit_that_is_dropped_leaves_no_process", a_kit_that_is_dropped_leaves_no_process),
    ("names_that_are_not_there_get_a_suggestion", names_that_are_not_there_get_a_suggestion),
];

fn eight_callers_share_one_lazy_start() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    assert_eq!(kit.extension("first").unwrap().state(), State::Installed);
    let barrier = Arc::new(Barrier::new(8));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (first, barrier) = (kit.extension("first").unwrap(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                call(&first, "pid", nothing()).unwrap()
            })
        })
        .collect();
    let pids: Vec<Value> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

fn a_crash_fails_the_call_and_the_next_one_works() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let error = call(&first, "exit", [("code", 7_i64)]).unwrap_err();
    let ExtensionError::Crashed { name, how, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!((name.as_str(), &**how), ("first", &Ended::Exited(Status::Code(7))));
    assert_eq!(lines, &["about to leave"]);
    assert_eq!(error.to_string(), "extension `first` crashed: exit code 7");
    assert_eq!(call(&first, "echo", [("value", "again")]).unwrap(), Value::from("again"));
}

fn a_signal_is_told() {
    let system = System::with(&[("first", "good", "")]);
    let first = system.kit().extension("first").unwrap();
    let error = call(&first, "abort", nothing()).unwrap_err();
    let ExtensionError::Crashed { how, .. } = &error else { panic!("{error:?}") };
    assert_eq!(**how, Ended::Exited(Status::Signal(6)));
    assert_eq!(error.code(), Code::EXTENSION_CRASHED);
}

fn a_failed_start_is_told_with_its_last_lines() {
    let system = System::with(&[("first", "raises", ""), ("gone", "good", "")]);
    let own = system.folder.join("gone/Symphony.toml");
    let text = std::fs::read_to_string(&own).unwrap();
    let command = text.lines().find(|line| line.starts_with("command")).unwrap();
    std::fs::write(&own, text.replace(command, "command = [\"./program\"]")).unwrap();
    let program = system.folder.join("gone/program");
    std::fs::write(&program, [0x7f, b'E', b'L', b'F']).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let kit = system.kit();
    let error = call(&kit.extension("first").unwrap(), "echo", nothing()).unwrap_err();
    let ExtensionError::StartFailed { how, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!(**how, Ended::Exited(Status::Code(3)));
    assert_eq!(lines[1], "ModuleNotFoundError: No module named 'numpty'");
    assert_eq!(error.code(), Code::START_FAILED);
    assert_eq!(kit.extension("first").unwrap().state(), State::Failed);
    assert!(matches!(kit.extension("first").unwrap().health(), Health::Unhealthy(_)));
    let error = call(&kit.extension("gone").unwrap(), "echo", nothing()).unwrap_err();
    let ExtensionError::StartFailed { lines, .. } = &error else { panic!("{error:?}") };
    assert!(lines[0].contains("./program"), "{lines:?}");
}

fn a_guest_that_never_answers_is_given_up() {
    let limits = "[extension.limits]\nstart = \"300ms\"";
    let system = System::with(&[("first", "silent", limits)]);
    let first = system.kit().extension("first").unwrap();
    let begun = Instant::now();
    let error = call(&first, "echo", nothing()).unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let ExtensionError::StartFailed { how, .. } = &error else { panic!("{error:?}") };
    assert_eq!(**how, Ended::NeverReady(Duration::from_millis(300)));
    assert_eq!(error.code(), Code::START_TIMEOUT);
}

fn a_guest_of_another_name_is_refused() {
    let system = System::with(&[("first", "impostor", "")]);
    let first = system.kit().extension("first").unwrap();
    let error = call(&first, "echo", nothing()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "extension `first` did not start: it calls itself `somebody-else`, its manifest `first`"
    );
    assert_eq!(error.code(), Code::PROTOCOL_MISMATCH);
}

fn a_flood_on_stdout_hurts_nobody() {
    let system = System::with(&[("first", "flood", ""), ("second", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    assert_eq!(call(&first, "echo", [("value", 1_i64)]).unwrap(), Value::Int(1));
    assert_eq!(call(&kit.extension("second").unwrap(), "echo", nothing()).unwrap(), Value::None);
}

fn too_many_crashes_quarantine_until_a_restart() {
    let restart = "[extension.restart]\nbudget = 1\nwindow = \"1min\"";
    let system = System::with(&[("first", "good", restart)]);
    let first = system.kit().extension("first").unwrap();
    for _ in 0..2 {
        let error = call(&first, "exit", [("code", 1_i64)]).unwrap_err();
        assert!(matches!(error, ExtensionError::Crashed { .. }), "{error:?}");
    }
    assert_eq!(first.state(), State::Quarantined);
    let error = call(&first, "echo", nothing()).unwrap_err();
    let ExtensionError::Quarantined { failures: 2, .. } = &error else { panic!("{error:?}") };
    assert_eq!(error.code(), Code::QUARANTINED);
    first.restart(Instant::now() + Duration::from_secs(20), None).unwrap();
    assert_eq!(call(&first, "echo", [("value", 3_i64)]).unwrap(), Value::Int(3));
}

fn a_call_made_during_a_restart_waits() {
    let system = System::with(&[("first", "good", "")]);
    let first = system.kit().extension("first").unwrap();
    // The second restart is not at once: a call made right after the crash falls into the wait.
    for _ in 0..2 {
        call(&first, "exit", [("code", 1_i64)]).unwrap_err();
    }
    assert_eq!(first.state(), State::Restarting);
    assert_eq!(call(&first, "echo", [("value", 5_i64)]).unwrap(), Value::Int(5));
    call(&first, "exit", [("code", 1_i64)]).unwrap_err();
    let inputs = Payload::empty_map();
    let options = CallOptions::within(Duration::from_millis(20));
    let error = first.call("echo", &inputs, &options).unwrap_err();
    assert!(matches!(error, ExtensionError::TimedOut { .. }), "{error:?}");
}

fn a_submitted_call_hears_of_the_crash() {
    let system = System::with(&[("first", "good", "")]);
    let first = system.kit().extension("first").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let inputs = Payload::from_value(&Value::from([("code", 9_i64)])).unwrap();
    let options = CallOptions::default();
    first.submit("exit", &inputs, &options, Box::new(move |outcome| tell.send(outcome).unwrap()));
    let error = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
    let ExtensionError::Crashed { how, .. } = &error else { panic!("{error:?}") };
    assert_eq!(**how, Ended::Exited(Status::Code(9)));
}

fn a_call_times_out_and_the_extension_lives() {
    let system = System::with(&[("first", "good", ""), ("second", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    first.activate(None).unwrap();
    let options = CallOptions::within(Duration::from_millis(100));
    let error = first.call("sleep", &Payload::empty_map(), &options).unwrap_err();
    assert!(matches!(error, ExtensionError::TimedOut { .. }), "{error:?}");
    assert_eq!(first.state(), State::Ready);
    let error = call(&kit.extension("second").unwrap(), "fail", nothing()).unwrap_err();
    let ExtensionError::Remote { failure, .. } = &error else { panic!("{error:?}") };
    assert_eq!(failure.message, "it failed on purpose");
}

fn a_frozen_guest_is_killed() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    first.activate(None).unwrap();
    let pid = first.pid().unwrap();
    let frozen = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(frozen, rustix::process::Signal::STOP).unwrap();
    let begun = Instant::now();
    let options = CallOptions::within(Duration::from_secs(40));
    let error = first.call("echo", &Payload::empty_map(), &options).unwrap_err();
    let ExtensionError::Crashed { how, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**how, Ended::Unresponsive(_)), "{how:?}");
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    // The caller hears of it when the kill is sent; the process is gone a moment later.
    assert!(soon(Duration::from_secs(20), || !runs(pid)));
    assert!(soon(Duration::from_secs(20), || first.state() == State::Ready));
}

fn many_calls_at_once_stay_in_order() {
    let system = System::with(&[("first", "good", "[extension.limits]\nqueue = 16")]);
    let first = system.kit().extension("first").unwrap();
    let inputs: Vec<Payload> = (0..500_i64)
        .map(|number| Payload::from_value(&Value::from([("value", number)])).unwrap())
        .collect();
    let options = CallOptions::within(Duration::from_secs(20));
    let results = first.call_many("echo", &inputs, &options, None);
    let values: Vec<i64> = results
        .into_iter()
        .map(|result| result.unwrap().value().unwrap().as_int().unwrap())
        .collect();
    assert_eq!(values, (0..500).collect::<Vec<i64>>());
}

fn a_guest_reaches_what_it_is_granted_and_no_more() {
    let granted = "[extension.permissions]\ncalls = [\"artifact-store.put\", \"second.echo\"]";
    let state = tempfile::tempdir().unwrap();
    let store = pit::artifact_store::ArtifactStore::open(state.path(), pit::Durability::Process);
    let members = Members { artifacts: Some(store.unwrap()), ..Members::default() };
    let system =
        System::with(&[("first", "good", granted), ("second", "good", "")]).members(members);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let relay = |call_to: &str, with: Value| {
        let inputs = Value::from([("call", Value::from(call_to)), ("with", with)]);
        call(&first, "relay", inputs)
    };
    let id = relay("artifact-store.put", Value::from([("data", "hello")])).unwrap();
    let options = CallOptions::default();
    let inputs = Payload::from_value(&Value::from([("id", id)])).unwrap();
    let stored = kit.call("artifact-store.get", &inputs, &options).unwrap();
    assert_eq!(stored.value().unwrap(), Value::Bytes(bytes::Bytes::from_static(b"hello")));
    assert_eq!(relay("second.echo", Value::from([("value", 4_i64)])).unwrap(), Value::Int(4));
    for forbidden in ["artifact-store.delete", "second.pid", "first.pid", "nobody.pid"] {
        let error = relay(forbidden, nothing()).unwrap_err();
        assert_eq!(error.code(), Code::NOT_GRANTED, "{forbidden}: {error}");
    }
}

fn names_that_are_not_there_get_a_suggestion() {
    let system = System::with(&[("outline", "good", "")]);
    let kit = system.kit();
    let error = kit.extension("outlin").unwrap_err();
    assert_eq!(error.hints(), ["did you mean `outline`?"]);
    let outline = kit.extension("outline").unwrap();
    let error = call(&outline, "ecko", nothing()).unwrap_err();
    assert_eq!(error.code(), Code::UNKNOWN_OPERATION);
    assert_eq!(error.hints(), ["did you mean `echo`?"]);
    let error = kit.call("artifact-store.gett", &Payload::empty_map(), &CallOptions::default());
    assert_eq!(error.unwrap_err().code(), Code::UNKNOWN_OPERATION);
}

fn a_kit_that_is_dropped_leaves_no_process() {
    let system = System::with(&[("first", "good", "")]);
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    first.activate(None).unwrap();
    let pid = first.pid().unwrap();
    drop(first);
    assert!(runs(pid));
    drop(kit);
    assert!(soon(Duration::from_secs(5), || !runs(pid)));
}
