//! Boots of mock components: the events of a good one, and each way to fail.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::{
    Blocking, Boot, BootFailure, BootOptions, Interruption, Passage, PhaseLatch, PhaseLimits,
    Progress, Registry, Running, Threads,
};
use component::{Code, Descriptor, Failure, Health, NeedKind, Phase, Step};
use support::{Act, Entry, Log, Mock, Seen, descriptor, need, options, timeless, until, watched};

struct World {
    registry: Registry,
    log: Log,
    seen: Seen,
}

impl World {
    fn new() -> Self {
        Self { registry: Registry::new(), log: Log::default(), seen: Seen::default() }
    }

    fn add(&mut self, descriptor: Descriptor, script: impl FnOnce(&mut Mock)) {
        let mut mock = Mock::new(descriptor.name.as_str(), &self.log);
        script(&mut mock);
        self.registry.add(descriptor, Arc::new(mock));
    }

    fn boot_with(
        &self,
        change: impl FnOnce(&mut BootOptions),
    ) -> Result<Running, Box<BootFailure>> {
        let mut options = options(&self.seen);
        change(&mut options);
        let boot = Boot::new(self.registry.plan().expect("a lawful graph"), options);
        watched(30, move || boot.run())
    }

    fn boot(&self) -> Result<Running, Box<BootFailure>> {
        self.boot_with(|_| {})
    }

    fn failure(&self) -> Box<BootFailure> {
        self.boot().err().expect("the boot should have failed")
    }

    /// `store` <- `index` <- `kit` (a later phase), each started before the next.
    fn chain() -> Self {
        let mut world = Self::new();
        world.add(descriptor("store", Phase::Pit), |_| {});
        world.add(descriptor("index", Phase::Pit).needs(need("store", NeedKind::One)), |_| {});
        world
    }
}

#[test]
fn a_good_boot_and_its_shutdown_tell_their_story_in_pairs() {
    let mut world = World::chain();
    world.add(descriptor("kit", Phase::OrchestraKit).needs(need("index", NeedKind::One)), |_| {});
    let running = world.boot().unwrap();
    assert_eq!(running.health(Duration::from_secs(5)).health, Health::Healthy);
    let down = running.shutdown(Duration::from_secs(3));
    assert_eq!((down.stopped, down.errors.len()), (3, 0));
    assert_eq!(running.shutdown(Duration::from_secs(3)).stopped, 3);
    assert_eq!(world.log.stops(), ["kit", "index", "store"]);
    insta::assert_snapshot!(world.seen.text(), @r"
    booting `test`: 3 components
    phase `foundation` started: 0 components
    phase `foundation` ready in T
    phase `ipc_bus` started: 0 components
    phase `ipc_bus` ready in T
    phase `pit` started: 2 components
    `store` starts
    `store` ready in T
    `index` starts
    `index` ready in T
    gate of `pit` asks for health
    `store` is asked for health
    `index` is asked for health
    `store` is healthy, said after T
    `index` is healthy, said after T
    gate of `pit` ready in T
    phase `pit` ready in T
    phase `orchestra_kit` started: 1 component
    `kit` starts
    `kit` ready in T
    gate of `orchestra_kit` asks for health
    `kit` is asked for health
    `kit` is healthy, said after T
    gate of `orchestra_kit` ready in T
    phase `orchestra_kit` ready in T
    phase `conductor` started: 0 components
    phase `conductor` ready in T
    boot ready in T
    shutting down: 3 components
    `kit` stops
    `kit` stopped in T
    `index` stops
    `index` stopped in T
    `store` stops
    `store` stopped in T
    shut down in T: 3 components stopped, 0 errors
    ");
}

#[test]
fn the_report_has_the_promised_keys() {
    let running = World::chain().boot().unwrap();
    let report = running.report();
    let value: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        keys(&value),
        [
            "budget_violations",
            "components",
            "critical_path",
            "error",
            "infrastructure_seconds",
            "memory_mb",
            "ok",
            "overhead_seconds",
            "phases",
            "ready_seconds",
            "safe_mode",
            "savings",
            "schema",
            "since_launch_seconds",
            "spans",
            "state",
            "system"
        ]
    );
    assert_eq!(keys(&value["phases"][0]), ["budget_seconds", "name", "seconds", "status"]);
    assert_eq!(
        keys(&value["components"][0]),
        ["name", "phase", "requires", "seconds", "started_at", "status"]
    );
    assert_eq!(value["components"][1]["requires"][0], "store");
    assert_eq!(value["critical_path"], serde_json::json!(["store", "index"]));
    assert_eq!(value["error"], serde_json::Value::Null);
    assert!(value["ready_seconds"].as_f64() >= value["infrastructure_seconds"].as_f64());
    assert!(value["since_launch_seconds"].as_f64() > value["ready_seconds"].as_f64());
    running.shutdown(Duration::from_secs(3));
}

