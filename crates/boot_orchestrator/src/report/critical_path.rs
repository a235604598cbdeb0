//! What a boot waited for, moment by moment.
//!
//! Walking back from its end, each moment belongs to one thing: a step that had to end before anything further could
//! happen, a wait at a latch, or the engine itself (everything between). Before a phase's gate that step is the start that
//! ended last, before it the last of the starts that it waited for, and so on to the phase's beginning. In a gate it is the
//! answer that came last. The pieces follow each other without a gap, so their lengths add up to the whole.

use component::{ComponentName, Phase};

use crate::graph::edges::index;
use crate::graph::plan::Plan;
use crate::report::outside::{AwaitedBy, Stretch};
use crate::report::timeline::{Span, Timeline};

/// To what a piece of the path belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Symphony itself.
    Engine,
    /// The start of a component.
    Start(u32),
    /// A component's answer at the gate.
    Health(u32),
    /// The caller, who had not asked for the phase yet.
    Wait,
    /// Work beside the engine, by its place in the list.
    Outside(u32),
}

/// A piece of the path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) span: Span,
    pub(crate) owner: Owner,
}

/// The pieces from the call of `boot()` to its end, in order.
pub(crate) fn pieces(plan: &Plan, timeline: &Timeline) -> Vec<Piece> {
    let mut path = Path { pieces: Vec::new(), cursor: timeline.end };
    for phase in Phase::ALL.into_iter().rev() {
        let spans = &timeline.phases[phase as usize];
        let Some(begun) = spans.begun else {
            path.wait(spans.wait);
            continue;
        };
        if let Some(gate) = spans.gate {
            let answers = plan.range(phase).filter_map(|place| {
                timeline.components[place].health.map(|span| (span, Owner::Health(index(place))))
            });
            if let Some((span, owner)) = last(answers) {
                path.back_to(span, owner);
            }
            path.back_to(Span { from: gate, to: gate }, Owner::Engine);
        }
        path.starts(plan, timeline, plan.range(phase).map(index));
        path.back_to(Span { from: begun, to: begun }, Owner::Engine);
        path.wait(spans.wait);
    }
    path.back_to(Span { from: 0.0, to: 0.0 }, Owner::Engine);
    path.pieces.reverse();
    path.pieces
}

/// Leads the path through work beside the engine: a start that waited for it began its own work only at its end, and
/// what the engine did meanwhile made nobody wait. Before there is a plan nothing else of the engine is under way.
pub(crate) fn through(plan: &Plan, pieces: Vec<Piece>, outside: &[Stretch]) -> Vec<Piece> {
    let mut path = pieces;
    for (number, stretch) in (0..).zip(outside) {
        if let AwaitedBy::Start(name) = &stretch.awaited_by {
            path = through_start(plan, path, stretch.span, name, number);
        }
    }
    // Afterwards: of an import beside which the supervisor took longer to come up the boot did not wait.
    for (number, stretch) in (0..).zip(outside) {
        if stretch.awaited_by == AwaitedBy::Plan {
            path = through_plan(path, stretch.span, number);
        }
    }
    path
}

/// The start of `name` waited for it.
fn through_start(
    plan: &Plan,
    path: Vec<Piece>,
    span: Span,
    name: &ComponentName,
    number: u32,
) -> Vec<Piece> {
    let waits = |piece: &Piece| match piece.owner {
        Owner::Start(start) => plan.components()[start as usize].name() == name,
        _ => false,
    };
    let Some(place) = path.iter().position(|piece| waits(piece) && piece.span.from < span.to)
    else {
        return path;
    };
    let mut through: Vec<Piece> = Vec::with_capacity(path.len());
    for piece in path.iter().take(place) {
        let to = piece.span.to.min(span.from);
        if to > piece.span.from {
            through.push(Piece { span: Span { to, ..piece.span }, owner: piece.owner });
        }
    }
    through.push(Piece { span, owner: Owner::Outside(number) });
    let waiting = path[place];
    let from = span.to.min(waiting.span.to);
    through.push(Piece { span: Span { from, ..waiting.span }, owner: waiting.owner });
    through.extend_from_slice(&path[place + 1..]);
    through
}

/// The plan waited for it: it takes its part of the piece in which the engine had nothing to run yet.
fn through_plan(mut path: Vec<Piece>, span: Span, number: u32) -> Vec<Piece> {
    let within = |piece: &Piece| Span {
        from: span.from.max(piece.span.from),
        to: span.to.min(piece.span.to),
    };
    let Some(place) = path.iter().position(|piece| {
        let within = within(piece);
        piece.owner == Owner::Engine && within.to > within.from
    }) else {
        return path;
    };
    let (whole, within) = (path[place], within(&path[place]));
    let parts = [
        Piece { span: Span { to: within.from, ..whole.span }, owner: Owner::Engine },
        Piece { span: within, owner: Owner::Outside(number) },
        Piece { span: Span { from: within.to, ..whole.span }, owner: Owner::Engine },
    ];
    path.splice(place..=place, parts.into_iter().filter(|piece| piece.span.to > piece.span.from));
    path
}

/// The components on the path, in the order in which the boot waited for them.
pub(crate) fn names(
    plan: &Plan,
    pieces: &[Piece],
    outside: &[ComponentName],
) -> Vec<ComponentName> {
    pieces
        .iter()
        .filter_map(|piece| match piece.owner {
            Owner::Start(number) => Some(plan.components()[number as usize].name().clone()),
            Owner::Outside(number) => outside.get(number as usize).cloned(),
            _ => None,
        })
        .collect()
}

fn last(spans: impl Iterator<Item = (Span, Owner)>) -> Option<(Span, Owner)> {
    // The first of those that ended at the same moment: the same path each time.
    spans.fold(None, |best: Option<(Span, Owner)>, one| match best {
        Some(best) if best.0.to >= one.0.to => Some(best),
        _ => Some(one),
    })
}

struct Path {
    pieces: Vec<Piece>,
    cursor: f64,
}

impl Path {
    /// Goes back over a span; what lies between it and the cursor is the engine's.
    fn back_to(&mut self, span: Span, owner: Owner) {
        self.push(Span { from: span.to.min(self.cursor), to: self.cursor }, Owner::Engine);
        self.push(Span { from: span.from, to: span.to.min(self.cursor) }, owner);
        self.cursor = self.cursor.min(span.from);
    }

    fn push(&mut self, span: Span, owner: Owner) {
        // An empty piece of the engine says nothing; an empty start still says that the boot waited for it.
        if span.to > span.from || (matches!(owner, Owner::Start(_)) && span.to >= span.from) {
            self.pieces.push(Piece { span, owner });
        }
    }

    fn wait(&mut self, wait: Option<Span>) {
        if let Some(wait) = wait {
            self.back_to(wait, Owner::Wait);
        }
    }

    fn starts(&mut self, plan: &Plan, timeline: &Timeline, among: impl Iterator<Item = u32>) {
        let mut among: Vec<u32> = among.collect();
        loop {
            let spans = among.iter().filter_map(|number| {
                let spans = &timeline.components[*number as usize];
                let (from, to) = (spans.begun?, spans.finished?);
                (to <= self.cursor).then_some((Span { from, to }, Owner::Start(*number)))
            });
            let Some((span, owner)) = last(spans) else { return };
            let Owner::Start(number) = owner else { return };
            self.back_to(span, owner);
            let phase = plan.components()[number as usize].descriptor().phase;
            among = plan
                .needs(number)
                .filter(|edge| edge.orders())
                .map(|edge| edge.to)
                .filter(|to| plan.components()[*to as usize].descriptor().phase == phase)
                .collect();
        }
    }
}
