//! Random graphs with random faults, run for real, against a naive oracle.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use boot_orchestrator::{Boot, BootFailure, Registry, Running, Status};
use component::{Code, NeedKind, Phase, Step};
use proptest::prelude::*;
use support::{Act, Entry, Log, Mock, Seen, descriptor, need, options, until, watched};

#[derive(Debug, Clone)]
struct Script {
    phase: usize,
    required: bool,
    start: Act,
    health: Act,
    stop: Act,
    /// The deadline of its start in milliseconds.
    deadline: Option<u64>,
    /// Earlier components by place, taken modulo what there is.
    needs: Vec<(usize, NeedKind)>,
}

fn name(place: usize) -> String {
    format!("c{place}")
}

fn act(well: u32, others: &'static [Act]) -> impl Strategy<Value = Act> {
    prop_oneof![well => Just(Act::Well), 1 => prop::sample::select(others)]
}

fn script() -> impl Strategy<Value = Script> {
    let kind = prop_oneof![
        3 => Just(NeedKind::One),
        1 => Just(NeedKind::Optional),
        1 => Just(NeedKind::Every),
        1 => Just(NeedKind::Late),
    ];
    let start = act(
        9,
        &[
            Act::Degraded,
            Act::Unhealthy,
            Act::Fails,
            Act::FailsOnce,
            Act::Slow(1),
            Act::Slow(8),
            Act::Hangs,
            Act::Panics,
            Act::Loses,
        ],
    );
    let health = act(14, &[Act::Degraded, Act::Unhealthy, Act::Fails, Act::Loses, Act::Slow(1)]);
    let stop = act(9, &[Act::Fails, Act::Hangs, Act::Panics, Act::Loses, Act::Slow(2)]);
    let needs = prop::collection::vec((0..100_usize, kind), 0..4);
    (0..3_usize, prop::bool::weighted(0.6), start, health, stop, needs).prop_map(
        |(phase, required, start, health, stop, needs)| {
            // One that hangs, or ends around its deadline, has a short one; the others are never near theirs.
            let deadline = matches!(start, Act::Hangs | Act::Slow(8)).then_some(7);
            Script { phase, required, start, health, stop, deadline, needs }
        },
    )
}

fn system() -> impl Strategy<Value = Vec<Script>> {
    prop::collection::vec(script(), 1..10).prop_map(|mut scripts| {
        scripts.sort_by_key(|script| script.phase);
        scripts
    })
}

fn needs(scripts: &[Script], place: usize) -> Vec<(usize, NeedKind)> {
    let script = &scripts[place];
    let earlier = |(at, kind): &(usize, NeedKind)| (place > 0).then(|| (at % place, *kind));
    script.needs.iter().filter_map(earlier).collect()
}

fn run(scripts: &[Script], log: &Log, seen: &Seen) -> Result<Running, Box<BootFailure>> {
    let phases = [Phase::Foundation, Phase::Pit, Phase::Conductor];
    let mut registry = Registry::new();
    for (place, script) in scripts.iter().enumerate() {
        let mut one = descriptor(&name(place), phases[script.phase]);
        one.required = script.required;
        one.deadline = script.deadline.map(Duration::from_millis);
        for (at, kind) in needs(scripts, place) {
            one = one.needs(need(&name(at), kind));
        }
        let mut mock = Mock::new(&name(place), log);
        (mock.start, mock.health, mock.stop) = (script.start, script.health, script.stop);
        registry.add(one, Arc::new(mock));
    }
    let plan = registry.plan().expect("a lawful graph");
    assert_eq!(format!("{plan:?}"), format!("{:?}", registry.plan().expect("a lawful graph")));
    let mut options = options(seen);
    options.grace = Duration::from_millis(4);
    options.stop_deadline = Duration::from_millis(6);
    options.retry.pause = Duration::from_millis(1);
    Boot::new(plan, options).run()
}

/// How a boot ends when time plays no part: none where it does.
fn oracle(scripts: &[Script]) -> Option<bool> {
    let mut usable = vec![false; scripts.len()];
    let mut ill = vec![false; scripts.len()];
    for phase in 0..3 {
        for (place, script) in scripts.iter().enumerate().filter(|(_, one)| one.phase == phase) {
            let lacks = needs(scripts, place)
                .iter()
                .any(|(at, kind)| *kind == NeedKind::One && !usable[*at]);
            usable[place] = !lacks
                && match script.start {
                    Act::Well | Act::Degraded | Act::FailsOnce | Act::Slow(1) => true,
                    Act::Slow(_) => return None,
                    _ => false,
                };
            if script.required && !usable[place] {
                return Some(false);
            }
            ill[place] = matches!(script.health, Act::Unhealthy | Act::Fails | Act::Loses);
        }
        for (place, script) in scripts.iter().enumerate().filter(|(_, one)| one.phase == phase) {
            if usable[place] && ill[place] {
                if script.required {
                    return Some(false);
                }
                usable[place] = false;
            }
        }
    }
    Some(true)
}

