//! Random systems for whole boots, and a naive oracle of how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use boot_orchestrator::Progress;
use component::{Code, NeedKind, Phase, Step};
use proptest::prelude::*;

use super::actor::{Act, Outcome, Scene};

#[derive(Debug, Clone)]
pub(crate) struct One {
    pub(crate) phase: Phase,
    pub(crate) required: bool,
    pub(crate) start: Act,
    pub(crate) health: Act,
    pub(crate) stop: Act,
    /// Earlier components by place, taken modulo what there is.
    pub(crate) needs: Vec<(usize, NeedKind)>,
}

/// When and how somebody interferes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Interference {
    /// `Interruption::interrupt` at this event, by whoever emits it.
    Interruption(usize),
    /// `Interruption::fail` at this event.
    Fail(usize),
    /// `Interruption::interrupt` from another thread, some time after this event.
    Soon(usize),
}

/// Whose time is short.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    Boot,
    Phase(Phase),
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) all: Vec<One>,
    pub(crate) seed: u64,
    pub(crate) interference: Option<Interference>,
    pub(crate) limit: Option<Limit>,
}

pub(crate) const SHORT: Duration = Duration::from_millis(5);
pub(crate) const ATTEMPTS: u32 = 3;

pub(crate) fn name(place: usize) -> String {
    format!("c{place}")
}

pub(crate) fn place(name: &str) -> usize {
    name[1..].parse().expect("a name of this file")
}

pub(crate) fn act(step: Step) -> impl Strategy<Value = Act> {
    let health = [
        Outcome::Degraded,
        Outcome::Unhealthy,
        Outcome::Fails,
        Outcome::FailsTimes(1),
        Outcome::Panics,
        Outcome::Loses,
        Outcome::Hangs,
        Outcome::EndsInGiveUp,
        Outcome::EndsAfterGiveUp,
    ];
    let others: Vec<Outcome> = match step {
        Step::Start => {
            let more = [Outcome::FailsTimes(2), Outcome::FailsTimes(3), Outcome::Degraded];
            health.into_iter().chain(more).collect()
        }
        // What a stop says of its health means nothing.
        Step::Health | Step::Stop => health.into_iter().collect(),
    };
    let well = if step == Step::Start { 7 } else { 12 };
    let outcome = prop_oneof![well => Just(Outcome::Well), 1 => prop::sample::select(others)];
    let scene = prop_oneof![
        5 => Just(Scene::Here),
        5 => Just(Scene::Staged),
        1 => (0..400_u64).prop_map(Scene::Pooled),
    ];
    (outcome, scene).prop_map(|(outcome, scene)| Act { outcome, scene })
}

pub(crate) fn hangs(act: Act) -> bool {
    matches!(act.outcome, Outcome::Hangs | Outcome::EndsInGiveUp | Outcome::EndsAfterGiveUp)
}

pub(crate) fn one() -> impl Strategy<Value = One> {
    let kind = prop_oneof![
        4 => Just(NeedKind::One),
        1 => Just(NeedKind::Optional),
        1 => Just(NeedKind::Every),
        1 => Just(NeedKind::Late),
    ];
    let needs = prop::collection::vec((0..100_usize, kind), 0..4);
    let phase = prop::sample::select(Phase::ALL.to_vec());
    let acts = (act(Step::Start), act(Step::Health), act(Step::Stop));
    (phase, prop::bool::weighted(0.55), acts, needs).prop_map(
        |(phase, required, (mut start, health, stop), needs)| {
            if hangs(health) && !hangs(start) {
                // Its deadline is a short one: its start must not come near it.
                start = Act { outcome: Outcome::Well, scene: Scene::Here };
            }
            One { phase, required, start, health, stop, needs }
        },
    )
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let interference = prop_oneof![
        8 => Just(None),
        1 => (0..70_usize).prop_map(|at| Some(Interference::Interruption(at))),
        1 => (0..70_usize).prop_map(|at| Some(Interference::Fail(at))),
        1 => (0..70_usize).prop_map(|at| Some(Interference::Soon(at))),
    ];
    let limit = prop_oneof![
        30 => Just(None),
        1 => Just(Some(Limit::Boot)),
        1 => prop::sample::select(Phase::ALL.to_vec()).prop_map(|phase| Some(Limit::Phase(phase))),
    ];
    (prop::collection::vec(one(), 1..12), any::<u64>(), interference, limit).prop_map(
        |(mut all, seed, interference, limit)| {
            all.sort_by_key(|one| one.phase);
            Case { all, seed, interference, limit }
        },
    )
}

