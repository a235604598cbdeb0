//! The rule of one resource: pure state. The same calls in the same order give the same decisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ask::Ask;
use super::fair::Fair;
use super::ordered::Ordered;
use super::{Reason, Strategy};

#[derive(Debug)]
enum Line {
    Priority(Ordered),
    Fair(Fair),
    Queue(Ordered),
}

/// One resource.
#[derive(Debug)]
pub(super) struct Arbiter {
    pub(super) capacity: u64,
    pub(super) used: u64,
    pub(super) holders: BTreeMap<Arc<str>, u64>,
    pub(super) strategy: &'static str,
    line: Line,
    /// Grants so far.
    turn: u64,
}

impl Arbiter {
    pub(super) fn new(capacity: u64, strategy: Strategy) -> Self {
        Self {
            capacity,
            used: 0,
            holders: BTreeMap::new(),
            strategy: strategy.as_str(),
            line: match strategy {
                Strategy::Priority => Line::Priority(Ordered::default()),
                Strategy::Fair { weights } => Line::Fair(Fair::new(weights)),
                Strategy::Queue => Line::Queue(Ordered::default()),
            },
            turn: 0,
        }
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity - self.used
    }

    pub(super) fn waiting(&self) -> usize {
        match &self.line {
            Line::Priority(line) | Line::Queue(line) => line.len(),
            Line::Fair(fair) => fair.len(),
        }
    }

    /// Grants at once where nobody waits and there is enough: the same as [`Self::ask`] and [`Self::serve`], without the
    /// line. Fairness counts every grant, so there it is never taken.
    pub(super) fn grant_at_once(&mut self, owner: &Arc<str>, amount: u64) -> bool {
        let alone = match &self.line {
            Line::Priority(line) | Line::Queue(line) => line.len() == 0,
            Line::Fair(_) => false,
        };
        if alone && amount <= self.free() {
            self.hold(owner, amount);
            return true;
        }
        false
    }

    fn hold(&mut self, owner: &Arc<str>, amount: u64) {
        self.turn += 1;
        self.used += amount;
        if let Some(held) = self.holders.get_mut(owner) {
            *held += amount;
        } else {
            self.holders.insert(Arc::clone(owner), amount);
        }
    }

    /// Puts an ask that is at most the capacity into the line; [`Self::serve`] says whether it is served.
    pub(super) fn ask(&mut self, ticket: u64, owner: &Arc<str>, amount: u64, priority: i64) {
        let turn = self.turn;
        let ask = Ask { ticket, owner: Arc::clone(owner), amount, priority, turn };
        match &mut self.line {
            Line::Priority(line) => line.insert(ask, Some(turn)),
            Line::Fair(fair) => fair.insert(ask, turn),
            Line::Queue(line) => line.insert(ask, None),
        }
    }

    /// Grants to whoever stands first while there is enough for them. Who stands first is never overtaken by one who
    /// wants less: that is what keeps a large ask from starving.
    pub(super) fn serve(&mut self) -> Option<(Ask, Reason)> {
        let first = self.first()?;
        let free = self.free();
        if first.amount > free {
            return None;
        }
        let ticket = first.ticket;
        let ask = self.take(ticket, true)?;
        let passed = self.turn - ask.turn;
        self.hold(&ask.owner, ask.amount);
        let reason = Reason::Turn { passed };
        Some((ask, reason))
    }

    /// Takes an ask out of the line and says why it was not served.
    pub(super) fn withdraw(&mut self, ticket: u64) -> Option<(Ask, Reason)> {
        let before = self.first().filter(|ask| ask.ticket != ticket);
        let before = before.map(|ask| Arc::clone(&ask.owner));
        let ask = self.take(ticket, false)?;
        let reason = match before {
            Some(owner) => Reason::Behind { owner },
            None => Reason::Busy { amount: ask.amount, free: self.free(), capacity: self.capacity },
        };
        Some((ask, reason))
    }

    /// Takes back what was granted.
    pub(super) fn release(&mut self, owner: &Arc<str>, amount: u64) {
        self.used -= amount;
        if let Some(held) = self.holders.get_mut(owner) {
            *held -= amount;
            if *held == 0 {
                self.holders.remove(owner);
            }
        }
    }

    /// Those who wait, first to last.
    pub(super) fn line(&self) -> Vec<&Ask> {
        match &self.line {
            Line::Priority(line) | Line::Queue(line) => line.iter().collect(),
            Line::Fair(fair) => fair.iter().collect(),
        }
    }

    fn first(&self) -> Option<&Ask> {
        match &self.line {
            Line::Priority(line) | Line::Queue(line) => line.first(),
            Line::Fair(fair) => fair.first(),
        }
    }

    fn take(&mut self, ticket: u64, granted: bool) -> Option<Ask> {
        match &mut self.line {
            Line::Priority(line) | Line::Queue(line) => line.remove(ticket),
            Line::Fair(fair) => fair.remove(ticket, granted),
        }
    }
}

#[cfg(test)]
mod tests;
