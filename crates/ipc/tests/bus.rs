//! Topics: who gets what, in what order, and what is dropped under which policy; captured pipes.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Duration;

use ipc::{Bus, Captured, Payload, Policy, ReceiveError, Value};
use support::watched;

fn number(number: i64) -> Payload {
    Payload::from_value(&Value::Int(number)).unwrap()
}

fn all(subscription: &ipc::Subscription) -> Vec<i64> {
    std::iter::from_fn(|| subscription.try_recv().ok())
        .map(|value| value.value().unwrap().as_int().unwrap())
        .collect()
}

#[test]
fn every_policy_drops_what_it_says_and_counts_it() {
    watched(|| {
        let bus = Bus::new().unwrap();
        for (policy, kept, dropped) in [
            (Policy::DropOldest, vec![2, 3, 4], 2),
            (Policy::Latest, vec![4], 4),
            (Policy::Reject, vec![0, 1, 2], 2),
        ] {
            let topic = bus.topic(&format!("{policy:?}"));
            let subscription = topic.subscribe(policy, 3);
            let told: u64 = (0..5).map(|value| topic.publish(&number(value))).sum();
            assert_eq!(all(&subscription), kept, "{policy:?}");
            assert_eq!((subscription.dropped(), told), (dropped, dropped), "{policy:?}");
        }
    });
}

#[test]
fn a_blocking_subscription_holds_its_publisher_back_and_loses_nothing() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let topic = bus.topic("t");
        let subscription = topic.subscribe(Policy::Block, 2);
        let publisher = {
            let topic = topic.clone();
            std::thread::spawn(move || {
                (0..1000).map(|value| topic.publish(&number(value))).sum::<u64>()
            })
        };
        for value in 0..1000 {
            assert_eq!(subscription.recv(Some(Duration::from_secs(20))), Ok(number(value)));
        }
        assert_eq!(publisher.join().unwrap(), 0);
        assert_eq!(subscription.dropped(), 0);
    });
}

#[test]
fn a_dropped_subscription_frees_a_publisher_that_waits_for_it() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let topic = bus.topic("t");
        let subscription = topic.subscribe(Policy::Block, 1);
        topic.publish(&number(1));
        let publisher = {
            let topic = topic.clone();
            std::thread::spawn(move || topic.publish(&number(2)))
        };
        std::thread::sleep(Duration::from_millis(20));
        drop(subscription);
        publisher.join().unwrap();
        assert_eq!(topic.subscribers(), 0);
    });
}

#[test]
fn a_waiting_publisher_is_asked_whether_to_go_on() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let topic = bus.topic("t");
        let subscription = topic.subscribe(Policy::Block, 1);
        let asked = std::cell::Cell::new(0);
        let poll = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        assert_eq!(topic.publish_polling(&number(1), &poll), 0);
        assert_eq!(topic.publish_polling(&number(2), &poll), 1);
        assert_eq!((asked.get(), all(&subscription)), (3, vec![2]));
    });
}

#[test]
fn what_comes_from_a_lane_never_waits() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let topic = bus.topic("t");
        let subscription = topic.subscribe(Policy::Block, 2);
        for value in 0..5 {
            topic.publish_from_lane(&number(value));
        }
        assert_eq!(all(&subscription), [3, 4]);
        assert_eq!(subscription.dropped(), 3);
    });
}

#[test]
fn a_subscription_ends_with_the_bus_after_what_it_holds() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let topic = bus.topic("t");
        let subscription = topic.subscribe(Policy::Block, 2);
        assert_eq!(subscription.recv(Some(Duration::ZERO)), Err(ReceiveError::TimedOut));
        topic.publish(&number(1));
        drop(bus);
        assert_eq!(subscription.recv(None), Ok(number(1)));
        assert_eq!(subscription.recv(None), Err(ReceiveError::Closed));
    });
}

#[test]
fn a_captured_pipe_is_told_line_by_line_to_its_end() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        let (sender, lines) = mpsc::channel();
        bus.reader()
            .capture(reading, move |captured| {
                let line = match captured {
                    Captured::Line(line) => Some(line.to_vec()),
                    Captured::End => None,
                };
                sender.send(line).unwrap();
            })
            .unwrap();
        let write = |writing: &OwnedFd, bytes: &[u8]| {
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(writing, rest).unwrap()..];
            }
        };
        let next = || lines.recv_timeout(Duration::from_secs(20)).unwrap();
        write(&writing, b"one\ntw");
        assert_eq!(next(), Some(b"one".to_vec()));
        write(&writing, b"o\n\n\xff");
        assert_eq!(next(), Some(b"two".to_vec()));
        assert_eq!(next(), Some(Vec::new()));
        // A line without an end is told in bounded pieces.
        write(&writing, &vec![b'x'; 200_000]);
        drop(writing);
        let mut total = 0;
        while let Some(piece) = next() {
            assert!(piece.len() <= 64 * 1024 + 8192, "{}", piece.len());
            total += piece.len();
        }
        assert_eq!(total, 200_001);
    });
}

#[test]
fn a_watched_descriptor_is_told_once() {
    watched(|| {
        let bus = Bus::new().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        let flags = rustix::process::PidfdFlags::empty();
        let pidfd = rustix::process::pidfd_open(process, flags).unwrap();
        let (sender, exited) = mpsc::channel();
        bus.reader().watch(pidfd, move || sender.send(()).unwrap()).unwrap();
        exited.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_loan_becomes_bytes() {
    let bus = Bus::new().unwrap();
    let mut loan = bus.loan(4);
    loan[0] = 7;
    assert_eq!(loan.into_bytes().as_ref(), [7, 0, 0, 0]);
}
