//! Weighted fairness: the owner that has had least, for its weight, comes next (start-time fair queueing).
//!
//! An owner's pass grows by amount / weight with each grant. One that comes back after a pause starts at the pass of
//! whoever was served last, so that nobody saves up turns while away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::ask::Ask;
use super::ordered::Ordered;

/// One unit for an owner of weight 1; fine enough that dividing by a weight loses nothing that counts.
const UNIT: u128 = 1 << 32;
/// Owners that are away and behind are forgotten when there are more than this.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
struct Owner {
    pass: u128,
    line: Ordered,
}

#[derive(Debug, Default)]
pub(super) struct Fair {
    weights: BTreeMap<String, u32>,
    owners: HashMap<Arc<str>, Owner>,
    /// Owners with somebody waiting; the name breaks ties, the same way every time.
    active: BTreeSet<(u128, Arc<str>)>,
    tickets: HashMap<u64, Arc<str>>,
    /// The pass of the grant that was made last.
    served: u128,
}

impl Fair {
    pub(super) fn new(weights: BTreeMap<String, u32>) -> Self {
        Self { weights, ..Self::default() }
    }

    pub(super) fn insert(&mut self, ask: Ask, turn: u64) {
        let name = Arc::clone(&ask.owner);
        self.tickets.insert(ask.ticket, Arc::clone(&name));
        let owner = self
            .owners
            .entry(Arc::clone(&name))
            .or_insert_with(|| Owner { pass: 0, line: Ordered::default() });
        if owner.line.len() == 0 {
            owner.pass = owner.pass.max(self.served);
            self.active.insert((owner.pass, name));
        }
        owner.line.insert(ask, Some(turn));
    }

    pub(super) fn first(&self) -> Option<&Ask> {
        let (_, name) = self.active.first()?;
        self.owners.get(name)?.line.first()
    }

    /// Those who wait: owner by owner, which is the order of the next of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Ask> {
        let lines = self.active.iter().filter_map(|(_, name)| self.owners.get(name));
        lines.flat_map(|owner| owner.line.iter())
    }

    pub(super) fn remove(&mut self, ticket: u64, granted: bool) -> Option<Ask> {
        let name = self.tickets.remove(&ticket)?;
        let owner = self.owners.get_mut(&name)?;
        let ask = owner.line.remove(ticket)?;
        self.active.remove(&(owner.pass, Arc::clone(&name)));
        if granted {
            let weight = self.weights.get(&*name).copied().unwrap_or(1).max(1);
            self.served = self.served.max(owner.pass);
            owner.pass += u128::from(ask.amount) * UNIT / u128::from(weight);
        }
        if owner.line.len() > 0 {
            self.active.insert((owner.pass, name));
        } else if self.owners.len() > REMEMBERED {
            // Whoever is not ahead would start at `served` anyway.
            let served = self.served;
            self.owners.retain(|_, owner| owner.line.len() > 0 || owner.pass > served);
        }
        Some(ask)
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }
}
