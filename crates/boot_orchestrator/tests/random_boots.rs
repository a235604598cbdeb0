//! Random systems with random faults, booted and taken down for real, against a naive oracle.
//!
//! The oracle knows how a boot ends where time plays no part, and what holds of every boot whatever the moments at which
//! things happened. A boot may be interrupted at any event, from outside at any moment, and run out of its own time.

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boot_orchestrator::{
    Boot, BootEvent, BootFailure, BootOptions, BootReport, Interruption, PhaseLimits, Progress,
    Registry, Running, ShutdownReport, Stamped, Status,
};
use component::{Code, Failure, NeedKind, Phase, Step};
use support::actor::{Act, Actor, Entry, Outcome, Script, Stage};
use support::case::{
    ATTEMPTS, Case, Interference, Limit, SHORT, case, hangs, name, needs, oracle, place,
};
use support::{Seen, cases, descriptor, need, options, until, watched};

/// Interferes at its moment. `told` says that it did before the boot had told its end.
fn interferer(
    case: &Case,
    stage: &Stage,
    cancel: &Interruption,
    told: &Arc<AtomicBool>,
) -> impl Fn(&Stamped) + Send + Sync + use<> {
    let (interference, door) = (case.interference, stage.door());
    let (cancel, told, count) = (cancel.clone(), Arc::clone(told), AtomicUsize::new(0));
    move |stamped| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        // After the last gate a boot that has become ready tells only this; and how a step ended that was given up, whenever
        // that is.
        let over = ["boot-finished", "budget-exceeded", "started-late", "failed-late"];
        let over = over.contains(&stamped.event.name());
        match interference {
            Some(Interference::Interruption(at)) if at == number => {
                told.fetch_or(!over, Ordering::Relaxed);
                cancel.interrupt("the test");
            }
            Some(Interference::Fail(at)) if at == number => {
                told.fetch_or(!over, Ordering::Relaxed);
                let failure = Failure::new(Code::START_FAILED, "the import failed");
                cancel.fail("`outside` failed".to_owned(), Phase::Conductor, "outside", failure);
            }
            Some(Interference::Soon(at)) if at == number => {
                let cancel = cancel.clone();
                door.put(move || cancel.interrupt("the test"));
            }
            _ => {}
        }
    }
}

/// What is known of a boot when it is over.
struct Played {
    result: Result<Running, Box<BootFailure>>,
    progress_table: boot_orchestrator::ProgressTable,
    script: Vec<(usize, Entry)>,
    events: Vec<BootEvent>,
    down: Option<Arc<ShutdownReport>>,
    /// Somebody interfered before the boot had told its end.
    interfered: bool,
}

fn play(case: &Case) -> Played {
    let (script, seen) = (Script::default(), Seen::default());
    let stage = Stage::new(case.seed);
    let mut registry = Registry::new();
    for (place, one) in case.all.iter().enumerate() {
        let mut made = descriptor(&name(place), one.phase);
        made.required = one.required;
        let limited = match case.limit {
            Some(Limit::Boot) => true,
            Some(Limit::Phase(phase)) => phase == one.phase,
            None => false,
        };
        let short = hangs(one.health) || (hangs(one.start) && !limited);
        made.deadline = short.then_some(SHORT);
        for (at, kind) in needs(&case.all, place) {
            made = made.needs(need(&name(at), kind));
        }
        let actor = Actor {
            number: place,
            start: one.start,
            health: one.health,
            stop: one.stop,
            script: script.clone(),
            door: stage.door(),
            tries: Mutex::default(),
            kept: Mutex::default(),
        };
        registry.add(made, Arc::new(actor));
    }
    let plan = registry.plan().expect("a lawful graph");
    assert_eq!(format!("{plan:?}"), format!("{:?}", registry.plan().expect("a lawful graph")));
    let told = Arc::new(AtomicBool::new(false));
    let mut options = BootOptions {
        grace: Duration::from_millis(2),
        stop_deadline: Duration::from_millis(8),
        ..options(&seen)
    };
    options.retry.attempts = ATTEMPTS;
    options.retry.pause = Duration::from_micros(200);
    options.sinks.push(Arc::new(interferer(case, &stage, &options.interruption, &told)));
    match case.limit {
        Some(Limit::Boot) => options.deadline = SHORT * 2,
        Some(Limit::Phase(phase)) => {
            options.phases.set(phase, PhaseLimits { timeout: Some(SHORT * 2), budget: None });
        }
        None => {}
    }
    let boot = Boot::new(plan, options);
    let progress_table = boot.progress_table();
    let result = boot.run();
    let interfered = told.load(Ordering::Relaxed);
    let down = result.as_ref().ok().map(|running| {
        // A short time for those that hang: in its last part everything is stopped side by side.
        let hanging = case.all.iter().any(|one| hangs(one.stop));
        running.shutdown(Duration::from_millis(if hanging { 60 } else { 10_000 }))
    });
    settle(case, &script);
    drop(stage);
    let (script, events) = (script.entries(), seen.events());
    Played { result, progress_table, script, events, down, interfered }
}