pub(crate) fn needs(all: &[One], place: usize) -> Vec<(usize, NeedKind)> {
    let earlier = |(at, kind): &(usize, NeedKind)| (place > 0).then(|| (at % place, *kind));
    all[place].needs.iter().filter_map(earlier).collect()
}

/// How the start of a component ends when it is begun, and with which word it fails.
pub(crate) fn start_of(one: &One) -> Result<Progress, Code> {
    match one.start.outcome {
        Outcome::Well => Ok(Progress::Ready),
        Outcome::Degraded => Ok(Progress::Degraded),
        Outcome::FailsTimes(times) if times < ATTEMPTS as usize => Ok(Progress::Ready),
        Outcome::Unhealthy => Err(Code::UNHEALTHY),
        Outcome::Fails | Outcome::FailsTimes(_) | Outcome::Panics => Err(Code::START_FAILED),
        Outcome::Loses => Err(Code::INTERNAL),
        Outcome::Hangs | Outcome::EndsInGiveUp | Outcome::EndsAfterGiveUp => {
            Err(Code::START_TIMEOUT)
        }
    }
}

pub(crate) fn health_of(one: &One) -> Progress {
    match one.health.outcome {
        Outcome::Well => Progress::Ready,
        Outcome::Degraded => Progress::Degraded,
        _ => Progress::Failed,
    }
}

/// How a boot ends of which nobody takes the time away: how everyone stands, or who may be the first failure, with its word.
pub(crate) fn oracle(all: &[One]) -> Result<Vec<Progress>, BTreeMap<usize, Code>> {
    let mut progress_table = vec![Progress::Waiting; all.len()];
    // Who lacks what it cannot do without, in whatever phase, is told at once.
    let skip = |progress_table: &mut Vec<Progress>| {
        for place in 0..all.len() {
            let lacks = needs(all, place).iter().any(|(at, kind)| {
                let lost = [Progress::Failed, Progress::Skipped].contains(&progress_table[*at]);
                *kind == NeedKind::One && lost
            });
            if lacks && progress_table[place] == Progress::Waiting {
                progress_table[place] = Progress::Skipped;
            }
        }
    };
    for phase in Phase::ALL {
        let of_phase: Vec<usize> = (0..all.len()).filter(|at| all[*at].phase == phase).collect();
        let mut first = BTreeMap::new();
        for place in &of_phase {
            skip(&mut progress_table);
            if progress_table[*place] == Progress::Waiting {
                progress_table[*place] = start_of(&all[*place]).unwrap_or(Progress::Failed);
                if let Err(code) = start_of(&all[*place]) {
                    first.insert(*place, code);
                }
            }
        }
        let at_gate: Vec<usize> =
            of_phase.into_iter().filter(|at| progress_table[*at].is_usable()).collect();
        for round in 0..2 {
            skip(&mut progress_table);
            let skipped = (0..all.len()).filter(|at| progress_table[*at] == Progress::Skipped);
            first.extend(skipped.map(|at| (at, Code::START_FAILED)));
            first.retain(|at, _| all[*at].required);
            if !first.is_empty() {
                return Err(first);
            }
            if round == 0 {
                for place in &at_gate {
                    progress_table[*place] = health_of(&all[*place]);
                    if progress_table[*place] == Progress::Failed {
                        first.insert(*place, Code::UNHEALTHY);
                    }
                }
            }
        }
    }
    Ok(progress_table)
}