/// Everything that must hold of a log, whatever the moments at which things happened.
fn check(scripts: &[Script], log: &Log, in_order: bool) {
    let entries = log.entries();
    let at = |place: usize, entry: Entry| -> Option<usize> {
        let name = name(place);
        entries.iter().position(|(of, one)| *of == name && *one == entry)
    };
    for (place, script) in scripts.iter().enumerate() {
        let begun = at(place, Entry::Begun(Step::Start));
        let started = at(place, Entry::ToldWell(Step::Start));
        let stopped = at(place, Entry::Begun(Step::Stop));
        let stops = log.count(&name(place), Entry::Begun(Step::Stop));
        assert_eq!(stops, usize::from(started.is_some()), "stops of c{place}: {entries:#?}");
        assert!(stopped >= started);
        for (need, kind) in needs(scripts, place) {
            if kind == NeedKind::Late {
                continue;
            }
            if let Some(begun) = begun {
                // Nothing starts before what it needs has its outcome, and nothing that cannot do without it unless it is well.
                let usable = at(need, Entry::ToldUsable(Step::Start));
                let settled = [
                    usable,
                    at(need, Entry::ToldWell(Step::Start)),
                    at(need, Entry::ToldFailure(Step::Start)),
                    at(need, Entry::GivenUp(Step::Start)),
                ];
                if kind == NeedKind::One {
                    assert!(usable.is_some_and(|usable| usable < begun), "{entries:#?}");
                    if scripts[need].phase < script.phase {
                        let well = at(need, Entry::ToldUsable(Step::Health));
                        assert!(well.is_some_and(|well| well < begun), "{entries:#?}");
                    }
                } else if at(need, Entry::Begun(Step::Start)).is_some() {
                    let first = settled.into_iter().flatten().min();
                    assert!(first.is_some_and(|first| first < begun), "{entries:#?}");
                }
            }
            let (Some(stopped), Some(needed)) = (stopped, at(need, Entry::Begun(Step::Stop)))
            else {
                continue;
            };
            // What was given up and started all the same is stopped whenever it ends.
            let late = |place| at(place, Entry::GivenUp(Step::Start)).is_some();
            if in_order && !late(place) && !late(need) {
                assert!(stopped < needed, "c{place} after what it needs: {entries:#?}");
                let ended = [
                    at(place, Entry::ToldWell(Step::Stop)),
                    at(place, Entry::ToldFailure(Step::Stop)),
                    at(place, Entry::GivenUp(Step::Stop)),
                ];
                let ended = ended.into_iter().flatten().min();
                assert!(ended.is_some_and(|ended| ended < needed), "{entries:#?}");
            }
        }
    }
}

fn one_case(scripts: &[Script]) {
    let (log, seen) = (Log::default(), Seen::default());
    let result = run(scripts, &log, &seen);
    let ok = result.is_ok();
    let mut in_order = true;
    let (report, component) = match result {
        Ok(running) => {
            let report = running.report();
            let hangs = scripts.iter().any(|script| script.stop == Act::Hangs);
            // A short time for those that hang: in its last part everything is stopped side by side.
            let timeout = Duration::from_millis(if hangs { 60 } else { 10_000 });
            let down = running.shutdown(timeout);
            in_order = !hangs;
            let started = report.components.iter().filter(|one| one.started_at.is_some()).count();
            assert!(down.stopped + down.errors.len() <= started);
            (report, None)
        }
        Err(failure) => {
            assert!(!failure.message.is_empty());
            assert_ne!(failure.code, Code::INTERRUPTED);
            (Arc::clone(&failure.report), failure.component.clone())
        }
    };
    // Those that end late are stopped by whoever hears of it.
    let slow = |step| {
        scripts.iter().enumerate().all(|(place, script)| {
            let one = if step == Step::Start { script.start } else { script.stop };
            let begun = log.count(&name(place), Entry::Begun(step));
            !matches!(one, Act::Slow(_)) || log.count(&name(place), Entry::ToldWell(step)) == begun
        })
    };
    until("all steps that are slow have ended", || slow(Step::Start));
    until("every start is stopped", || {
        (0..scripts.len()).all(|place| {
            log.count(&name(place), Entry::Begun(Step::Stop))
                >= log.count(&name(place), Entry::ToldWell(Step::Start)).min(1)
        })
    });
    check(scripts, &log, in_order);
    if let Some(expected) = oracle(scripts) {
        assert_eq!(ok, expected);
    }
    assert_eq!(report.ok, ok);
    assert_eq!(report.error.is_none(), ok);
    let statuses: HashMap<&str, Status> =
        report.components.iter().map(|one| (one.name.as_str(), one.status)).collect();
    for (place, script) in scripts.iter().enumerate() {
        let begun = log.count(&name(place), Entry::Begun(Step::Start)) > 0;
        let status = statuses[name(place).as_str()];
        assert_eq!(status == Status::Skipped, !begun, "{status}");
        assert!(!ok || !script.required || matches!(status, Status::Ready | Status::Degraded));
        assert!(ok || !matches!(status, Status::Ready | Status::Degraded), "c{place} {status}");
    }
    if let Some(component) = component {
        let status = statuses[component.as_str()];
        assert!(matches!(status, Status::Failed | Status::Skipped), "{component} {status}");
    }
    let starts = |word: &str| seen.events().iter().filter(|event| event.name() == word).count();
    assert_eq!(starts("component-started"), starts("component-finished"));
    assert_eq!(starts("health-started"), starts("health-finished"));
    assert_eq!(starts("phase-started"), starts("phase-finished"));
}

#[test]
fn random_boots_agree_with_the_oracle() {
    watched(300, || {
        proptest!(ProptestConfig::with_cases(1_000), |(scripts in system())| {
            one_case(&scripts);
        });
    });
}
