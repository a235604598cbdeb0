//! The rules themselves, without threads: order, ageing, shares, and that nobody starves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{AGEING, Strategy};
use super::Arbiter;
use crate::priority;

/// Serves until nothing more fits; the tickets in order.
fn serve(arbiter: &mut Arbiter) -> Vec<u64> {
    std::iter::from_fn(|| arbiter.serve().map(|(ask, _)| ask.ticket)).collect()
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// An arbiter whose whole capacity is held by `holder`.
fn held(capacity: u64, strategy: Strategy) -> Arbiter {
    let mut arbiter = Arbiter::new(capacity, strategy);
    arbiter.ask(0, &name("holder"), capacity, 0);
    assert_eq!(serve(&mut arbiter), [0]);
    arbiter
}

fn fair(weights: &[(&str, u32)]) -> Strategy {
    let weights = weights.iter().map(|&(owner, weight)| (owner.to_owned(), weight)).collect();
    Strategy::Fair { weights }
}

#[test]
fn priority_comes_before_arrival_and_arrival_decides_between_equals() {
    let mut arbiter = held(4, Strategy::Priority);
    for (ticket, level) in [(1, 0), (2, 100), (3, 0), (4, 100)] {
        arbiter.ask(ticket, &name("a"), 1, level);
    }
    arbiter.release(&name("holder"), 4);
    assert_eq!(serve(&mut arbiter), [2, 4, 1, 3]);
}

#[test]
fn a_queue_ignores_priority() {
    let mut arbiter = held(3, Strategy::Queue);
    for (ticket, level) in [(1, priority::LOW), (2, priority::CRITICAL), (3, 0)] {
        arbiter.ask(ticket, &name("a"), 1, level);
    }
    arbiter.release(&name("holder"), 3);
    assert_eq!(serve(&mut arbiter), [1, 2, 3]);
}

#[test]
fn a_background_ask_is_served_after_a_known_number_of_critical_ones() {
    let mut arbiter = held(1, Strategy::Priority);
    arbiter.ask(1, &name("background"), 1, priority::BACKGROUND);
    let bound = u64::try_from((priority::CRITICAL - priority::BACKGROUND) / AGEING).unwrap();
    let mut holder = name("holder");
    for ticket in 2..bound + 10 {
        arbiter.ask(ticket, &name("critical"), 1, priority::CRITICAL);
        arbiter.release(&holder, 1);
        let served = serve(&mut arbiter);
        if served == [1] {
            assert!(ticket > bound, "ageing came too soon");
            return;
        }
        holder = name("critical");
    }
    panic!("the background ask starved");
}

#[test]
fn a_large_ask_is_not_overtaken_by_small_ones() {
    let mut arbiter = held(4, Strategy::Queue);
    arbiter.ask(1, &name("large"), 4, 0);
    arbiter.ask(2, &name("small"), 1, 0);
    arbiter.release(&name("holder"), 3);
    assert_eq!(serve(&mut arbiter), [0u64; 0]);
    arbiter.release(&name("holder"), 1);
    assert_eq!(serve(&mut arbiter), [1]);
}

/// All owners always wait; what each gets is compared with its weight.
#[test]
fn shares_follow_the_weights_within_a_hundredth() {
    let weights = [("a", 1u32), ("b", 2), ("c", 4), ("d", 1)];
    let mut arbiter = held(3, fair(&weights));
    let amounts = [3u64, 1, 2, 1];
    let mut ticket = 0;
    let mut owners: HashMap<u64, usize> = HashMap::new();
    let mut ask = |arbiter: &mut Arbiter, owners: &mut HashMap<u64, usize>, owner: usize| {
        ticket += 1;
        owners.insert(ticket, owner);
        arbiter.ask(ticket, &name(weights[owner].0), amounts[owner], 0);
    };
    for owner in 0..4 {
        ask(&mut arbiter, &mut owners, owner);
        ask(&mut arbiter, &mut owners, owner);
    }
    arbiter.release(&name("holder"), 3);
    let mut got = [0u64; 4];
    for _ in 0..20_000 {
        let served = serve(&mut arbiter);
        assert!(!served.is_empty());
        for ticket in served {
            let owner = owners[&ticket];
            got[owner] += amounts[owner];
            arbiter.release(&name(weights[owner].0), amounts[owner]);
            ask(&mut arbiter, &mut owners, owner);
        }
    }
    let total: u64 = got.iter().sum();
    for (owner, (_, weight)) in weights.iter().enumerate() {
        let share = got[owner] as f64 / total as f64;
        let due = f64::from(*weight) / 8.0;
        assert!((share - due).abs() / due < 0.01, "{owner}: {share} instead of {due}");
    }
}

#[test]
fn whoever_was_away_does_not_come_back_with_saved_turns() {
    let mut arbiter = held(1, fair(&[]));
    let mut holder = name("holder");
    for ticket in 1..=100 {
        arbiter.ask(ticket, &name("busy"), 1, 0);
        arbiter.release(&holder, 1);
        assert_eq!(serve(&mut arbiter), [ticket]);
        holder = name("busy");
    }
    for ticket in 200..204 {
        arbiter.ask(ticket, &name("away"), 1, 0);
        arbiter.ask(ticket + 100, &name("busy"), 1, 0);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        arbiter.release(&holder, 1);
        let served = serve(&mut arbiter);
        holder = name(if served[0] < 300 { "away" } else { "busy" });
        order.extend(served);
    }
    let away = order.iter().filter(|&&ticket| ticket < 300).count();
    assert!((2..=3).contains(&away), "the turns alternate: {order:?}");
}

fn any_strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Priority),
        Just(Strategy::Queue),
        Just(fair(&[("a", 1), ("b", 3)])),
        Just(Strategy::Fair { weights: BTreeMap::new() }),
    ]
}