/// Waits until every step that will end has ended, and what started has been asked to stop.
fn settle(case: &Case, script: &Script) {
    until("everything has ended", || {
        let entries = script.entries();
        let count = |place: usize, entry: Entry| {
            entries.iter().filter(|one| **one == (place, entry)).count()
        };
        case.all.iter().enumerate().all(|(place, one)| {
            let ended = |step, act: Act| {
                let begun = count(place, Entry::Begun(step));
                let given_up = count(place, Entry::GivenUp(step)) > 0;
                let ends = !hangs(act) || (act.outcome != Outcome::Hangs && given_up);
                let ended = [Entry::Usable(step), Entry::Ill(step), Entry::Failed(step)];
                !ends || ended.into_iter().map(|entry| count(place, entry)).sum::<usize>() == begun
            };
            let started =
                count(place, Entry::Usable(Step::Start)) + count(place, Entry::Ill(Step::Start));
            ended(Step::Start, one.start)
                && ended(Step::Health, one.health)
                && count(place, Entry::Begun(Step::Stop)) >= started
                && ended(Step::Stop, one.stop)
        })
    });
}

/// Where an entry stands in the script first.
struct Moments<'a>(&'a [(usize, Entry)]);

impl Moments<'_> {
    fn first(&self, place: usize, entry: Entry) -> Option<usize> {
        self.0.iter().position(|one| *one == (place, entry))
    }

    fn count(&self, place: usize, entry: Entry) -> usize {
        self.0.iter().filter(|one| **one == (place, entry)).count()
    }

    /// When a step's last outcome was told, or it was given up.
    fn settled(&self, place: usize, step: Step) -> Option<usize> {
        let all = [Entry::Usable(step), Entry::Ill(step), Entry::GivenUp(step)];
        let failed = self.0.iter().rposition(|one| *one == (place, Entry::Failed(step)));
        all.into_iter().filter_map(|entry| self.first(place, entry)).min().or(failed)
    }

    fn started(&self, place: usize) -> bool {
        self.first(place, Entry::Usable(Step::Start)).is_some()
            || self.first(place, Entry::Ill(Step::Start)).is_some()
    }

    /// Its start was given up: what it tells later comes when it comes.
    fn late(&self, place: usize) -> bool {
        self.first(place, Entry::GivenUp(Step::Start)).is_some()
    }
}

