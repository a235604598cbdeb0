//! Who waits for whom, and whether that can ever end.
//!
//! Called by the engine when somebody begins to wait while holding something. Pure: what is free, who stands in which line
//! and who holds what is handed in. A party is whoever cannot give anything back while it waits: a thread, which is sure, or
//! an owner, which may have several threads. The waits are played to their end: whoever can be served goes on and gives back
//! all that it holds. Who is left then waits for ever.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::ThreadId;

/// Who cannot give anything back while it waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Party {
    Thread(ThreadId),
    Owner(Arc<str>),
    /// Somebody of whom nothing is known: the number of its wait.
    Unknown(u64),
}

/// One that waits, in the order of its line.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) ticket: u64,
    pub(super) amount: u64,
    pub(super) party: Party,
    pub(super) owner: Arc<str>,
}

/// Something that is given back only by its party.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) resource: usize,
    pub(super) amount: u64,
    pub(super) party: Party,
}

/// One resource.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) free: u64,
    pub(super) waiting: VecDeque<Waiting>,
}

/// One of a ring: it waits for that resource, which the next one holds, or before which the next one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) owner: Arc<str>,
    pub(super) resource: usize,
    pub(super) is_held: bool,
}

/// The ring because of which the wait of that ticket never ends, each party once; none: it can end.
pub(super) fn ring(
    mut lines: Vec<Line>,
    mut holdings: Vec<Holding>,
    resource: usize,
    ticket: u64,
) -> Option<Vec<Waits>> {
    let mut waits: HashMap<Party, usize> = HashMap::new();
    for waiting in lines.iter().flat_map(|line| &line.waiting) {
        *waits.entry(waiting.party.clone()).or_default() += 1;
    }
    give_back(&mut lines, &mut holdings, |party| !waits.contains_key(party));
    loop {
        let mut served = false;
        for line in &mut lines {
            // What is served here is given back in the end, so it takes nothing away from those behind.
            while let Some(first) = line.waiting.front().filter(|first| first.amount <= line.free) {
                served = true;
                if let Some(count) = waits.get_mut(&first.party) {
                    *count -= 1;
                }
                line.waiting.pop_front();
            }
        }
        give_back(&mut lines, &mut holdings, |party| waits.get(party) == Some(&0));
        if !served {
            break;
        }
    }
    walk(&lines, &holdings, resource, ticket)
}

/// What these parties hold becomes free.
fn give_back(lines: &mut [Line], holdings: &mut Vec<Holding>, goes_on: impl Fn(&Party) -> bool) {
    holdings.retain(|holding| {
        let given = goes_on(&holding.party);
        if given {
            lines[holding.resource].free += holding.amount;
        }
        !given
    });
}

