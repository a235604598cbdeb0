//! `overhead_seconds`: what Symphony itself costs a boot.
//!
//! The rule: the wall time of the boot in which nothing else was on the critical path. Each moment of the critical path
//! belongs to one thing. A start or a health answer of a component that is `Work::Other` (user code, a child's start-up, a
//! declared wait) and a wait at a latch are not overhead; everything else is: starts and answers of Symphony's own
//! components, and all time between steps. So work of Symphony's that runs beside a long import costs nothing, because the
//! boot would be no sooner without it, and work of others beside a longer piece of Symphony's hides nothing.

use component::Work;

use crate::critical_path::{Owner, Piece};
use crate::plan::Plan;

/// The seconds of the path that are Symphony's own.
pub(crate) fn seconds(plan: &Plan, pieces: &[Piece]) -> f64 {
    pieces
        .iter()
        .filter(|piece| match piece.owner {
            Owner::Engine => true,
            Owner::Wait => false,
            Owner::Start(number) | Owner::Health(number) => {
                plan.components()[number as usize].descriptor().work == Work::Own
            }
        })
        .map(|piece| piece.span.to - piece.span.from)
        .sum()
}