/// What holds of what was asked and told, whatever the moments.
fn check_order(case: &Case, played: &Played) {
    let (all, at) = (&case.all, Moments(&played.script));
    let hanging = case.all.iter().any(|one| hangs(one.stop));
    let in_order = played.result.is_err() || !hanging;
    for (place, one) in all.iter().enumerate() {
        let stops = at.count(place, Entry::Begun(Step::Stop));
        assert_eq!(stops, usize::from(at.started(place)), "stops of c{place}");
        let attempts = at.count(place, Entry::Begun(Step::Start));
        assert!(attempts <= ATTEMPTS as usize);
        assert!(attempts <= 1 || matches!(one.start.outcome, Outcome::FailsTimes(_)));
        assert!(at.count(place, Entry::Begun(Step::Health)) <= 1);
        for (needed, kind) in needs(all, place) {
            if kind == NeedKind::Late {
                continue;
            }
            if let Some(begun) = at.first(place, Entry::Begun(Step::Start)) {
                let usable = at.first(needed, Entry::Usable(Step::Start));
                if kind == NeedKind::One {
                    assert!(usable.is_some_and(|usable| usable < begun), "c{place} c{needed}");
                    if all[needed].phase < one.phase {
                        let well = at.first(needed, Entry::Usable(Step::Health));
                        assert!(well.is_some_and(|well| well < begun), "c{place} c{needed}");
                    }
                } else if at.first(needed, Entry::Begun(Step::Start)).is_some() {
                    let settled = at.settled(needed, Step::Start);
                    assert!(settled.is_some_and(|settled| settled < begun), "c{place} c{needed}");
                }
            }
            let stop = |place| at.first(place, Entry::Begun(Step::Stop));
            if let (Some(_), Some(down)) = (stop(place), stop(needed))
                && in_order
                && !at.late(place)
                && !at.late(needed)
            {
                let ended = at.settled(place, Step::Stop);
                assert!(ended.is_some_and(|ended| ended < down), "c{needed} before c{place}");
            }
        }
    }
    // A phase begins after the gate of the one before, and is taken down before it.
    for (earlier, later) in (0..all.len()).flat_map(|at| (0..at).map(move |one| (one, at))) {
        if all[earlier].phase == all[later].phase {
            continue;
        }
        let begun = at.first(later, Entry::Begun(Step::Start));
        let asked = at.first(earlier, Entry::Begun(Step::Health));
        if let (Some(begun), Some(_)) = (begun, asked) {
            let answered = at.settled(earlier, Step::Health);
            assert!(answered.is_some_and(|answered| answered < begun), "c{later} before a gate");
        }
        let stop = |place| at.first(place, Entry::Begun(Step::Stop));
        if let (Some(_), Some(down)) = (stop(later), stop(earlier))
            && in_order
            && !at.late(earlier)
            && !at.late(later)
        {
            assert!(at.settled(later, Step::Stop).is_some_and(|ended| ended < down));
        }
    }
}

/// The stops that did not end well are told, each once, and no others.
fn check_stops(played: &Played) {
    let at = Moments(&played.script);
    let errors = match (&played.result, &played.down) {
        (Err(failure), _) => &failure.rollback_errors,
        (Ok(_), Some(down)) => &down.errors,
        (Ok(_), None) => unreachable!("what is up was shut down"),
    };
    let told: Vec<usize> = errors.iter().map(|error| place(error.component.as_str())).collect();
    let unique: BTreeSet<usize> = told.iter().copied().collect();
    assert_eq!(unique.len(), told.len(), "told twice: {errors:?}");
    let stopped: Vec<usize> = played
        .script
        .iter()
        .filter(|(_, entry)| *entry == Entry::Begun(Step::Stop))
        .map(|(place, _)| *place)
        .collect();
    let bad = |place: &usize| {
        at.first(*place, Entry::GivenUp(Step::Stop)).is_some()
            || at.first(*place, Entry::Failed(Step::Stop)).is_some()
    };
    for place in &stopped {
        // Whoever ended late is stopped by who hears of it, and that is in the events alone.
        if unique.contains(place) || !at.late(*place) {
            assert_eq!(unique.contains(place), bad(place), "the stop of c{place}: {errors:?}");
        }
    }
    assert!(unique.iter().all(|place| stopped.contains(place)));
    if let Some(down) = &played.down {
        let well = stopped.iter().filter(|place| !at.late(**place) && !bad(place)).count();
        assert_eq!(down.stopped, well);
    }
}