proptest! {
    /// Random asks, releases and withdrawals: the capacity holds, the same calls give the same order, and once no more
    /// comes in everyone is served.
    #[test]
    fn capacity_determinism_and_no_starvation(
        strategy in any_strategy(),
        capacity in 1u64..6,
        calls in proptest::collection::vec((0u8..4, 0usize..3, 1u64..6, -1000i64..1000), 1..120),
    ) {
        let names = [name("a"), name("b"), name("c")];
        let play = |shortcut: bool| {
            let mut arbiter = Arbiter::new(capacity, strategy.clone());
            let mut held: Vec<(u64, usize, u64)> = Vec::new();
            let mut asked: HashMap<u64, (usize, u64)> = HashMap::new();
            let mut order = Vec::new();
            for (ticket, &(kind, owner, amount, level)) in (1u64..).zip(&calls) {
                match kind {
                    0 | 1 => {
                        let amount = amount.min(capacity);
                        if shortcut && arbiter.grant_at_once(&names[owner], amount) {
                            held.push((ticket, owner, amount));
                            order.push(ticket);
                            continue;
                        }
                        asked.insert(ticket, (owner, amount));
                        arbiter.ask(ticket, &names[owner], amount, level);
                    }
                    2 if !held.is_empty() => {
                        let (_, owner, amount) = held.remove(owner % held.len());
                        arbiter.release(&names[owner], amount);
                    }
                    _ => {
                        let withdrawn = asked.keys().copied().min();
                        if let Some(ticket) = withdrawn {
                            assert!(arbiter.withdraw(ticket).is_some());
                            asked.remove(&ticket);
                        }
                    }
                }
                for ticket in serve(&mut arbiter) {
                    let (owner, amount) = asked.remove(&ticket).expect("asked and not served");
                    held.push((ticket, owner, amount));
                    order.push(ticket);
                }
                let used: u64 = held.iter().map(|(_, _, amount)| amount).sum();
                assert_eq!(arbiter.used, used);
                assert!(used <= capacity);
                assert_eq!(arbiter.waiting(), asked.len());
            }
            while let Some((_, owner, amount)) = held.pop() {
                arbiter.release(&names[owner], amount);
                for ticket in serve(&mut arbiter) {
                    let (owner, amount) = asked.remove(&ticket).expect("asked and not served");
                    held.push((ticket, owner, amount));
                    order.push(ticket);
                }
            }
            assert!(asked.is_empty(), "somebody starved: {asked:?}");
            assert!(arbiter.holders.is_empty());
            order
        };
        let order = play(false);
        prop_assert_eq!(&play(false), &order);
        prop_assert_eq!(&play(true), &order, "granting without the line is the same");
    }
}
