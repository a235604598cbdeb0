//! Faults on purpose: each happens in the call that it names, and nothing else changes.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_orchestrator::{
    Boot, BootEvent, BootFailure, BootOptions, FaultKind, FaultPlan, InjectedFault, Registry,
    Running,
};
use component::{Code, Hint as _, NeedKind, Phase, Step};
use support::{Act, Entry, Log, Mock, Seen, descriptor, need, options, until, watched};

/// `store`, then `index` that needs it.
fn registry(log: &Log, change: impl FnOnce(&mut Mock)) -> Registry {
    let mut registry = Registry::new();
    registry.add(descriptor("store", Phase::Pit), Arc::new(Mock::new("store", log)));
    let mut index = Mock::new("index", log);
    change(&mut index);
    let describes = descriptor("index", Phase::Conductor).needs(need("store", NeedKind::One));
    registry.add(describes, Arc::new(index));
    registry
}

fn fault(component: &str, step: Step, kind: FaultKind, call: u32) -> InjectedFault {
    InjectedFault { component: component.into(), step, kind, call }
}

fn boot(
    registry: &mut Registry,
    plan: &FaultPlan,
    seen: &Seen,
) -> Result<Running, Box<BootFailure>> {
    registry.inject(plan).expect("every fault can happen");
    let options = BootOptions { component_deadline: Duration::from_millis(100), ..options(seen) };
    Boot::new(registry.plan().expect("the graph is sound"), options).run()
}

#[test]
fn each_kind_of_fault_ends_each_step_in_its_named_failure() {
    watched(20, || {
        let fail = FaultKind::Fail("no disk".to_owned());
        let panic = FaultKind::Panic("index out of bounds".to_owned());
        let cases = [
            (Step::Start, fail.clone(), Code::START_FAILED, "no disk"),
            (Step::Start, panic.clone(), Code::START_FAILED, "it panicked: index out of bounds"),
            (Step::Start, FaultKind::Hang, Code::START_TIMEOUT, "a fault plan holds it there"),
            (Step::Health, fail, Code::UNHEALTHY, "no disk"),
            (Step::Health, panic, Code::UNHEALTHY, "it panicked: index out of bounds"),
            (Step::Health, FaultKind::Hang, Code::UNHEALTHY, "a fault plan holds it there"),
        ];
        for (step, kind, code, text) in cases {
            let (log, seen) = (Log::default(), Seen::default());
            let mut registry = registry(&log, |_| ());
            let plan = FaultPlan::new([fault("index", step, kind.clone(), 1)]);
            let failure = boot(&mut registry, &plan, &seen).err().expect("a fault fails the boot");
            let told = failure.text();
            assert_eq!(failure.code, code, "{step} {kind:?}: {told}");
            assert!(told.contains(text), "{step} {kind:?}: {told}");
            assert_eq!(plan.fired(), plan.faults(), "{step} {kind:?}");
            let started = log.count("index", Entry::Begun(Step::Start));
            assert_eq!(started, usize::from(step == Step::Health), "{step} {kind:?}");
            assert_eq!(log.count("index", Entry::Begun(Step::Stop)), started, "{step} {kind:?}");
            assert_eq!(log.count("store", Entry::Begun(Step::Stop)), 1, "{step} {kind:?}");
            assert_eq!(log.count("index", Entry::GivenUp(step)), 0, "it knows nothing of the hang");
        }
    });
}

#[test]
fn a_fault_of_a_stop_keeps_no_other_from_stopping() {
    watched(20, || {
        for (kind, code) in [
            (FaultKind::Fail("busy".to_owned()), Code::STOP_FAILED),
            (FaultKind::Panic("busy".to_owned()), Code::STOP_FAILED),
            (FaultKind::Hang, Code::STOP_TIMEOUT),
        ] {
            let (log, seen) = (Log::default(), Seen::default());
            let mut registry = registry(&log, |_| ());
            let plan = FaultPlan::new([fault("index", Step::Stop, kind.clone(), 1)]);
            let running = boot(&mut registry, &plan, &seen).expect("only the stop is at fault");
            let report = running.shutdown(Duration::from_millis(300));
            let codes: Vec<Code> = report.errors.iter().map(|error| error.failure.code).collect();
            assert_eq!(codes, [code], "{kind:?}");
            assert_eq!(log.stops(), ["store"], "{kind:?}");
        }
    });
}

