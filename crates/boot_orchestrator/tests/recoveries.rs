//! A start that reads much back: told as it comes further, and cut off only when it does not, or its caller said so.

#![expect(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boot_orchestrator::{Boot, BootEvent, BootOptions, EventSink, Registry, Stamped};
use component::{Code, Component, Done, Health, Phase, Step, StepProgress};
use support::{Seen, descriptor, options};

const LIMIT: Duration = Duration::from_millis(800);
/// What it has to do takes three limits.
const TOTAL: u64 = 24;

/// Does a piece each tenth of a second, up to one at which it hangs.
struct Recovers {
    done: Arc<AtomicU64>,
    hangs_at: u64,
    ended: Arc<AtomicBool>,
}

impl Component for Recovers {
    fn begin(&self, step: Step, done: Done) {
        if step != Step::Start {
            return done.tell(Ok(Health::Healthy));
        }
        let (pieces, ended, hangs_at) =
            (Arc::clone(&self.done), Arc::clone(&self.ended), self.hangs_at);
        std::thread::spawn(move || {
            while pieces.load(Ordering::Acquire) < TOTAL && !ended.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(100));
                if pieces.load(Ordering::Acquire) < hangs_at {
                    pieces.fetch_add(1, Ordering::AcqRel);
                }
            }
            done.tell(Ok(Health::Healthy));
        });
    }

    fn progress(&self, step: Step) -> Option<StepProgress> {
        let done = self.done.load(Ordering::Acquire);
        (step == Step::Start).then_some(StepProgress { done, total: TOTAL })
    }
}

impl Drop for Recovers {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// How a boot ended, and how far it told that it was.
type Ended = (Result<(), (Code, String)>, Vec<(u64, u64)>);

fn boots(hangs_at: u64, limits: BootOptions) -> Ended {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let mut options = limits;
    options.sinks.push(Arc::new(move |stamped: &Stamped| {
        if let BootEvent::ComponentProgressed { component, phase, done, total } = &stamped.event {
            assert_eq!((component.as_str(), *phase), ("recovers", Phase::Pit));
            hears.lock().unwrap().push((*done, *total));
        }
    }) as Arc<dyn EventSink>);
    let mut registry = Registry::new();
    let component = Recovers { done: Arc::default(), hangs_at, ended: Arc::default() };
    registry.add(descriptor("recovers", Phase::Pit), Arc::new(component));
    let boot = Boot::new(registry.plan().unwrap(), options);
    let outcome = boot.run().map(drop).map_err(|failure| (failure.code, failure.text()));
    let told = told.lock().unwrap().clone();
    (outcome, told)
}

fn limits() -> BootOptions {
    BootOptions { component_deadline: LIMIT, deadline: LIMIT, ..options(&Seen::default()) }
}

#[test]
fn a_recovery_that_comes_further_is_bound_by_no_default_deadline_and_tells_how_far_it_is() {
    let (outcome, told) = boots(TOTAL, limits());
    assert_eq!(outcome, Ok(()));
    assert!(told.len() >= 3, "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "{told:?}");
    assert!(told.iter().all(|(done, total)| *done <= *total && *total == TOTAL), "{told:?}");
}

#[test]
fn one_that_hangs_is_given_up_one_deadline_after_it_last_came_further() {
    let deadline = Duration::from_secs(60);
    let (outcome, told) = boots(10, BootOptions { deadline, ..limits() });
    let (code, text) = outcome.unwrap_err();
    assert_eq!(code, Code::START_TIMEOUT);
    assert!(text.contains("`recovers` did not start within"), "{text}");
    assert_eq!(told.last(), Some(&(10, TOTAL)), "it had its time until then");
}

#[test]
fn a_deadline_that_the_caller_named_holds() {
    let deadline_is_named = true;
    let (outcome, _) = boots(TOTAL, BootOptions { deadline_is_named, ..limits() });
    let (code, text) = outcome.unwrap_err();
    assert_eq!(code, Code::START_TIMEOUT);
    assert!(text.contains("the boot was not done within"), "{text}");
}
