//! The arbitration engine: waiting, reasons, the audit, and many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pit::arbitration_engine::{ArbitrationEngine, Outcome, Request, Strategy};

const LONG: Option<Duration> = Some(Duration::from_secs(20));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn within<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    finished.recv_timeout(Duration::from_secs(60)).expect("it hung or panicked")
}

fn gpu(owner: &str, amount: u64, timeout: Option<Duration>) -> Request<'_> {
    Request { resource: "gpu", owner, amount, priority: 0, timeout }
}

fn engine(capacity: u64, strategy: Strategy) -> Arc<ArbitrationEngine> {
    let engine = ArbitrationEngine::new();
    engine.define("gpu", capacity, strategy).expect("a resource");
    engine
}

fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_answer_has_its_reason() {
    let engine = engine(4, Strategy::Priority);
    let first = engine.request(gpu("train", 3, NOW)).unwrap();
    assert_eq!(first.outcome(), Outcome::Granted);
    assert_eq!(first.reason().to_string(), "3 of 4 free were taken");
    let denied = engine.request(gpu("huge", 5, LONG)).unwrap();
    assert_eq!(denied.outcome(), Outcome::Denied);
    assert_eq!(denied.reason().to_string(), "5 wanted, there are only 4");
    let deferred = engine.request(gpu("infer", 2, NOW)).unwrap();
    assert_eq!(deferred.outcome(), Outcome::Deferred);
    assert_eq!(deferred.reason().to_string(), "2 wanted, 1 of 4 free");
    deferred.release();
    first.release();
    first.release();
    assert_eq!(engine.status()[0].used, 0, "released once, whatever is called twice");
    drop(first);
    let words: Vec<_> = engine
        .audit()
        .iter()
        .map(|entry| {
            format!(
                "{} {} {}: {}",
                entry.sequence,
                entry.owner,
                entry.decision.as_str(),
                entry.reason
            )
        })
        .collect();
    assert_eq!(
        words,
        [
            "1 train granted: 3 of 4 free were taken",
            "2 huge denied: 5 wanted, there are only 4",
            "3 infer deferred: 2 wanted, 1 of 4 free",
            "4 train released: given back",
        ]
    );
}

#[test]
fn a_newcomer_does_not_pass_who_stands_first() {
    within(|| {
        let engine = engine(2, Strategy::Queue);
        let held = engine.request(gpu("holder", 1, NOW)).unwrap();
        let waiting = Arc::clone(&engine);
        let thread = thread::spawn(move || waiting.request(gpu("large", 2, LONG)).unwrap());
        wait_for(|| engine.status()[0].waiting == 1);
        let small = engine.request(gpu("small", 1, NOW)).unwrap();
        assert_eq!(small.reason().to_string(), "`large` stands before it");
        held.release();
        let large = thread.join().unwrap();
        assert!(large.is_granted());
        assert_eq!(large.reason().to_string(), "its turn came after 0 grants to others");
        assert_eq!(engine.status()[0].holders, [(Arc::from("large"), 2)]);
    });
}

#[test]
fn a_wait_that_ends_lets_those_behind_go_on() {
    within(|| {
        let engine = engine(2, Strategy::Queue);
        let _held = engine.request(gpu("holder", 1, NOW)).unwrap();
        let (large, small) = (Arc::clone(&engine), Arc::clone(&engine));
        let large = thread::spawn(move || {
            large.request(gpu("large", 2, Some(Duration::from_millis(100)))).unwrap().outcome()
        });
        wait_for(|| engine.status()[0].waiting == 1);
        let small = thread::spawn(move || small.request(gpu("small", 1, LONG)).unwrap().outcome());
        assert_eq!(large.join().unwrap(), Outcome::Deferred);
        assert_eq!(small.join().unwrap(), Outcome::Granted);
        let deferred = engine.audit().into_iter().find(|entry| &*entry.owner == "large").unwrap();
        assert!(deferred.waited >= Duration::from_millis(100));
    });
}

