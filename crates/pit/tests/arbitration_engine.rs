//! The arbitration engine: waiting, reasons, the audit, and many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pit::arbitration_engine::{ArbitrationEngine, Decision, Outcome, Request, Strategy};

const LONG: Option<Duration> = Some(Duration::from_secs(20));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn within<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    finished.recv_timeout(Duration::from_secs(60)).expect("it hung or panicked")
}

fn gpu(owner: &str, amount: u64, timeout: Option<Duration>) -> Request<'_> {
    Request { amount, timeout, ..Request::new("gpu", owner) }
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

/// The same, by this thread alone.
fn mine<'a>(resource: &'a str, owner: &'a str, timeout: Option<Duration>) -> Request<'a> {
    Request { timeout, thread: Some(thread::current().id()), ..Request::new(resource, owner) }
}

#[test]
fn threads_that_hold_what_each_other_wants_are_told_as_a_ring() {
    within(|| {
        let engine = ArbitrationEngine::new();
        for name in ["x", "y", "z"] {
            engine.define(name, 1, Strategy::Priority).unwrap();
        }
        let ring = [("a", "x", "y"), ("b", "y", "z"), ("c", "z", "x")];
        let barrier = Arc::new(std::sync::Barrier::new(3));
        let threads: Vec<_> = ring
            .into_iter()
            .map(|(owner, held, wanted)| {
                let (engine, barrier) = (Arc::clone(&engine), Arc::clone(&barrier));
                thread::spawn(move || {
                    let _held = engine.request(mine(held, owner, NOW)).unwrap();
                    barrier.wait();
                    // For ever: without the ring told this would hang.
                    let grant = engine.request(mine(wanted, owner, None)).unwrap();
                    (grant.is_granted(), grant.reason().to_string())
                })
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let refused: Vec<_> = answers.iter().filter(|(granted, _)| !granted).collect();
        assert_eq!(
            refused.len(),
            1,
            "who closed the ring goes back, the others go on: {answers:?}"
        );
        let reason = &refused[0].1;
        assert!(reason.starts_with("deadlock: "), "{reason}");
        for (owner, _, wanted) in ring {
            assert!(reason.contains(&format!("waits for `{wanted}`, held by")), "{reason}");
            assert!(reason.contains(&format!("`{owner}`")), "{reason}");
        }
        let entry = engine.audit().into_iter().find(|entry| entry.decision == Decision::Deferred);
        assert_eq!(&entry.unwrap().reason.to_string(), reason);
    });
}

/// Both want a second piece of the same thing, of which there are two.
#[test]
fn a_ring_over_one_resource_is_one_too() {
    within(|| {
        let engine = engine(2, Strategy::Queue);
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let threads = ["a", "b"].map(|owner| {
            let (engine, barrier) = (Arc::clone(&engine), Arc::clone(&barrier));
            thread::spawn(move || {
                let _held = engine.request(mine("gpu", owner, NOW)).unwrap();
                barrier.wait();
                engine.request(mine("gpu", owner, None)).unwrap().is_granted()
            })
        });
        let granted = threads.map(|thread| thread.join().unwrap());
        assert_eq!(granted.iter().filter(|granted| **granted).count(), 1);
    });
}

#[test]
fn threads_of_one_owner_that_work_are_no_deadlock() {
    within(|| {
        let engine = ArbitrationEngine::new();
        engine.define("x", 1, Strategy::Priority).unwrap();
        engine.define("y", 1, Strategy::Priority).unwrap();
        // `a` and `b` each hold one by this thread, which does not wait.
        let held = engine.request(mine("x", "a", NOW)).unwrap();
        let other = engine.request(mine("y", "b", NOW)).unwrap();
        let waits = |resource: &'static str,
                     owner: &'static str,
                     engine: &Arc<ArbitrationEngine>| {
            let engine = Arc::clone(engine);
            thread::spawn(move || engine.request(mine(resource, owner, LONG)).unwrap().is_granted())
        };
        let first = waits("y", "a", &engine);
        wait_for(|| engine.status()[1].waiting == 1);
        let second = waits("x", "b", &engine);
        wait_for(|| engine.status()[0].waiting == 1);
        // It may be one, and is told; the waits go on.
        let told = engine.audit().into_iter().find(|entry| entry.decision == Decision::Deadlock);
        let expected = "deadlock: `b` waits for `x`, held by `a`, which waits for `y`, held by `b`";
        assert_eq!(told.unwrap().reason.to_string(), expected);
        drop((held, other));
        assert!(first.join().unwrap() && second.join().unwrap());
    });
}

#[test]
fn a_thread_that_waits_for_what_it_holds_itself_is_told() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let _held = engine.request(mine("gpu", "a", NOW)).unwrap();
        let grant = engine.request(mine("gpu", "a", None)).unwrap();
        let reason = grant.reason().to_string();
        assert_eq!(reason, "deadlock: `a` waits for `gpu`, held by `a`");
        let timed = engine.request(mine("gpu", "b", Some(Duration::from_millis(20)))).unwrap();
        assert_eq!(timed.reason().to_string(), "1 wanted, 0 of 1 free");
    });
}

