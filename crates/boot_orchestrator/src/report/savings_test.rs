//! What is saved, against a naive simulation: a clock that ticks, and at each tick looks at everybody.

use component::{Descriptor, Key, Need, Phase};
use proptest::prelude::*;

use super::seconds;
use crate::event::boot_event::{BootEvent, Stamped, Status};
use crate::graph::plan::Plan;
use crate::graph::registry::Registry;
use crate::report::critical_path::{Owner, names, pieces, through};
use crate::report::outside::{AwaitedBy, Stretch};
use crate::report::timeline::{Span, Timeline};

#[derive(Debug, Clone)]
struct One {
    phase: Phase,
    needs: Vec<usize>,
    ticks: u32,
    answer: u32,
}

/// Components in plan order; work that the last one waits for, one piece after the other; a caller's pause before the Pit.
#[derive(Debug, Clone)]
struct Case {
    ones: Vec<One>,
    outside: Vec<u32>,
    latency: u32,
    pause: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Gone {
    Nothing,
    Start(usize),
    Outside(usize),
}

struct Simulated {
    events: Vec<Stamped>,
    outside: Vec<(u32, u32)>,
    end: u32,
}

fn name(place: usize) -> String {
    format!("c{place:02}")
}

fn stamp(tick: u32, event: BootEvent) -> Stamped {
    Stamped { at: f64::from(tick), event }
}

fn simulate(case: &Case, gone: Gone) -> Simulated {
    let ticks = |place: usize| if gone == Gone::Start(place) { 0 } else { case.ones[place].ticks };
    let (mut events, mut outside, mut clock) = (Vec::new(), Vec::new(), 3);
    for (number, length) in case.outside.iter().enumerate() {
        let length = if gone == Gone::Outside(number) { 0 } else { *length };
        outside.push((clock, clock + length));
        clock += length;
    }
    let awaited = outside.last().map_or(0, |(_, end)| *end);
    let count = case.ones.len();
    let (mut begun, mut ended) = (vec![None; count], vec![None; count]);
    let mut now = 2;
    for phase in Phase::ALL {
        if phase == Phase::Pit && case.pause > 0 {
            now += case.pause;
            events.push(stamp(now, BootEvent::WaitFinished { phase, seconds: case.pause.into() }));
        }
        let opened = now;
        events.push(stamp(now, BootEvent::PhaseStarted { phase, components: 0 }));
        let mine: Vec<usize> =
            (0..count).filter(|place| case.ones[*place].phase == phase).collect();
        while mine.iter().any(|place| ended[*place].is_none_or(|end| end > now)) {
            // At each tick everybody looks whether it may begin, until nobody of no length makes room for another.
            let mut changed = true;
            while changed {
                changed = false;
                for place in &mine {
                    let mut ready = case.ones[*place].needs.iter().map(|need| ended[*need]);
                    let free = ready.try_fold(opened, |free, end| Some(free.max(end?)));
                    let is_time = free.is_some_and(|free: u32| free + case.latency <= now);
                    if begun[*place].is_none() && is_time {
                        let from = if *place + 1 == count { now.max(awaited) } else { now };
                        begun[*place] = Some(now);
                        ended[*place] = Some(from + ticks(*place));
                        changed = true;
                    }
                }
            }
            if mine.iter().any(|place| ended[*place].is_none_or(|end| end > now)) {
                now += 1;
            }
        }
        let answers = mine.iter().map(|place| case.ones[*place].answer).max().unwrap_or(0);
        if !mine.is_empty() {
            events.push(stamp(now, BootEvent::GateStarted { phase }));
        }
        for place in &mine {
            let seconds = f64::from(case.ones[*place].answer);
            let (component, health) = (name(*place).into(), "healthy");
            let told = BootEvent::HealthFinished { component, health, seconds, reason: None };
            events.push(stamp(now + case.ones[*place].answer, told));
        }
        now += answers;
        let seconds = f64::from(now - opened);
        let closed = BootEvent::PhaseFinished { phase, status: Status::Ready, seconds };
        events.push(stamp(now, closed));
        now += case.latency;
    }
    for (place, (from, to)) in begun.into_iter().zip(ended).enumerate() {
        let (Some(from), Some(to)) = (from, to) else { continue };
        let (component, phase) = (name(place).into(), case.ones[place].phase);
        events.push(stamp(from, BootEvent::ComponentStarted { component, phase }));
        let (component, status) = (name(place).into(), Status::Ready);
        let seconds = f64::from(to - from);
        let reason = None;
        events.push(stamp(
            to,
            BootEvent::ComponentFinished { component, phase, status, seconds, reason, late: false },
        ));
    }
    Simulated { events, outside, end: now }
}

fn plan(case: &Case) -> Plan {
    let mut registry = Registry::new();
    for (place, one) in case.ones.iter().enumerate() {
        let mut descriptor =
            Descriptor::new(name(place), one.phase).provides(Key::named(name(place)));
        for need in &one.needs {
            descriptor = descriptor.needs(Need::one(Key::named(name(*need))));
        }
        registry.declare(descriptor);
    }
    registry.plan().unwrap()
}

fn cases() -> impl Strategy<Value = Case> {
    let one =
        (0..5_usize, prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0..9_u32, 0..4_u32);
    let outside = prop::collection::vec(1..30_u32, 0..3);
    (prop::collection::vec(one, 1..9), outside, 0..3_u32, 0..6_u32).prop_map(
        |(mut ones, outside, latency, pause)| {
            ones.sort_by_key(|one| one.0);
            let ones = ones
                .into_iter()
                .enumerate()
                .map(|(place, (phase, needs, ticks, answer))| {
                    let mut needs: Vec<usize> = if place == 0 {
                        Vec::new()
                    } else {
                        needs.into_iter().map(|need| need.index(place)).collect()
                    };
                    needs.sort_unstable();
                    needs.dedup();
                    One { phase: Phase::ALL[phase], needs, ticks, answer }
                })
                .collect();
            Case { ones, outside, latency, pause }
        },
    )
}

fn told(case: &Case) -> Vec<(String, f64)> {
    let plan = plan(case);
    let simulated = simulate(case, Gone::Nothing);
    let timeline = Timeline::of(&plan, &simulated.events, f64::from(simulated.end));
    let last = name(case.ones.len() - 1);
    let outside: Vec<_> = simulated
        .outside
        .iter()
        .map(|(from, to)| {
            let span = Span { from: f64::from(*from), to: f64::from(*to) };
            Stretch { span, awaited_by: AwaitedBy::Start(last.as_str().into()) }
        })
        .collect();
    let path = through(&plan, pieces(&plan, &timeline), &outside);
    let outside_names: Vec<_> =
        (0..outside.len()).map(|number| format!("outside{number}").into()).collect();
    let names = names(&plan, &path, &outside_names);
    let saved = seconds(&plan, &timeline, &path, &outside);
    assert_eq!(names.len(), saved.len());
    assert_eq!(
        saved.len(),
        path.iter()
            .filter(|piece| matches!(piece.owner, Owner::Start(_) | Owner::Outside(_)))
            .count()
    );
    names.into_iter().map(|name| name.to_string()).zip(saved).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_a_step_saves_is_what_a_simulation_without_it_saves(case in cases()) {
        let whole = simulate(&case, Gone::Nothing).end;
        for (name, saved) in told(&case) {
            let gone = match name.strip_prefix("outside") {
                Some(number) => Gone::Outside(number.parse().unwrap()),
                None => Gone::Start(name[1..].parse().unwrap()),
            };
            let without = simulate(&case, gone).end;
            let expected = f64::from(whole - without);
            prop_assert!((saved - expected).abs() < 1e-9, "{name}: {saved}, simulated {expected}");
        }
    }
}

#[test]
fn the_second_longest_path_bounds_what_is_saved() {
    let one =
        |needs: &[usize], ticks| One { phase: Phase::Pit, needs: needs.to_vec(), ticks, answer: 0 };
    let ones = vec![one(&[], 100), one(&[], 80), one(&[0, 1], 10)];
    let case = Case { ones, outside: Vec::new(), latency: 0, pause: 0 };
    // Without the first, which takes 100, the second with its 80 is waited for.
    assert_eq!(told(&case), [("c00".to_owned(), 20.0), ("c02".to_owned(), 10.0)]);
}

#[test]
fn an_import_that_hides_the_phases_saves_only_until_they_show() {
    let one =
        |phase, needs: &[usize], ticks| One { phase, needs: needs.to_vec(), ticks, answer: 0 };
    let ones = vec![one(Phase::Pit, &[], 40), one(Phase::Conductor, &[0], 5)];
    let case = Case { ones, outside: vec![100], latency: 0, pause: 0 };
    // The Pit began a moment before the import and was up at 42; the import ended at 103.
    let expected = [("c00", 0.0), ("outside0", 61.0), ("c01", 5.0)];
    assert_eq!(told(&case), expected.map(|(name, saved)| (name.to_owned(), saved)));
}