/// The boot ended as the oracle says.
fn check_end(case: &Case, played: &Played) {
    let expected = oracle(&case.all);
    let hanging = case.all.iter().any(|one| hangs(one.start));
    match (&played.result, &expected) {
        (Ok(_), _) if played.interfered => panic!("interrupted, and ready"),
        (Ok(running), Ok(progress_table)) => {
            let report = running.report();
            for (place, progress) in progress_table.iter().enumerate() {
                let one = report.components.iter().find(|one| one.name.as_str() == name(place));
                let one = one.expect("everyone is in the report");
                assert_eq!(one.status, progress.status(), "c{place}");
                let stands = played.progress_table.of(&name(place));
                let down = matches!(stands, Some(Progress::Stopped | Progress::Failed));
                assert!(down || (stands == Some(Progress::Skipped)), "c{place} {stands:?}");
                assert_eq!(one.reason.is_some(), *progress != Progress::Ready, "c{place}");
            }
            let degraded = progress_table.iter().any(|progress| *progress != Progress::Ready);
            let finished = played.events.iter().find_map(|event| match event {
                BootEvent::BootFinished { status, .. } => Some(*status),
                _ => None,
            });
            let status = if degraded { Status::Degraded } else { Status::Ready };
            assert_eq!(finished, Some(status));
        }
        (Ok(_), Err(first)) => panic!("ready in spite of {first:?}"),
        (Err(failure), _) if failure.code == Code::INTERRUPTED => {
            assert!(case.interference.is_some());
            assert!(failure.message.contains("the test"));
        }
        (Err(failure), _) if failure.message == "`outside` failed" => {
            assert!(matches!(case.interference, Some(Interference::Fail(_))));
            assert_eq!(failure.code, Code::START_FAILED);
        }
        (Err(failure), _) if failure.code == Code::START_TIMEOUT && case.limit.is_some() => {}
        (Err(failure), Ok(_)) => panic!("failed, and nothing is wrong: {failure:?}"),
        (Err(failure), Err(first)) => {
            let component = failure.component.as_ref().expect("somebody's failure");
            let place = place(component.as_str());
            let code = first.get(&place);
            // While one hangs with nobody's deadline but the boot's, others may fail in later phases: never.
            assert!(
                code.is_some() || hanging && case.limit.is_some(),
                "{failure:?} not in {first:?}"
            );
            assert!(code.is_none_or(|code| *code == failure.code), "{failure:?} not in {first:?}");
            assert_eq!(failure.phase, Some(case.all[place].phase));
        }
    }
}

fn check_report(case: &Case, played: &Played, report: &BootReport) {
    let at = Moments(&played.script);
    let ok = played.result.is_ok();
    assert_eq!(report.ok, ok);
    assert_eq!(report.ready_seconds.is_some(), ok);
    let of = |place: usize| {
        let one = report.components.iter().find(|one| one.name.as_str() == name(place));
        one.expect("everyone is in the report")
    };
    assert_eq!(report.components.len(), case.all.len());
    for place in 0..case.all.len() {
        let one = of(place);
        let attempts = at.count(place, Entry::Begun(Step::Start));
        assert_eq!(one.started_at.is_some(), attempts > 0);
        assert_eq!(one.status == Status::Skipped, attempts == 0, "c{place} {}", one.status);
        // A pause before another try may be cut short.
        let tried = usize::try_from(one.attempts).expect("a few");
        assert!(tried == attempts.max(1) || (!ok && tried == attempts + 1));
        let well = matches!(one.status, Status::Ready | Status::Degraded);
        assert!(ok || !well, "c{place} {}", one.status);
        assert!(!ok || well || !case.all[place].required);
        assert!(one.status != Status::Failed || one.reason.is_some());
        let mut requires: Vec<String> = needs(&case.all, place)
            .into_iter()
            .filter(|(_, kind)| *kind != NeedKind::Late)
            .map(|(at, _)| name(at))
            .collect();
        requires.sort_unstable();
        requires.dedup();
        let mut told: Vec<String> = one.requires.iter().map(ToString::to_string).collect();
        told.sort_unstable();
        assert_eq!(told, requires);
        if let Some(begun) = one.started_at {
            for needed in needs(&case.all, place).into_iter().filter(|one| one.1 != NeedKind::Late)
            {
                let needed = of(needed.0);
                let ended = needed.started_at.map_or(0.0, |begun| begun + needed.seconds);
                assert!(ended <= begun + 1e-9, "c{place} at {begun}, its need ended at {ended}");
            }
        }
    }
    let mut last = 0.0;
    for step in &report.critical_path {
        let started = of(place(step.as_str())).started_at.expect("started");
        assert!(started >= last, "{:?}", report.critical_path);
        last = started;
    }
    let begun: HashMap<Phase, usize> =
        played.events.iter().fold(HashMap::new(), |mut all, event| {
            if let BootEvent::PhaseStarted { phase, .. } = event {
                *all.entry(*phase).or_default() += 1;
            }
            all
        });
    let names: Vec<Phase> = report.phases.iter().map(|phase| phase.name).collect();
    assert_eq!(names, Phase::ALL);
    for phase in &report.phases {
        assert_eq!(phase.status == Status::Skipped, !begun.contains_key(&phase.name));
        assert!(begun.get(&phase.name).is_none_or(|count| *count == 1));
        assert_eq!(matches!(phase.status, Status::Ready | Status::Degraded), ok);
    }
    match (&played.result, &report.error) {
        (Ok(_), None) => {}
        (Err(failure), Some(error)) => {
            assert_eq!(error.code, failure.code.as_str());
            assert_eq!(error.message, failure.message);
            assert_eq!(error.component, failure.component.as_ref().map(ToString::to_string));
            assert_eq!(error.phase, failure.phase.map(Phase::as_str));
            assert_eq!((&error.causes, &error.hints), (&failure.causes, &failure.hints));
        }
        (_, error) => panic!("{error:?}"),
    }
    check_json(report);
}