#[test]
fn what_is_on_lease_comes_back_by_itself_and_goes_to_who_waits() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let lease = |span| Request { lease: Some(span), ..Request::new("gpu", "a") };
        let grant = engine.request(lease(Duration::from_millis(30))).unwrap();
        assert!(grant.is_held());
        assert!(engine.request(gpu("b", 1, LONG)).unwrap().is_granted());
        assert!(!grant.is_held());
        assert!(grant.renew(None).is_err(), "it is another's");
        grant.release();
        let decisions: Vec<_> = engine.audit().iter().map(|entry| entry.decision).collect();
        let expected =
            [Decision::Granted, Decision::Expired, Decision::Granted, Decision::Released];
        assert_eq!(decisions, expected);
        assert_eq!(engine.audit()[1].reason.to_string(), "its lease of 30ms was over");
        // Renewed, it stays; without a lease from then on, for ever.
        let grant = engine.request(lease(Duration::from_millis(30))).unwrap();
        grant.renew(Some(Duration::from_secs(600))).unwrap();
        thread::sleep(Duration::from_millis(60));
        assert!(grant.is_held());
        assert!(!engine.request(gpu("b", 1, NOW)).unwrap().is_granted());
    });
}

/// What a waiter is granted is on its lease from then on, and a lease is no reason for a deadlock.
#[test]
fn a_lease_that_began_after_a_wait_ends_too() {
    within(|| {
        let engine = engine(1, Strategy::Queue);
        let held = engine.request(gpu("a", 1, NOW)).unwrap();
        let waiting = {
            let engine = Arc::clone(&engine);
            let lease = Some(Duration::from_millis(20));
            thread::spawn(move || {
                let grant = engine.request(Request { lease, ..gpu("b", 1, LONG) }).unwrap();
                (grant.is_granted(), engine.request(gpu("b", 1, LONG)).unwrap().is_granted())
            })
        };
        wait_for(|| engine.status()[0].waiting == 1);
        drop(held);
        assert_eq!(waiting.join().unwrap(), (true, true));
    });
}

#[test]
fn all_that_an_owner_holds_is_given_back_at_once() {
    let engine = engine(3, Strategy::Priority);
    engine.define("disk", 1, Strategy::Queue).unwrap();
    let grants = [
        engine.request(gpu("a", 2, NOW)).unwrap(),
        engine.request(Request::new("disk", "a")).unwrap(),
        engine.request(gpu("b", 1, NOW)).unwrap(),
    ];
    assert_eq!(engine.release_owner("a"), 2);
    assert_eq!(engine.release_owner("a"), 0);
    assert_eq!(
        grants.each_ref().map(pit::arbitration_engine::Grant::is_held),
        [false, false, true]
    );
    drop(grants);
    assert!(
        engine.status().iter().all(|resource| resource.used == 0),
        "nothing is given back twice"
    );
}

#[test]
fn a_request_that_waits_without_a_thread_is_answered_exactly_once() {
    const MANY: u64 = 20_000;
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let held = engine.request(gpu("first", 1, NOW)).unwrap();
        let (tell, told) = mpsc::channel();
        let mut places = Vec::new();
        for number in 0..MANY {
            let tell = tell.clone();
            // Each is given back where it is answered, which answers the next: as deep as the line is long.
            let answered = move |outcome: pit::PitResult<pit::arbitration_engine::Grant>| {
                let outcome = outcome.map(|grant| grant.outcome());
                assert_ne!(number % 1000, 1, "one that panics costs none of the others");
                tell.send((number, outcome.map_err(|error| component::Hint::code(&error))))
                    .unwrap();
            };
            let place = engine.request_later(gpu("later", 1, LONG), Box::new(answered)).unwrap();
            places.push(place.expect("it is taken"));
        }
        assert_eq!(engine.status()[0].waiting as u64, MANY);
        places[2].time_out();
        places[4].withdraw();
        held.release();
        for place in &places {
            place.time_out();
            place.withdraw();
        }
        drop(tell);
        let outcomes: BTreeMap<_, _> = told.iter().collect();
        assert_eq!(outcomes.len() as u64, MANY - MANY / 1000);
        let granted = outcomes.values().filter(|outcome| **outcome == Ok(Outcome::Granted));
        assert_eq!(granted.count(), outcomes.len() - 2);
        assert_eq!(outcomes[&2], Ok(Outcome::Deferred));
        assert_eq!(outcomes[&4], Err(component::Code::INTERRUPTED));
        assert_eq!((engine.status()[0].used, engine.status()[0].waiting), (0, 0));
    });
}

