//! Those who wait, in one order that never has to be sorted again.
//!
//! Everyone who waits ages by the same step with each grant, so the order between two of them never changes: the key is
//! fixed when they come.

use std::collections::{BTreeMap, HashMap};

use super::AGEING;
use super::ask::Ask;

/// Smaller stands before larger; the ticket makes it total.
type Key = (i128, u64);

/// A waiting line by aged priority, or by arrival alone.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    line: BTreeMap<Key, Ask>,
    keys: HashMap<u64, Key>,
}

impl Ordered {
    /// Adds one at the given turn (the number of grants so far); with no turn by arrival alone.
    pub(super) fn insert(&mut self, ask: Ask, turn: Option<u64>) {
        let rank =
            turn.map_or(0, |turn| i128::from(turn) * i128::from(AGEING) - i128::from(ask.priority));
        let key = (rank, ask.ticket);
        self.keys.insert(ask.ticket, key);
        self.line.insert(key, ask);
    }

    pub(super) fn first(&self) -> Option<&Ask> {
        self.line.first_key_value().map(|(_, ask)| ask)
    }

    /// Those who wait, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Ask> {
        self.line.values()
    }

    pub(super) fn remove(&mut self, ticket: u64) -> Option<Ask> {
        self.line.remove(&self.keys.remove(&ticket)?)
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }
}