#[test]
fn only_the_call_that_a_fault_names_goes_wrong() {
    watched(20, || {
        let (log, seen) = (Log::default(), Seen::default());
        let mut registry = registry(&log, |mock| mock.start = Act::FailsOnce);
        let second = FaultKind::Fail("the second time".to_owned());
        let plan = FaultPlan::new([fault("index", Step::Start, second, 2)]);
        let failure = boot(&mut registry, &plan, &seen).err().expect("the second start fails");
        assert!(failure.text().contains("the second time"), "{}", failure.text());
        assert_eq!(log.count("index", Entry::Begun(Step::Start)), 1);

        let (log, seen) = (Log::default(), Seen::default());
        let mut registry = self::registry(&log, |_| ());
        let never = FaultPlan::new([fault("index", Step::Start, FaultKind::Hang, 2)]);
        let running = boot(&mut registry, &never, &seen).expect("there is one start");
        assert_eq!(never.fired(), []);
        running.shutdown(Duration::from_secs(1));
    });
}

#[test]
fn a_slow_step_begins_later_and_is_the_components_own() {
    watched(20, || {
        let (log, seen) = (Log::default(), Seen::default());
        let mut registry = registry(&log, |_| ());
        let slow = FaultKind::Slow(Duration::from_millis(30));
        let plan = FaultPlan::new([fault("store", Step::Start, slow, 1)]);
        let begun = Instant::now();
        let running = boot(&mut registry, &plan, &seen).expect("it is slow and no more");
        assert!(begun.elapsed() >= Duration::from_millis(30));
        assert_eq!(log.count("store", Entry::Begun(Step::Start)), 1);
        running.shutdown(Duration::from_secs(1));
    });
}

#[test]
fn what_is_released_after_it_was_given_up_is_stopped_at_once() {
    watched(20, || {
        let (log, seen) = (Log::default(), Seen::default());
        let mut registry = registry(&log, |_| ());
        let plan = FaultPlan::new([fault("index", Step::Start, FaultKind::Hang, 1)]);
        let failure = boot(&mut registry, &plan, &seen).err().expect("it hangs");
        assert_eq!(failure.code, Code::START_TIMEOUT);
        assert_eq!(log.stops(), ["store"]);
        plan.release();
        until("the late one is stopped", || log.stops().len() == 2);
        assert_eq!(log.stops(), ["store", "index"]);
        let late = BootEvent::StartedLate { component: "index".into() };
        assert_eq!(seen.events().iter().filter(|event| **event == late).count(), 1);
    });
}

#[test]
fn a_plan_that_was_dropped_holds_nothing() {
    watched(20, || {
        let (log, seen) = (Log::default(), Seen::default());
        let mock = Arc::new(Mock::new("index", &log));
        let weak = Arc::downgrade(&mock);
        let mut registry = Registry::new();
        registry.add(descriptor("index", Phase::Conductor), mock);
        let hang = || FaultPlan::new([fault("index", Step::Start, FaultKind::Hang, 1)]);
        let plan = hang();
        let failure = boot(&mut registry.clone(), &plan, &seen).err().expect("it hangs");
        assert_eq!(failure.code, Code::START_TIMEOUT);
        drop(failure);
        drop(plan);
        assert_eq!(log.entries(), [], "nobody waited for the step, so nothing was begun");

        registry.inject(&hang()).expect("it can happen");
        let failure = boot(&mut registry, &FaultPlan::new([]), &seen).err().expect("it fails");
        assert_eq!(failure.code, Code::INTERNAL, "{}", failure.text());
        drop((failure, registry));
        assert!(weak.upgrade().is_none(), "the step that hung holds its component for ever");
    });
}

#[test]
fn a_fault_that_can_never_happen_is_refused() {
    let log = Log::default();
    let mut registry = registry(&log, |_| ());
    let plan = FaultPlan::new([
        fault("stroe", Step::Start, FaultKind::Hang, 1),
        fault("index", Step::Stop, FaultKind::Hang, 0),
    ]);
    let error = registry.inject(&plan).expect_err("neither can happen");
    assert_eq!(
        error.to_string(),
        "a planned fault can never happen: nobody registered `stroe`, `index` has no call 0 of its stop"
    );
    assert_eq!(error.code(), Code::INVALID_VALUE);
    assert_eq!(error.hints(), ["did you mean `store`?", "calls are counted from 1"]);
}
