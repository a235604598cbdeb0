//! Turns of callers, without a socket.

use bytes::Bytes;

use super::{CallerId, Outgoing, RoundRobin};

const MIB: usize = 1024 * 1024;
const FREE: usize = 64 * MIB;

fn call(caller: CallerId, correlation: u64, length: usize) -> Outgoing {
    let body = Bytes::from(vec![0; length]);
    Outgoing { caller, correlation, head: Vec::new(), body, beside: false }
}

fn sent(calls: &mut RoundRobin) -> Vec<u64> {
    std::iter::from_fn(|| calls.next()).map(|call| call.correlation).collect()
}

#[test]
fn a_long_call_gives_way_to_the_short_ones_of_others() {
    let mut calls = RoundRobin::default();
    let greedy = CallerId::new();
    for correlation in 0..4 {
        assert!(calls.put(call(greedy, correlation, 4 * MIB), FREE));
    }
    for correlation in 10..30 {
        assert!(calls.put(call(CallerId::new(), correlation, 100), FREE));
    }
    // No more than one of the long ones goes, however many wait.
    let order = sent(&mut calls);
    assert_eq!(order.len(), 21);
    assert_eq!(order.last(), Some(&0), "{order:?}");
    calls.answered(0);
    assert!(calls.put(call(CallerId::new(), 30, 100), FREE));
    assert_eq!(sent(&mut calls), [30, 1]);
    assert!(!calls.passes(&call(greedy, 5, 100)), "it would pass the ones before it");
    assert!(calls.passes(&call(CallerId::new(), 6, MIB)));
}

#[test]
fn calls_of_one_caller_keep_their_order() {
    let mut calls = RoundRobin::default();
    let (one, other) = (CallerId::new(), CallerId::new());
    for correlation in 0..40 {
        let length = if correlation % 3 == 0 { 300_000 } else { 50 };
        let caller = if correlation % 2 == 0 { one } else { other };
        assert!(calls.put(call(caller, correlation, length), FREE));
    }
    let mut order = Vec::new();
    while order.len() < 40 {
        let next = sent(&mut calls);
        assert!(!next.is_empty(), "{order:?}");
        for correlation in &next {
            calls.answered(*correlation);
        }
        order.extend(next);
    }
    for parity in 0..2 {
        let own: Vec<_> = order.iter().filter(|number| **number % 2 == parity).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    assert_eq!(calls.bytes(), 0);
    assert!(calls.lines.is_empty() && calls.ring.is_empty() && calls.unanswered.is_empty());
}

#[test]
fn callers_with_as_much_to_send_get_as_much() {
    let mut calls = RoundRobin::default();
    let (wide, narrow) = (CallerId::new(), CallerId::new());
    for correlation in 0..16 {
        assert!(calls.put(call(wide, correlation, 10_000), FREE));
    }
    for correlation in 100..260 {
        assert!(calls.put(call(narrow, correlation, 1000), FREE));
    }
    let mut bytes = [0usize; 2];
    while let Some(next) = calls.next() {
        bytes[usize::from(next.correlation >= 100)] += next.length();
        if next.correlation != 15 && calls.lines.len() == 2 {
            assert!(bytes[0].abs_diff(bytes[1]) <= 2 * super::QUANTUM, "{bytes:?}");
        }
    }
    assert_eq!(bytes, [160_000, 160_000]);
}

#[test]
fn whoever_fills_the_room_leaves_a_part_to_others() {
    let mut calls = RoundRobin::default();
    let greedy = CallerId::new();
    let free = |calls: &RoundRobin| FREE - calls.bytes();
    let mut taken = 0;
    while calls.put(call(greedy, taken, MIB), free(&calls)) {
        taken += 1;
    }
    assert_eq!(taken, 48);
    let second = CallerId::new();
    while calls.put(call(second, taken, MIB), free(&calls)) {
        taken += 1;
    }
    assert_eq!(taken, 60);
    assert!(calls.put(call(CallerId::new(), 100, MIB), free(&calls)), "a third has room");
}

#[test]
fn what_is_taken_back_is_not_sent_and_the_next_one_is() {
    let mut calls = RoundRobin::default();
    let caller = CallerId::new();
    for correlation in 0..3 {
        assert!(calls.put(call(caller, correlation, 2 * MIB), FREE));
    }
    assert_eq!(sent(&mut calls), [0]);
    assert!(!calls.take_back(0), "it was sent");
    assert!(calls.take_back(1));
    assert!(!calls.take_back(1));
    calls.answered(0);
    assert_eq!(sent(&mut calls), [2]);
    calls.answered(2);
    assert!(!calls.has_turn());
    assert!(calls.lines.is_empty());
}

#[test]
fn what_the_peer_takes_beside_others_does_not_wait_behind_them() {
    let mut calls = RoundRobin::default();
    let caller = CallerId::new();
    for correlation in 0..2 {
        assert!(calls.put(call(caller, correlation, 2 * MIB), FREE));
    }
    let beside = Outgoing { beside: true, ..call(caller, 2, 2 * MIB) };
    assert!(calls.passes(&beside) && !calls.passes(&call(caller, 3, 10)));
    assert!(calls.put(beside, FREE));
    let mut order = sent(&mut calls);
    order.sort_unstable();
    assert_eq!(order, [0, 2]);
}

#[test]
fn after_all_that_waits_was_sent_at_once_nothing_is_counted_twice() {
    let mut calls = RoundRobin::default();
    let (caller, counted) = (CallerId::new(), calls.counted());
    for correlation in 0..3 {
        assert!(calls.put(call(caller, correlation, 2 * MIB), FREE));
    }
    assert_eq!(sent(&mut calls), [0]);
    assert_eq!(counted.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(calls.drain().len(), 2);
    assert_eq!(counted.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(calls.put(call(caller, 3, MIB), FREE));
    assert_eq!(sent(&mut calls), [3]);
    calls.answered(0);
    assert!(!calls.passes(&call(caller, 4, MIB)), "the third is not answered");
    calls.answered(3);
    assert!(calls.lines.is_empty() && calls.unanswered.is_empty());
}