#[test]
fn a_start_that_fails_rolls_back_and_keeps_its_cause() {
    let mut world = World::chain();
    world.add(descriptor("broken", Phase::Pit).needs(need("index", NeedKind::One)), |mock| {
        mock.start = Act::Fails;
    });
    let failure = world.failure();
    assert_eq!(failure.code, Code::START_FAILED);
    assert_eq!(world.log.stops(), ["index", "store"]);
    assert!(!world.log.of("broken").contains(&Entry::Begun(Step::Stop)));
    insta::assert_snapshot!(failure.text(), @r"
    error: `broken` failed to start in phase `pit`
      Caused by: disk full
      Caused by: no space left
    ");
    insta::assert_snapshot!(world.seen.text(), @r"
    booting `test`: 3 components
    phase `foundation` started: 0 components
    phase `foundation` ready in T
    phase `ipc_bus` started: 0 components
    phase `ipc_bus` ready in T
    phase `pit` started: 3 components
    `store` starts
    `store` ready in T
    `index` starts
    `index` ready in T
    `broken` starts
    `broken` failed after T: disk full
    phase `pit` failed after T
    rolling back: `broken` failed to start in phase `pit`
    `index` stops
    `index` stopped in T
    `store` stops
    `store` stopped in T
    rolled back in T: 2 components stopped, 0 errors
    boot failed after T: `broken` failed to start in phase `pit`
    ");
    let value = failure.report.to_value();
    assert_eq!(value["error"]["code"], "start-failed");
    assert_eq!(value["error"]["component"], "broken");
    assert_eq!(value["components"][2]["status"], "failed");
    assert_eq!(value["components"][0]["status"], "stopped");
    assert_eq!(value["phases"][3]["status"], "skipped");
}

#[test]
fn a_start_that_hangs_is_named_with_its_place_and_what_had_started() {
    let mut world = World::chain();
    let mut hanging = descriptor("hanging", Phase::Pit).needs(need("index", NeedKind::One));
    hanging.deadline = Some(Duration::from_millis(50));
    world.add(hanging, |mock| {
        mock.start = Act::Hangs;
        mock.place = Some("  File \"app.py\", line 3, in start");
    });
    let begun = Instant::now();
    let failure = world.failure();
    // 50 ms and a grace of 20 ms, with the usual slack.
    assert!(begun.elapsed() < Duration::from_millis(280), "{:?}", begun.elapsed());
    assert_eq!(failure.code, Code::START_TIMEOUT);
    insta::assert_snapshot!(timeless(&failure.text()), @r#"
    error: `hanging` did not start within T
      Caused by: `hanging` was still in its start after T
          File "app.py", line 3, in start
      Caused by: had started by then: `store`, `index`

    hint: give `hanging` a longer `timeout` if it needs more than T
    "#);
    assert_eq!(world.log.stops(), ["index", "store"]);
}

#[test]
fn a_phase_past_its_deadline_names_everything_that_hangs() {
    let mut world = World::chain();
    for name in ["one", "two"] {
        world.add(descriptor(name, Phase::Pit), |mock| mock.start = Act::Hangs);
    }
    let failure = world
        .boot_with(|options| {
            let timeout = Some(Duration::from_millis(40));
            options.phases.set(Phase::Pit, PhaseLimits { timeout, budget: None });
        })
        .err()
        .unwrap();
    insta::assert_snapshot!(timeless(&failure.text()), @r"
    error: phase `pit` was not done within T
      Caused by: `one` was still in its start after T
      Caused by: `two` was still in its start after T
      Caused by: had started by then: `store`, `index`

    hint: give the phase a longer `timeout` if it needs more than T
    ");
    let failure = world.boot_with(|options| options.deadline = Duration::from_millis(40)).err();
    insta::assert_snapshot!(timeless(&failure.unwrap().text()), @r"
    error: the boot was not done within T
      Caused by: `one` was still in its start after T
      Caused by: `two` was still in its start after T
      Caused by: had started by then: `store`, `index`

    hint: give the boot a longer `timeout` if it needs more than T
    ");
}

#[test]
fn a_start_that_ends_after_it_was_given_up_is_stopped_at_once_and_once() {
    let mut world = World::chain();
    let mut late = descriptor("late", Phase::Pit);
    late.deadline = Some(Duration::from_millis(20));
    late.required = false;
    world.add(late, |mock| mock.start = Act::Slow(80));
    let running = world.boot().unwrap();
    assert_eq!(running.progress_table().of("late"), Some(Progress::Failed));
    until("the late one was stopped", || world.log.count("late", Entry::Begun(Step::Stop)) == 1);
    running.shutdown(Duration::from_secs(3));
    assert_eq!(world.log.count("late", Entry::Begun(Step::Stop)), 1);
    assert!(world.seen.text().contains("`late` started after it was given up"));
}

#[test]
fn a_stop_that_fails_after_it_was_given_up_is_told_with_why_and_what_to_do() {
    let mut world = World::new();
    let stops = Blocking::new(&Threads::new("steps", 1), || Ok(Health::Healthy)).stop(|| {
        std::thread::sleep(Duration::from_millis(100));
        let failure = Failure::new(Code::STATE_INVALID, "the index failed");
        Err(failure.because("no space left").hint("free some"))
    });
    world.registry.add(descriptor("store", Phase::Pit), Arc::new(stops));
    let report = world.boot().unwrap().shutdown(Duration::from_millis(20));
    assert_eq!(report.errors[0].line(), "`store` did not stop: it did not end within 20 ms");
    until("it was told", || {
        world.seen.text().contains("the index failed: no space left; free some")
    });
}

#[test]
fn a_start_that_ends_while_the_boot_rolls_back_is_stopped_before_what_it_needs() {
    let mut world = World::chain();
    world.add(descriptor("slow", Phase::Pit).needs(need("store", NeedKind::One)), |mock| {
        mock.start = Act::Slow(60);
    });
    world.add(descriptor("broken", Phase::Pit).needs(need("index", NeedKind::One)), |mock| {
        mock.start = Act::Fails;
    });
    let failure = world.boot_with(|options| options.grace = Duration::from_secs(5)).err().unwrap();
    assert_eq!(failure.component.map(|name| name.to_string()).as_deref(), Some("broken"));
    assert_eq!(world.log.stops(), ["index", "slow", "store"]);
}

#[test]
fn stops_that_fail_and_hang_keep_nobody_else_up_and_the_first_failure_stays() {
    let mut world = World::new();
    world.add(descriptor("store", Phase::Foundation), |_| {});
    let on_store = || need("store", NeedKind::One);
    world.add(descriptor("hangs", Phase::Pit).needs(on_store()), |mock| mock.stop = Act::Hangs);
    world.add(descriptor("fails", Phase::Pit).needs(on_store()), |mock| mock.stop = Act::Fails);
    world.add(descriptor("loses", Phase::Pit).needs(on_store()), |mock| mock.stop = Act::Loses);
    world.add(descriptor("panics", Phase::Pit).needs(on_store()), |mock| mock.stop = Act::Panics);
    world.add(descriptor("broken", Phase::OrchestraKit), |mock| mock.start = Act::Fails);
    let failure = world.failure();
    assert_eq!(failure.component.map(|name| name.to_string()).as_deref(), Some("broken"));
    let mut errors: Vec<String> =
        failure.rollback_errors.iter().map(|error| timeless(&error.to_string())).collect();
    errors.sort();
    insta::assert_snapshot!(errors.join("\n"), @r"
    `fails` did not stop: disk full
    `hangs` did not stop: it did not end within T
    `loses` did not stop: the step was dropped without an outcome
    `panics` did not stop: it panicked: the mock was told to panic
    ");
    assert_eq!(world.log.count("store", Entry::Begun(Step::Stop)), 1);
    assert_eq!(world.log.stops().last().map(String::as_str), Some("store"));
}

#[test]
fn a_chain_of_hanging_stops_ends_with_the_time_of_the_whole() {
    let mut world = World::new();
    world.add(descriptor("0", Phase::Pit), |mock| mock.stop = Act::Hangs);
    for name in 1..8_u32 {
        let need = need(&(name - 1).to_string(), NeedKind::One);
        let mock = descriptor(&name.to_string(), Phase::Pit).needs(need);
        world.add(mock, |mock| mock.stop = Act::Hangs);
    }
    world.add(descriptor("broken", Phase::Conductor), |mock| mock.start = Act::Fails);
    let begun = Instant::now();
    let failure = world
        .boot_with(|options| {
            options.stop_deadline = Duration::from_millis(50);
            options.rollback_deadline = Duration::from_millis(150);
        })
        .err()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
    assert_eq!(failure.rollback_errors.len(), 8);
    assert_eq!(world.log.stops().len(), 8);
}

#[test]
fn an_optional_component_that_fails_leaves_the_system_degraded() {
    let mut world = World::chain();
    let mut broken = descriptor("broken", Phase::Pit);
    broken.required = false;
    world.add(broken, |mock| mock.start = Act::Fails);
    world.add(descriptor("copes", Phase::Pit).needs(need("broken", NeedKind::Optional)), |_| {});
    let mut user = descriptor("user", Phase::OrchestraKit).needs(need("broken", NeedKind::One));
    user.required = false;
    world.add(user, |_| {});
    let running = world.boot().unwrap();
    let progress_table = running.progress_table();
    assert_eq!(progress_table.of("copes"), Some(Progress::Ready));
    assert_eq!(progress_table.of("broken"), Some(Progress::Failed));
    assert_eq!(progress_table.of("user"), Some(Progress::Skipped));
    assert!(world.log.of("user").is_empty());
    let text = timeless(&running.report().to_string());
    assert!(text.contains("skipped: it needs `broken`, which did not start"), "{text}");
    running.shutdown(Duration::from_secs(3));
}

#[test]
fn a_required_component_cannot_do_without_an_optional_one_that_failed() {
    let mut world = World::chain();
    let mut broken = descriptor("broken", Phase::Pit);
    broken.required = false;
    world.add(broken, |mock| mock.start = Act::Fails);
    world.add(descriptor("user", Phase::Conductor).needs(need("broken", NeedKind::One)), |_| {});
    insta::assert_snapshot!(world.failure().text(), @r"
    error: `user` cannot start: it needs `broken`, which did not start
      Caused by: disk full

    hint: declare the need of `user` as optional, or `broken` as required
    ");
}

#[test]
fn the_gate_holds_back_the_next_phase() {
    let mut world = World::chain();
    world.add(descriptor("ill", Phase::Pit), |mock| mock.health = Act::Unhealthy);
    world.add(descriptor("kit", Phase::OrchestraKit), |_| {});
    let failure = world.failure();
    assert_eq!(failure.code, Code::UNHEALTHY);
    insta::assert_snapshot!(failure.text(), @r"
    error: `ill` is not healthy after phase `pit`
      Caused by: no answer from itself
    ");
    assert!(world.log.of("kit").is_empty());
    assert_eq!(world.log.stops().len(), 3);
}

#[test]
fn a_transient_failure_is_tried_again() {
    let mut world = World::new();
    world.add(descriptor("flaky", Phase::Pit), |mock| mock.start = Act::FailsOnce);
    let running = world.boot().unwrap();
    assert_eq!(world.log.count("flaky", Entry::Begun(Step::Start)), 2);
    assert!(world.seen.text().contains("`flaky` is tried again in T (attempt 2): disk full"));
    let report = running.report();
    assert_eq!(report.components.iter().map(|one| one.attempts).max(), Some(2));
    assert!(report.to_string().contains("tried 2 times"), "{report}");
    running.shutdown(Duration::from_secs(3));
    assert_eq!(world.log.stops(), ["flaky"]);
}

#[test]
fn a_panic_in_begin_is_a_failed_start() {
    let mut world = World::chain();
    world.add(descriptor("panics", Phase::Pit), |mock| mock.start = Act::Panics);
    insta::assert_snapshot!(world.failure().text(), @r"
    error: `panics` failed to start in phase `pit`
      Caused by: it panicked: the mock was told to panic
    ");
}

#[test]
fn an_interruption_rolls_back() {
    let mut world = World::chain();
    world.add(descriptor("hanging", Phase::Pit), |mock| mock.start = Act::Hangs);
    let (cancel, log) = (Interruption::new(), world.log.clone());
    let token = cancel.clone();
    let interrupter = std::thread::spawn(move || {
        until("it hangs", || log.count("hanging", Entry::Begun(Step::Start)) == 1);
        token.interrupt("SIGTERM");
    });
    let failure = world.boot_with(|options| options.interruption = cancel).err().unwrap();
    interrupter.join().unwrap();
    assert_eq!(failure.code, Code::INTERRUPTED);
    insta::assert_snapshot!(timeless(&failure.text()), @r"
    error: the boot was interrupted by SIGTERM
      Caused by: `hanging` was still in its start after T
    ");
    assert_eq!(world.log.stops().len(), 2);
}

#[test]
fn a_latch_lets_the_boot_be_taken_step_by_step() {
    let mut world = World::chain();
    world.add(descriptor("kit", Phase::OrchestraKit), |_| {});
    let (latch, log) = (PhaseLatch::new(), world.log.clone());
    let hand = latch.clone();
    let caller = std::thread::spawn(move || {
        hand.open(Phase::Pit);
        assert_eq!(hand.wait(Phase::Pit, Duration::from_secs(10)), Passage::Passed);
        // Longer than the deadline of the whole boot: the wait is not the boot's.
        std::thread::sleep(Duration::from_millis(1100));
        let none = log.of("kit").is_empty();
        hand.open(Phase::Conductor);
        assert_eq!(hand.wait(Phase::Conductor, Duration::from_secs(10)), Passage::Passed);
        none
    });
    let running = world
        .boot_with(|options| {
            options.latch = Some(latch);
            options.deadline = Duration::from_secs(1);
        })
        .unwrap();
    assert!(caller.join().unwrap(), "a phase began before it was asked for");
    let report = running.report();
    assert!(report.ready_seconds.unwrap() > 1.0);
    assert!(report.overhead_seconds < 0.9, "{}", report.overhead_seconds);
    running.shutdown(Duration::from_secs(3));
}

#[test]
fn a_budget_that_is_exceeded_is_told_and_fails_nothing() {
    let mut world = World::new();
    world.add(descriptor("slow", Phase::Pit), |mock| mock.start = Act::Slow(15));
    let running = world
        .boot_with(|options| {
            let budget = Some(Duration::from_millis(10));
            options.phases.set(Phase::Pit, PhaseLimits { timeout: None, budget });
            options.budgets.ready = budget;
        })
        .unwrap();
    let report = running.report();
    let names: Vec<&str> = report.budget_violations.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["phases.pit", "ready"]);
    assert!(world.seen.text().contains("budget `ready` exceeded: T of T"));
    running.shutdown(Duration::from_secs(3));
}

#[test]
fn health_is_asked_side_by_side_and_a_silent_one_is_unhealthy() {
    let mut world = World::chain();
    world.add(descriptor("well", Phase::Conductor), |mock| mock.health = Act::Degraded);
    let running = world.boot().unwrap();
    let health = running.health(Duration::from_secs(5));
    assert_eq!(health.health, Health::Degraded("`well`: half of it is missing".to_owned()));
    assert_eq!(health.components.len(), 3);
    running.shutdown(Duration::from_secs(3));
    assert!(matches!(running.health(Duration::from_secs(1)).health, Health::Unhealthy(_)));
}

#[test]
fn a_shutdown_may_be_given_longer_than_the_clock_reaches() {
    for timeout in [Duration::from_secs(10_000_000_000_000_000_000), Duration::MAX] {
        let running = World::chain().boot().unwrap();
        let down = watched(30, move || running.shutdown(timeout));
        assert_eq!((down.stopped, down.errors.len()), (2, 0));
    }
}

#[test]
fn a_rollback_may_be_given_longer_than_the_clock_reaches() {
    let mut world = World::chain();
    let fails = descriptor("fails", Phase::OrchestraKit).needs(need("index", NeedKind::One));
    world.add(fails, |mock| mock.start = Act::Fails);
    let boot = world.boot_with(|options| {
        options.stop_deadline = Duration::MAX;
        options.rollback_deadline = Duration::MAX;
        options.grace = Duration::MAX;
    });
    assert_eq!(boot.err().map(|failure| failure.rollback_errors.len()), Some(0));
    assert_eq!(world.log.stops(), ["index", "store"]);
}