/// From a wait that never ends to who causes it, until somebody comes twice.
fn walk(lines: &[Line], holdings: &[Holding], resource: usize, ticket: u64) -> Option<Vec<Waits>> {
    let of = |party: &Party| {
        lines.iter().enumerate().find_map(|(resource, line)| {
            let found = line.waiting.iter().find(|waiting| waiting.party == *party);
            found.map(|waiting| (resource, waiting))
        })
    };
    let line = &lines[resource].waiting;
    let mut here = (resource, line.iter().find(|waiting| waiting.ticket == ticket)?);
    let mut walked: Vec<(Party, Waits)> = Vec::new();
    loop {
        let (resource, waiting) = here;
        if let Some(from) = walked.iter().position(|(party, _)| *party == waiting.party) {
            return Some(walked.split_off(from).into_iter().map(|(_, waits)| waits).collect());
        }
        let first = lines[resource].waiting.front()?;
        let is_held = first.ticket == waiting.ticket;
        let waits = Waits { owner: Arc::clone(&waiting.owner), resource, is_held };
        walked.push((waiting.party.clone(), waits));
        here = if is_held {
            let held = || holdings.iter().filter(|holding| holding.resource == resource);
            let others = held().find(|holding| holding.party != waiting.party);
            of(&others.or_else(|| held().next())?.party)?
        } else {
            (resource, first)
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Holding, Line, Party, Waiting, ring};

    fn party(name: &str) -> Party {
        Party::Owner(Arc::from(name))
    }

    fn line(free: u64, waiting: &[(u64, &str, u64)]) -> Line {
        let one = |&(ticket, owner, amount): &(u64, &str, u64)| Waiting {
            ticket,
            amount,
            party: party(owner),
            owner: Arc::from(owner),
        };
        Line { free, waiting: waiting.iter().map(one).collect() }
    }

    fn holds(resource: usize, owner: &str, amount: u64) -> Holding {
        Holding { resource, amount, party: party(owner) }
    }

    fn owners(found: Option<Vec<super::Waits>>) -> Vec<(String, usize, bool)> {
        let waits = found.unwrap_or_default().into_iter();
        waits.map(|waits| (waits.owner.to_string(), waits.resource, waits.is_held)).collect()
    }

    #[test]
    fn two_that_hold_what_the_other_wants_are_a_ring() {
        let lines = vec![line(0, &[(2, "b", 1)]), line(0, &[(1, "a", 1)])];
        let holdings = vec![holds(0, "a", 1), holds(1, "b", 1)];
        let found = owners(ring(lines, holdings, 0, 2));
        assert_eq!(found, [("b".to_owned(), 0, true), ("a".to_owned(), 1, true)]);
    }

    #[test]
    fn a_ring_of_three_and_one_that_only_stands_before_it() {
        // `d` wants more than is free and stands before `c`, who would fit.
        let lines = vec![
            line(1, &[(4, "d", 2), (3, "c", 1)]),
            line(0, &[(1, "a", 1)]),
            line(0, &[(5, "e", 1)]),
        ];
        let holdings = vec![holds(0, "a", 1), holds(1, "c", 1), holds(2, "c", 1)];
        let found = owners(ring(lines.clone(), holdings.clone(), 0, 3));
        let expected =
            [("c".to_owned(), 0, false), ("d".to_owned(), 0, true), ("a".to_owned(), 1, true)];
        assert_eq!(found, expected);
        // `e` is in no ring itself, and waits for one.
        assert_eq!(owners(ring(lines, holdings, 2, 5)).len(), 3);
    }

    #[test]
    fn whoever_can_still_be_served_is_in_no_ring() {
        // `b` also holds part of 0, but `x`, who works, gives back enough.
        let lines = vec![line(0, &[(2, "b", 1)]), line(0, &[(1, "a", 1)])];
        let holdings = vec![holds(0, "a", 1), holds(0, "x", 1), holds(1, "b", 1)];
        assert_eq!(ring(lines, holdings, 0, 2), None);
    }

    proptest! {
        /// Whoever is said to wait for ever is not served in any order in which those who can go on do so.
        #[test]
        fn no_order_of_going_on_serves_who_is_in_a_ring(
            capacity in prop::collection::vec(1u64..4, 3),
            held in prop::collection::vec((0usize..3, 0usize..4, 1u64..3), 0..8),
            asks in prop::collection::vec((0usize..3, 0usize..4, 1u64..4), 1..6),
            order in any::<u64>(),
        ) {
            let names = ["a", "b", "c", "d"];
            let mut used = [0u64; 3];
            let mut holdings = Vec::new();
            for (resource, owner, amount) in held {
                if used[resource] + amount <= capacity[resource] {
                    used[resource] += amount;
                    holdings.push((resource, owner, amount));
                }
            }
            let mut waiting: Vec<(u64, usize, usize, u64)> = Vec::new();
            for (ticket, (resource, owner, amount)) in (1u64..).zip(asks) {
                // A party waits once.
                if amount <= capacity[resource] && waiting.iter().all(|ask| ask.2 != owner) {
                    waiting.push((ticket, resource, owner, amount));
                }
            }
            let lines: Vec<Line> = (0..3).map(|resource| {
                let asks: Vec<_> = waiting.iter().filter(|ask| ask.1 == resource)
                    .map(|ask| (ask.0, names[ask.2], ask.3)).collect();
                line(capacity[resource] - used[resource], &asks)
            }).collect();
            let as_holdings: Vec<_> =
                holdings.iter().map(|&(resource, owner, amount)| holds(resource, names[owner], amount)).collect();
            // The naive end: again and again one that can be served is, at random, and then gives all back.
            let (mut left, mut random) = (waiting.clone(), order);
            loop {
                let free = |resource: usize, left: &[(u64, usize, usize, u64)]| {
                    let stuck: u64 = holdings.iter()
                        .filter(|held| held.0 == resource && left.iter().any(|ask| ask.2 == held.1))
                        .map(|held| held.2).sum();
                    capacity[resource] - stuck
                };
                let can: Vec<usize> = (0..left.len()).filter(|&at| {
                    let (_, resource, _, amount) = left[at];
                    let is_first = left.iter().position(|ask| ask.1 == resource) == Some(at);
                    is_first && amount <= free(resource, &left)
                }).collect();
                if can.is_empty() {
                    break;
                }
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                left.remove(can[usize::try_from(random >> 33).unwrap() % can.len()]);
            }
            for (ticket, resource, ..) in waiting {
                let found = ring(lines.clone(), as_holdings.clone(), resource, ticket);
                prop_assert_eq!(found.is_some(), left.iter().any(|ask| ask.0 == ticket));
            }
        }
    }
}
