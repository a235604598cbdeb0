//! What each step of the critical path would save: by how much sooner the system would be ready if it took no time.
//!
//! A step's own length is too much: without it another path is the longest. So the boot is replayed from its timeline,
//! once for each step, with that step at length zero. In a replay a start begins when what it needs in its phase is up, a
//! gate when every start of the phase has ended, a phase when the gate before it has passed; work beside the engine keeps
//! its own clock, and what waits for it waits on. All else keeps the length that it had: the engine's own moments, the
//! answers at the gates, a caller's pause before it asks for a phase, and the wait for a thread that another step held.

use component::Phase;

use crate::graph::plan::Plan;
use crate::report::critical_path::{Owner, Piece};
use crate::report::outside::{AwaitedBy, Stretch};
use crate::report::timeline::Timeline;

/// The step that takes no time in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    Start(u32),
    Outside(u32),
}

/// A boot that can be played again.
struct Replay<'a> {
    plan: &'a Plan,
    timeline: &'a Timeline,
    outside: &'a [Stretch],
    /// For each component, the places of its needs that are of its own phase.
    needs: Vec<Vec<usize>>,
}

/// The seconds that each step of the path would save, in its order.
pub(crate) fn seconds(
    plan: &Plan,
    timeline: &Timeline,
    pieces: &[Piece],
    outside: &[Stretch],
) -> Vec<f64> {
    let replay = Replay::new(plan, timeline, outside);
    let whole = replay.end(Without::Nothing);
    pieces
        .iter()
        .filter_map(|piece| match piece.owner {
            Owner::Start(number) => Some(Without::Start(number)),
            Owner::Outside(number) => Some(Without::Outside(number)),
            Owner::Engine | Owner::Health(_) | Owner::Wait => None,
        })
        .map(|without| (whole - replay.end(without)).max(0.0))
        .collect()
}

impl<'a> Replay<'a> {
    fn new(plan: &'a Plan, timeline: &'a Timeline, outside: &'a [Stretch]) -> Self {
        let phase = |number: u32| plan.components()[number as usize].descriptor().phase;
        let needs = (0..)
            .take(plan.components().len())
            .map(|number: u32| {
                plan.needs(number)
                    .filter(|edge| edge.orders() && phase(edge.to) == phase(number))
                    .map(|edge| edge.to as usize)
                    .collect()
            })
            .collect();
        Self { plan, timeline, outside, needs }
    }

    /// When the system is ready.
    fn end(&self, without: Without) -> f64 {
        let outside = self.outside(without);
        // What the plan waits for no longer, everything that follows the plan comes sooner by.
        let (mut now, mut before) = (-self.before_plan(without), 0.0);
        for phase in Phase::ALL {
            let spans = &self.timeline.phases[phase as usize];
            let (Some(begun), Some(finished)) = (spans.begun, spans.finished) else { continue };
            let starts_end = self.starts(phase, now + (begun - before), without, &outside);
            // What follows the last start, the gate and its answers, keeps its length.
            now = starts_end + (finished - self.recorded_end(phase, begun));
            before = finished;
        }
        now + (self.timeline.end - before)
    }

    /// When the last start of a phase has ended; plan order has every need before those that need it.
    fn starts(&self, phase: Phase, begun: f64, without: Without, outside: &[f64]) -> f64 {
        let was = self.timeline.phases[phase as usize].begun.unwrap_or(begun);
        let range = self.plan.range(phase);
        let first = range.start;
        let mut ends = vec![begun; range.len()];
        let mut last = begun;
        for place in range {
            let spans = &self.timeline.components[place];
            let (Some(from), Some(to)) = (spans.begun, spans.finished) else { continue };
            let (mut free, mut was_free) = (begun, was);
            for need in &self.needs[place] {
                if let Some(need_to) = self.timeline.components[*need].finished {
                    free = free.max(ends[*need - first]);
                    was_free = was_free.max(need_to);
                }
            }
            let starts = free + (from - was_free);
            let (waits, waited) = self.awaited(place, outside);
            let own = to - waited.map_or(from, |waited| from.max(waited)).min(to);
            let own = if without == Without::Start(crate::graph::edges::index(place)) {
                0.0
            } else {
                own
            };
            let ended = waits.map_or(starts, |waits| starts.max(waits)) + own;
            ends[place - first] = ended;
            last = last.max(ended);
        }
        last
    }

    fn recorded_end(&self, phase: Phase, begun: f64) -> f64 {
        let ends = self.plan.range(phase).filter_map(|place| {
            let spans = &self.timeline.components[place];
            spans.begun.and(spans.finished)
        });
        ends.fold(begun, f64::max)
    }

    /// When the work that a start waits for ends in the replay, and when it had ended.
    fn awaited(&self, place: usize, outside: &[f64]) -> (Option<f64>, Option<f64>) {
        let name = self.plan.components()[place].name();
        let latest = |ends: &mut dyn Iterator<Item = f64>| ends.reduce(f64::max);
        let mine = || self.outside.iter().zip(outside).filter(|(one, _)| one.holds(name));
        let ends = latest(&mut mine().map(|(_, end)| *end));
        (ends, latest(&mut mine().map(|(one, _)| one.span.to)))
    }

    /// How much sooner there is a plan.
    fn before_plan(&self, without: Without) -> f64 {
        let Without::Outside(shortened) = without else { return 0.0 };
        match self.outside.get(shortened as usize) {
            Some(gone) if gone.awaited_by == AwaitedBy::Plan => gone.span.to - gone.span.from,
            _ => 0.0,
        }
    }

    /// When each piece of work beside the engine ends. Pieces that the same component waits for and that did not overlap
    /// were done one after the other: what is saved in one, the next begins sooner. So does what followed the plan.
    fn outside(&self, without: Without) -> Vec<f64> {
        let mut ends: Vec<f64> = self.outside.iter().map(|one| one.span.to).collect();
        let Without::Outside(shortened) = without else { return ends };
        let Some(gone) = self.outside.get(shortened as usize) else { return ends };
        let saved = gone.span.to - gone.span.from;
        for (one, end) in self.outside.iter().zip(&mut ends) {
            let in_line = one.awaited_by == gone.awaited_by || gone.awaited_by == AwaitedBy::Plan;
            let follows =
                in_line && one.span.from >= gone.span.to && one.awaited_by != AwaitedBy::Engine;
            if follows || one.span == gone.span {
                *end -= saved;
            }
        }
        ends
    }
}

#[cfg(test)]
#[path = "savings_test.rs"]
mod tests;
