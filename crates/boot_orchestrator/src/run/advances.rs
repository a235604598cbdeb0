//! Starts whose work is counted, as a recovery: told as they come further, and not cut off for it.
//!
//! Called between the steps of a phase. Invariants: a start that comes further is within its deadline, which counts from
//! when it last did; and a boot whose caller named no deadline has as much longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often starts are asked; most boots are over before.
const EACH: Duration = Duration::from_millis(500);

/// How far the starts have come.
#[derive(Debug, Default)]
pub(crate) struct Advances {
    /// When they were asked last, in a phase.
    asked: Option<Instant>,
    /// By number of component: how far it was when it last came further, and when.
    last: HashMap<u32, (u64, Instant)>,
}

impl Advances {
    /// When starts are to be asked again.
    pub(crate) fn due(&mut self) -> Instant {
        *self.asked.get_or_insert_with(Instant::now) + EACH
    }

    /// They are asked now; answers when they were before.
    pub(crate) fn asked(&mut self, now: Instant) -> Instant {
        self.asked.replace(now).unwrap_or(now)
    }

    /// A start is that far; answers whether it came further.
    pub(crate) fn is_at(&mut self, number: u32, done: u64, now: Instant) -> bool {
        let known = self.last.get(&number).map_or(0, |(done, _)| *done);
        if done > known {
            self.last.insert(number, (done, now));
        }
        done > known
    }

    /// When this start last came further.
    pub(crate) fn last_of(&self, number: u32) -> Option<Instant> {
        self.last.get(&number).map(|(_, at)| *at)
    }
}