/// The document says what the report says.
fn check_json(report: &BootReport) {
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["ok"], report.ok);
    let words = |value: &serde_json::Value, key: &str| -> Vec<String> {
        let all = value.as_array().expect("a list");
        let word = |one: &serde_json::Value| match key {
            "" => one.as_str().map(str::to_owned),
            key => one[key].as_str().map(str::to_owned),
        };
        all.iter().filter_map(word).collect()
    };
    let names: Vec<&str> = report.components.iter().map(|one| one.name.as_str()).collect();
    let statuses: Vec<&str> = report.components.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(words(&json["components"], "name"), names);
    assert_eq!(words(&json["components"], "status"), statuses);
    let phases: Vec<&str> = report.phases.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(words(&json["phases"], "status"), phases);
    let path: Vec<String> = report.critical_path.iter().map(ToString::to_string).collect();
    assert_eq!(words(&json["critical_path"], ""), path);
    for (one, told) in report.components.iter().zip(json["components"].as_array().expect("a list"))
    {
        let near = |told: &serde_json::Value, real: Option<f64>| match (told.as_f64(), real) {
            (Some(told), Some(real)) => (told - real).abs() < 1e-9,
            (told, real) => told.is_none() && real.is_none(),
        };
        assert!(
            near(&told["started_at"], one.started_at) && near(&told["seconds"], Some(one.seconds))
        );
        assert_eq!(told["reason"].as_str(), one.reason.as_deref());
    }
    let code = report.error.as_ref().map(|error| error.code);
    assert_eq!(json["error"]["code"].as_str(), code);
}

/// What has begun is told to have ended, each once.
fn check_events(played: &Played) {
    let mut open: HashMap<String, i32> = HashMap::new();
    for event in &played.events {
        let of = event.component().map(ToString::to_string);
        let of = of.or_else(|| event.phase().map(|phase| phase.to_string())).unwrap_or_default();
        if let Some(what) = event.name().strip_suffix("-started") {
            let count = open.entry(format!("{what} {of}")).or_default();
            *count += 1;
            assert_eq!(*count, 1, "{what} {of} began twice");
        } else if let Some(what) = event.name().strip_suffix("-finished") {
            // The stop of one that ended late is told by its end alone.
            let count = open.entry(format!("{what} {of}")).or_default();
            *count -= 1;
            assert!(*count == 0 || what == "stop", "{what} {of} ended without a beginning");
        }
    }
    open.retain(|what, count| *count > 0 && !what.starts_with("stop "));
    assert!(open.is_empty(), "without an end: {open:?}");
}

fn one_case(case: &Case) {
    let played = play(case);
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        check_order(case, &played);
        check_stops(&played);
        check_end(case, &played);
        let report = match &played.result {
            Ok(running) => running.report(),
            Err(failure) => Arc::clone(&failure.report),
        };
        check_report(case, &played, &report);
        check_events(&played);
    }));
    if let Err(panic) = checked {
        let events: Vec<String> = played.events.iter().map(ToString::to_string).collect();
        let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let why = panic.downcast_ref::<String>().cloned().or(literal).unwrap_or_default();
        panic!("{why}\nscript: {:?}\nevents:\n{}", played.script, events.join("\n"));
    }
}

#[test]
fn random_boots_agree_with_the_oracle() {
    watched(3_000, || cases(10_000, 8, case, |case| one_case(&case)));
}
