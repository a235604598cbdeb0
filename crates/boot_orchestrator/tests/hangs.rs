//! A step whose outcome is never told and a function that never returns: the boot ends at its deadline, and its process by
//! itself with its own exit code.
//!
//! The test binary runs itself as the program that boots.

#![expect(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod support;

use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boot_orchestrator::{Blocking, Boot, Immediate, Registry, Threads};
use component::{Code, Component, Done, Failure, Health, NeedKind, Phase, Step};
use support::{Seen, descriptor, need, options};

const PROGRAM: &str = "BOOT_TEST_HANG";
const LIMIT: Duration = Duration::from_millis(300);

/// What may pass between a deadline and the return of the boot (four times 250 ms), and between that and the end of the
/// process (four times a second).
const GRACE: Duration = Duration::from_secs(1);
const EXIT: Duration = Duration::from_secs(4);

/// What hangs.
fn hanging(way: &str) -> Arc<dyn Component> {
    let threads = Threads::new("steps", 2);
    match way {
        "never told" => Arc::new(Silent { kept: Mutex::default(), blocks: false }),
        "thread of its own" => Arc::new(Silent { kept: Mutex::default(), blocks: true }),
        "sleep" => Arc::new(Blocking::new(&threads, sleep_for_ever)),
        "loop" => Arc::new(Blocking::new(&threads, || {
            loop {
                std::hint::spin_loop();
            }
        })),
        "lock" => Arc::new(Blocking::new(&threads, || {
            let lock = Arc::new(Mutex::new(()));
            let held = Arc::clone(&lock);
            std::thread::spawn(move || {
                let _held = held.lock().unwrap();
                sleep_for_ever()
            });
            while lock.try_lock().is_ok() {
                std::thread::yield_now();
            }
            let _never = lock.lock().unwrap();
            Ok(Health::Healthy)
        })),
        other => panic!("no way to hang is called {other}"),
    }
}

/// A component that runs its steps by itself, as an event loop does, and never tells how its start ended.
struct Silent {
    kept: Mutex<Vec<Done>>,
    blocks: bool,
}

impl Component for Silent {
    fn begin(&self, _step: Step, done: Done) {
        if self.blocks {
            std::thread::spawn(move || done.tell(sleep_for_ever()));
        } else {
            // Kept, because a `Done` that is dropped tells that the step was lost.
            self.kept.lock().unwrap().push(done);
        }
    }
}

fn sleep_for_ever() -> Result<Health, Failure> {
    loop {
        std::thread::park();
    }
}

/// Not a test of its own: with a way to hang in its environment it boots, tells, and ends with code 7.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn program_that_boots() {
    let Ok(way) = std::env::var(PROGRAM) else { return };
    let mut registry = Registry::new();
    let base = Immediate::new(|| Ok(Health::Healthy));
    registry.add(descriptor("base", Phase::Pit), Arc::new(base));
    let mut hangs = descriptor("hangs", Phase::Pit).needs(need("base", NeedKind::One));
    hangs.deadline = Some(LIMIT);
    registry.add(hangs, hanging(&way));
    let begun = Instant::now();
    let boot = Boot::new(registry.plan().unwrap(), options(&Seen::default()));
    let failure = boot.run().err().unwrap();
    let late = begun.elapsed().checked_sub(LIMIT).expect("it waits for its deadline");
    assert_eq!(failure.code, Code::START_TIMEOUT);
    assert_eq!(failure.component.as_ref().map(ToString::to_string).as_deref(), Some("hangs"));
    assert!(failure.text().contains("`hangs` was still in its start after"), "{}", failure.text());
    assert!(failure.text().contains("had started by then: `base`"), "{}", failure.text());
    assert!(failure.rollback_errors.is_empty(), "{:?}", failure.rollback_errors);
    assert!(late < GRACE, "{late:?}");
    println!("\nbooted");
    std::process::exit(7);
}

/// Runs the program to its end; panics when it does not come.
fn ended(way: &str) -> (Output, Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "program_that_boots", "--nocapture"])
        .env(PROGRAM, way)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("the program hangs: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let spent = begun.elapsed();
    (child.wait_with_output().unwrap(), spent)
}

#[test]
fn a_step_of_rust_that_hangs_ends_the_boot_and_not_the_process() {
    for way in ["never told", "thread of its own", "sleep", "loop", "lock"] {
        let (output, spent) = ended(way);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(7), "{way}: {out}{err}");
        assert!(out.contains("\nbooted"), "{way}: {out}{err}");
        assert!(spent < LIMIT + GRACE + EXIT, "{way}: {spent:?}");
    }
}