#[test]
fn what_waits_without_a_thread_ends_with_the_engine_and_can_be_answered_at_once() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let (tell, told) = mpsc::channel();
        let ask = |amount| {
            let tell = tell.clone();
            let answered = Box::new(move |outcome| tell.send(outcome).unwrap());
            engine.request_later(gpu("later", amount, LONG), answered).unwrap()
        };
        assert!(ask(1).is_none());
        assert!(ask(2).is_none());
        let held = told.recv().unwrap().unwrap();
        assert_eq!(told.recv().unwrap().unwrap().outcome(), Outcome::Denied);
        assert!(ask(1).is_some());
        engine.close();
        let error = told.recv().unwrap().unwrap_err();
        assert_eq!(component::Hint::code(&error), component::Code::STOPPED);
        held.release();
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn names_that_the_audit_keeps_are_short() {
    let engine = engine(1, Strategy::Priority);
    let long = "o".repeat(1025);
    assert!(engine.request(gpu(&long, 1, NOW)).is_err());
    assert!(engine.define(&long, 1, Strategy::Queue).is_err());
    assert!(engine.request(gpu(&long[1..], 1, NOW)).unwrap().is_granted());
}

#[test]
fn what_waits_without_a_thread_gets_what_comes_back_at_the_end_of_a_lease() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let span = Duration::from_millis(30);
        let lease =
            |owner| Request { lease: Some(span), timeout: None, ..Request::new("gpu", owner) };
        let _first = engine.request(lease("first")).unwrap();
        let (tell, told) = mpsc::channel();
        // The second lease begins when both wait already.
        let waits = ["second", "third"].map(|owner| {
            let tell = tell.clone();
            let answered = move |outcome: pit::PitResult<pit::arbitration_engine::Grant>| {
                tell.send((owner, outcome.unwrap())).unwrap();
            };
            engine.request_later(lease(owner), Box::new(answered)).unwrap().unwrap()
        });
        waits[0].keep_time_by(|at, look| {
            thread::spawn(move || {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                look();
            });
            Box::new(|| ())
        });
        for owner in ["second", "third"] {
            let (of, grant) = told.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!((of, grant.is_granted()), (owner, true));
            // Not given back: only its lease ends it.
            std::mem::forget(grant);
        }
    });
}

/// Alarms that are set and neither rang nor were taken back.
#[test]
fn an_alarm_for_a_lease_is_taken_back_when_an_earlier_one_is_set_or_nobody_waits() {
    within(|| {
        let engine = engine(1, Strategy::Priority);
        let set = Arc::new(AtomicUsize::new(0));
        let kept = Arc::clone(&set);
        let lease = |owner, seconds| Request {
            lease: Some(Duration::from_secs(seconds)),
            timeout: None,
            ..Request::new("gpu", owner)
        };
        let mut held = Some(engine.request(lease("first", 5000)).unwrap());
        for number in 0..100_u64 {
            let (tell, told) = mpsc::channel();
            let answered = Box::new(move |outcome| tell.send(outcome).unwrap());
            // Each lease ends earlier than the one before.
            let wait = engine.request_later(lease("next", 4000 - number), answered).unwrap();
            let kept = Arc::clone(&kept);
            wait.unwrap().keep_time_by(move |_, _| {
                kept.fetch_add(1, Ordering::SeqCst);
                let kept = Arc::clone(&kept);
                Box::new(move || {
                    kept.fetch_sub(1, Ordering::SeqCst);
                })
            });
            assert_eq!(set.load(Ordering::SeqCst), 1, "somebody waits");
            if number % 2 == 0 {
                drop(held.take());
                held = Some(told.recv().unwrap().unwrap());
            } else {
                engine
                    .request_later(lease("more", 10), Box::new(|_| ()))
                    .unwrap()
                    .unwrap()
                    .withdraw();
                held.as_ref().unwrap().renew(Some(Duration::from_secs(3000 - number))).unwrap();
                assert_eq!(set.load(Ordering::SeqCst), 1, "of the earlier end alone");
                drop(held.take());
                held = Some(told.recv().unwrap().unwrap());
            }
            assert_eq!(set.load(Ordering::SeqCst), 0, "nobody waits any more");
        }
    });
}

#[test]
fn owners_that_wait_for_each_other_without_a_thread_are_told_and_go_on_waiting() {
    within(|| {
        let engine = ArbitrationEngine::new();
        engine.define("x", 1, Strategy::Priority).unwrap();
        engine.define("y", 1, Strategy::Priority).unwrap();
        let _held = engine.request(Request::new("x", "a")).unwrap();
        let other = engine.request(Request::new("y", "b")).unwrap();
        let (tell, told) = mpsc::channel();
        let wait = |resource, owner| {
            let tell = tell.clone();
            let answered = Box::new(move |outcome| tell.send(outcome).unwrap());
            let request = Request { timeout: None, ..Request::new(resource, owner) };
            engine.request_later(request, answered).unwrap().unwrap()
        };
        let (_first, second) = (wait("y", "a"), wait("x", "b"));
        let ring = "deadlock: `b` waits for `x`, held by `a`, which waits for `y`, held by `b`";
        let entry = engine.audit().into_iter().find(|entry| entry.decision == Decision::Deadlock);
        assert_eq!(entry.unwrap().reason.to_string(), ring);
        assert!(told.try_recv().is_err(), "an owner may have more than one thread");
        second.time_out();
        let late = told.recv().unwrap().unwrap();
        assert_eq!(
            (late.outcome(), late.reason().to_string()),
            (Outcome::Deferred, ring.to_owned())
        );
        drop(other);
        assert!(told.recv().unwrap().unwrap().is_granted());
    });
}