#[test]
fn closing_ends_the_waits() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let held = engine.request(gpu("holder", 1, NOW)).unwrap();
        let waiting = Arc::clone(&engine);
        let thread = thread::spawn(move || waiting.request(gpu("late", 1, None)).map(drop));
        wait_for(|| engine.status()[0].waiting == 1);
        engine.close();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "`arbitration-engine` is stopped");
        drop(held);
        assert_eq!(engine.status()[0].used, 0);
        assert!(engine.request(gpu("holder", 1, NOW)).is_err());
    });
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let engine = engine(1, Strategy::Queue);
    assert!(engine.define("gpu", 1, Strategy::Queue).is_err());
    assert!(engine.define("none", 0, Strategy::Queue).is_err());
    assert!(engine.request(gpu("a", 0, NOW)).is_err());
    let unknown = Request { resource: "cpu", ..gpu("a", 1, NOW) };
    let error = engine.request(unknown).unwrap_err();
    assert_eq!(error.to_string(), "there is no resource `cpu`");
    for word in ["priority", "fair", "queue"] {
        assert_eq!(Strategy::parse(word).unwrap().as_str(), word);
    }
    assert!(Strategy::parse("best").is_err());
}

#[test]
fn the_audit_keeps_the_newest_entries_only() {
    let engine = ArbitrationEngine::with_audit(3);
    engine.define("gpu", 1, Strategy::Queue).unwrap();
    for _ in 0..5 {
        drop(engine.request(gpu("a", 1, NOW)).unwrap());
    }
    let sequences: Vec<u64> = engine.audit().iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [8, 9, 10]);
}

/// Threads of three owners, always waiting: each owner's share of the grants is within a tenth of its weight's.
#[test]
fn real_threads_get_fair_shares_and_the_capacity_holds() {
    within(|| {
        let weights = BTreeMap::from([("b".to_owned(), 2), ("c".to_owned(), 3)]);
        let engine = engine(2, Strategy::Fair { weights });
        let (used, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = ["a", "b", "c"]
            .into_iter()
            // More threads than the capacity for each owner, so that each always has somebody waiting.
            .flat_map(|owner| [owner; 6])
            .map(|owner| {
                let (engine, used) = (Arc::clone(&engine), Arc::clone(&used));
                let total = Arc::clone(&total);
                thread::spawn(move || {
                    let mut mine = 0u64;
                    while total.load(Ordering::SeqCst) < 6_000 {
                        let grant = engine.request(gpu(owner, 1, LONG)).unwrap();
                        assert!(grant.is_granted());
                        assert!(used.fetch_add(1, Ordering::SeqCst) < 2);
                        if total.fetch_add(1, Ordering::SeqCst) < 6_000 {
                            mine += 1;
                        }
                        // Long enough that the others are back in the line.
                        thread::sleep(Duration::from_micros(200));
                        used.fetch_sub(1, Ordering::SeqCst);
                        grant.release();
                    }
                    (owner, mine)
                })
            })
            .collect();
        let mut got = BTreeMap::new();
        for thread in threads {
            let (owner, mine) = thread.join().unwrap();
            *got.entry(owner).or_insert(0u64) += mine;
        }
        for (owner, weight) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
            let share = got[owner] as f64 / 6_000.0;
            let due = weight / 6.0;
            assert!((share - due).abs() / due < 0.1, "{owner} got {share}, due {due}");
        }
        assert_eq!(engine.status()[0].used, 0);
    });
}

#[test]
fn a_wait_that_is_interrupted_leaves_the_line_and_lets_the_next_go_on() {
    within(|| {
        let engine = engine(2, Strategy::Priority);
        let _held = engine.request(gpu("ann", 1, NOW)).unwrap();
        let asked = AtomicU64::new(0);
        let interrupted = || {
            // The lock is free while it asks: this would hang otherwise.
            assert_eq!(engine.status()[0].waiting, 1);
            asked.fetch_add(1, Ordering::SeqCst) == 2
        };
        let error = engine.request_polling(gpu("bob", 2, None), Some(&interrupted)).unwrap_err();
        assert_eq!(error.to_string(), "the wait for resource `gpu` was interrupted");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
        assert_eq!(engine.status()[0].waiting, 0);
        // Nobody stands in the way of what fits.
        assert!(engine.request(gpu("cid", 1, NOW)).unwrap().is_granted());
        let decisions: Vec<_> =
            engine.audit().iter().map(|entry| entry.decision.as_str()).collect();
        assert_eq!(decisions, ["granted", "deferred", "granted", "released"]);
    });
}
