//! The pool manager: reuse, limits, order, eviction, and what goes wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use component::{Code, Failure, Hint};
use pit::PitError;
use pit::pool_manager::{
    Check, Factory, Lease, PoolManager, PoolManagerOptions, PoolOptions, Worker,
};

const LONG: Option<Duration> = Some(Duration::from_secs(20));
const NOW: Option<Duration> = Some(Duration::ZERO);

/// Runs the body on a thread and fails when it hangs.
fn within<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    finished.recv_timeout(Duration::from_secs(60)).expect("it hung or panicked")
}

/// Workers are numbers in the order of their making.
fn counting() -> (Factory, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let factory: Factory =
        Arc::new(move || Ok(Box::new(count.fetch_add(1, Ordering::SeqCst)) as Worker));
    (factory, made)
}

fn pool(size: usize, memory: u64) -> PoolOptions {
    PoolOptions { size, memory, ..PoolOptions::default() }
}

fn manager(memory: Option<u64>) -> Arc<PoolManager> {
    PoolManager::new(PoolManagerOptions { memory })
}

fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_worker_that_was_used_last_is_lent_first() {
    let manager = manager(None);
    let (factory, made) = counting();
    manager.register("model", factory, pool(2, 0)).unwrap();
    let first = manager.lease("model", NOW).unwrap();
    let second = manager.lease("model", NOW).unwrap();
    assert_eq!((first.get::<usize>(), second.get::<usize>()), (Some(&0), Some(&1)));
    assert!(first.get::<String>().is_none());
    drop(second);
    drop(first);
    let warm = manager.lease("model", NOW).unwrap();
    assert_eq!(warm.get::<usize>(), Some(&0));
    assert_eq!(made.load(Ordering::SeqCst), 2);
    let stats = manager.stats("model").unwrap();
    assert_eq!((stats.hits, stats.misses, stats.idle, stats.leased), (1, 2, 1, 1));
}

#[test]
fn a_full_pool_times_out_and_says_so() {
    let manager = manager(None);
    manager.register("model", counting().0, pool(1, 0)).unwrap();
    let _held = manager.lease("model", NOW).unwrap();
    let began = Instant::now();
    let error = manager.lease("model", Some(Duration::from_millis(30))).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(error.code(), Code::CALL_TIMEOUT);
    assert_eq!(manager.stats("model").unwrap().timeouts, 1);
    assert_eq!(manager.stats("model").unwrap().waiting, 0);
}

#[test]
fn whoever_asked_first_is_served_first() {
    within(|| {
        let manager = manager(None);
        manager.register("model", counting().0, pool(1, 0)).unwrap();
        let held = manager.lease("model", NOW).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..5)
            .map(|number| {
                let (manager_here, order) = (Arc::clone(&manager), Arc::clone(&order));
                let thread = thread::spawn(move || {
                    let _lease = manager_here.lease("model", LONG).unwrap();
                    order.lock().unwrap().push(number);
                });
                wait_for(|| manager.stats("model").unwrap().waiting == number + 1);
                thread
            })
            .collect();
        drop(held);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn the_idle_worker_that_was_used_longest_ago_makes_room() {
    let manager = manager(Some(30));
    for name in ["old", "new", "big"] {
        manager.register(name, counting().0, pool(4, 10)).unwrap();
    }
    drop(manager.lease("old", NOW).unwrap());
    drop(manager.lease("new", NOW).unwrap());
    let leased = manager.lease("big", NOW).unwrap();
    let again = manager.lease("big", NOW).unwrap();
    assert_eq!(manager.stats("old").unwrap().evicted, 1);
    assert_eq!(manager.stats("new").unwrap().evicted, 0);
    assert_eq!(manager.memory(), 30);
    let third = manager.lease("big", NOW).unwrap();
    let full = manager.lease("big", NOW).unwrap_err();
    assert!(matches!(full, PitError::TimedOut { .. }), "leased workers are never evicted");
    drop((leased, again, third));
    assert_eq!(manager.memory(), 30);
}

/// Two threads keep small workers busy all the time; a big one still gets its memory.
#[test]
fn a_big_worker_does_not_starve_behind_small_ones() {
    within(|| {
        let manager = manager(Some(10));
        manager.register("small", counting().0, pool(10, 5)).unwrap();
        manager.register("big", counting().0, pool(1, 10)).unwrap();
        let (stop, stopped) = mpsc::channel::<()>();
        let stopped = Arc::new(Mutex::new(stopped));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (manager, stopped) = (Arc::clone(&manager), Arc::clone(&stopped));
                thread::spawn(move || {
                    while stopped.lock().unwrap().try_recv() == Err(mpsc::TryRecvError::Empty) {
                        drop(manager.lease("small", LONG).unwrap());
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            drop(manager.lease("big", LONG).unwrap());
        }
        drop(stop);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(manager.memory() <= 10);
    });
}

#[test]
fn a_broken_worker_is_dropped_and_its_place_is_free() {
    let manager = manager(Some(10));
    let (factory, made) = counting();
    manager.register("model", factory, pool(1, 10)).unwrap();
    let mut lease = manager.lease("model", NOW).unwrap();
    lease.mark_broken();
    drop(lease);
    assert_eq!(manager.memory(), 0);
    assert_eq!(manager.lease("model", NOW).unwrap().get::<usize>(), Some(&1));
    let leased = Arc::clone(&manager);
    let panicked = thread::spawn(move || {
        let _lease = leased.lease("model", NOW).unwrap();
        panic!("while it is leased");
    });
    panicked.join().unwrap_err();
    assert_eq!(manager.stats("model").unwrap().broken, 2);
    assert_eq!(manager.stats("model").unwrap().idle, 0);
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

#[test]
fn a_factory_that_fails_or_panics_gives_its_place_back() {
    let manager = manager(Some(10));
    let calls = AtomicUsize::new(0);
    let factory: Factory = Arc::new(move || match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Failure::new(Code::START_FAILED, "no weights")),
        1 => panic!("out of cheese"),
        _ => Ok(Box::new(7usize) as Worker),
    });
    manager.register("model", factory, pool(1, 10)).unwrap();
    let error = manager.lease("model", NOW).unwrap_err();
    assert_eq!(error.to_string(), "the factory of pool `model` failed");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no weights");
    let error = manager.lease("model", NOW).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "it panicked: out of cheese");
    assert_eq!(manager.memory(), 0);
    assert_eq!(manager.lease("model", NOW).unwrap().get::<usize>(), Some(&7));
}

/// The factory and the worker's destructor use the manager themselves: under the lock that would hang.
#[test]
fn factories_and_destructors_run_outside_the_lock() {
    struct Nosy(Arc<PoolManager>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.0.stats("other").expect("the manager answers");
        }
    }
    within(|| {
        let manager = manager(Some(10));
        manager.register("other", counting().0, pool(1, 10)).unwrap();
        let inner = Arc::clone(&manager);
        let factory: Factory = Arc::new(move || {
            inner.stats("other").expect("the manager answers");
            Ok(Box::new(Nosy(Arc::clone(&inner))) as Worker)
        });
        manager.register("nosy", factory, pool(1, 10)).unwrap();
        drop(manager.lease("nosy", NOW).unwrap());
        drop(manager.lease("other", NOW).unwrap());
        assert_eq!(manager.stats("nosy").unwrap().evicted, 1);
        let mut lease = manager.lease("nosy", NOW).unwrap();
        lease.mark_broken();
        drop(lease);
        drop(manager.lease("nosy", NOW).unwrap());
        manager.close();
    });
}

#[test]
fn observed_use_says_what_to_prewarm() {
    let manager = manager(Some(20));
    manager.register("model", counting().0, pool(4, 10)).unwrap();
    assert_eq!(manager.cold(), []);
    let mut leases = [manager.lease("model", NOW).unwrap(), manager.lease("model", NOW).unwrap()];
    assert_eq!(manager.cold(), []);
    leases.iter_mut().for_each(Lease::mark_broken);
    drop(leases);
    assert_eq!(manager.cold(), [(Arc::from("model"), 2)]);
    assert!(manager.prewarm("model").unwrap());
    assert!(manager.prewarm("model").unwrap());
    assert!(!manager.prewarm("model").unwrap(), "there is no memory for a third");
    let hits = manager.stats("model").unwrap().hits;
    drop(manager.lease("model", NOW).unwrap());
    assert_eq!(manager.stats("model").unwrap().hits, hits + 1);
}

#[test]
fn closing_ends_the_waits() {
    within(|| {
        let manager = manager(None);
        manager.register("model", counting().0, pool(1, 5)).unwrap();
        let held = manager.lease("model", NOW).unwrap();
        let waiting = Arc::clone(&manager);
        let thread = thread::spawn(move || waiting.lease("model", None).map(drop));
        wait_for(|| manager.stats("model").unwrap().waiting == 1);
        manager.close();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "`pool-manager` is stopped");
        drop(held);
        assert_eq!(manager.memory(), 0);
        assert!(manager.lease("model", NOW).is_err());
    });
}

#[test]
fn pools_that_cannot_work_are_refused() {
    let manager = manager(Some(10));
    assert!(manager.register("none", counting().0, pool(0, 0)).is_err());
    let error = manager.register("huge", counting().0, pool(1, 11)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory for one worker of pool `huge` is full: 11 wanted, 10 allowed"
    );
    manager.register("one", counting().0, pool(1, 0)).unwrap();
    assert!(manager.register("one", counting().0, pool(1, 0)).is_err());
    assert!(manager.lease("two", NOW).is_err());
}

/// Eight threads, three pools, a tight cap: no worker is ever lent twice at once, and the cap holds.
#[test]
fn many_threads_never_share_a_worker() {
    within(|| {
        let manager = manager(Some(5));
        let out = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let number = Arc::new(AtomicUsize::new(0));
        for name in ["a", "b", "c"] {
            let number = Arc::clone(&number);
            let factory: Factory =
                Arc::new(move || Ok(Box::new(number.fetch_add(1, Ordering::SeqCst)) as Worker));
            manager.register(name, factory, pool(3, 1)).unwrap();
        }
        let threads: Vec<_> = (0..8usize)
            .map(|thread| {
                let (manager, out) = (Arc::clone(&manager), Arc::clone(&out));
                thread::spawn(move || {
                    for turn in 0..2_000 {
                        let name = ["a", "b", "c"][(thread + turn) % 3];
                        let mut lease = manager.lease(name, LONG).unwrap();
                        let worker = *lease.get::<usize>().unwrap();
                        assert!(out.lock().unwrap().insert(worker), "lent twice");
                        assert!(manager.memory() <= 5);
                        if turn % 50 == 0 {
                            lease.mark_broken();
                        }
                        out.lock().unwrap().remove(&worker);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let leased = |name| manager.stats(name).unwrap().leased;
        assert_eq!(leased("a") + leased("b") + leased("c"), 0);
    });
}

#[test]
fn a_wait_that_is_interrupted_leaves_the_line_and_no_place_is_lost() {
    within(|| {
        let manager = manager(None);
        let (factory, _) = counting();
        manager.register("model", factory, pool(1, 0)).unwrap();
        let held = manager.lease("model", NOW).unwrap();
        let asked = AtomicUsize::new(0);
        let interrupted = || {
            // The lock is free while it asks: this would hang otherwise.
            assert_eq!(manager.stats("model").unwrap().waiting, 1);
            asked.fetch_add(1, Ordering::SeqCst) == 2
        };
        let error = manager.lease_polling("model", None, Some(&interrupted)).unwrap_err();
        assert_eq!(error.code(), Code::INTERRUPTED);
        assert_eq!(error.to_string(), "the wait for a worker of pool `model` was interrupted");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
        let stats = manager.stats("model").unwrap();
        assert_eq!((stats.waiting, stats.timeouts), (0, 0));
        drop(held);
        drop(manager.lease("model", NOW).unwrap());
        assert_eq!(manager.stats("model").unwrap().hits, 1);
    });
}

#[test]
fn who_is_asked_while_waiting_keeps_the_place_in_the_line() {
    within(|| {
        let manager = manager(None);
        let (factory, _) = counting();
        manager.register("model", factory, pool(1, 0)).unwrap();
        let held = manager.lease("model", NOW).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (manager_here, order) = (Arc::clone(&manager), Arc::clone(&order));
                let thread = thread::spawn(move || {
                    let never = || false;
                    let lease = manager_here.lease_polling("model", LONG, Some(&never)).unwrap();
                    order.lock().unwrap().push(number);
                    drop(lease);
                });
                wait_for(|| manager.stats("model").unwrap().waiting == number + 1);
                thread
            })
            .collect();
        // Longer than two rounds of asking: nobody may have gone to the end of the line.
        thread::sleep(Duration::from_millis(120));
        drop(held);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    });
}

/// Three factories that never come back: each costs its own caller, and the pool goes on.
#[test]
fn a_factory_that_hangs_costs_one_lease_and_not_the_pool() {
    within(|| {
        let manager = manager(Some(10));
        let (calls, hung) =
            (AtomicUsize::new(0), Arc::new((Mutex::new(true), std::sync::Condvar::new())));
        let gate = Arc::clone(&hung);
        let factory: Factory = Arc::new(move || {
            let number = calls.fetch_add(1, Ordering::SeqCst);
            if number < 3 {
                let waiting = gate.0.lock().unwrap();
                drop(gate.1.wait_while(waiting, |hangs| *hangs).unwrap());
            }
            Ok(Box::new(number) as Worker)
        });
        let start_timeout = Duration::from_millis(50);
        let options = PoolOptions { start_timeout, ..pool(1, 10) };
        manager.register("model", factory, options).unwrap();
        let lease = || {
            let manager = Arc::clone(&manager);
            thread::spawn(move || {
                manager.lease("model", LONG).map(|lease| *lease.get::<usize>().unwrap())
            })
        };
        let unlucky: Vec<_> = (0..3)
            .map(|number| {
                let thread = lease();
                wait_for(|| manager.stats("model").unwrap().misses == number + 1);
                thread
            })
            .collect();
        let lucky = manager.lease("model", LONG).unwrap();
        assert_eq!(lucky.get::<usize>(), Some(&3));
        let stats = manager.stats("model").unwrap();
        assert_eq!((stats.leased, stats.starting, stats.overdue), (1, 0, 3));
        assert_eq!(manager.memory(), 10, "the hung ones count no more");
        *hung.0.lock().unwrap() = false;
        hung.1.notify_all();
        wait_for(|| manager.stats("model").unwrap().created == 4);
        assert_eq!(manager.stats("model").unwrap().leased, 1, "never more than the size");
        drop(lucky);
        // Who came too late gets what is there now.
        for thread in unlucky {
            assert_eq!(thread.join().unwrap().unwrap(), 3);
        }
        assert_eq!((manager.memory(), manager.stats("model").unwrap().idle), (10, 1));
    });
}

/// The load takes longer than is allowed each time, and several ask: the first that is made is used, and all are served.
#[test]
fn factories_slower_than_their_time_still_serve_everybody() {
    within(|| {
        let manager = manager(None);
        let factory: Factory = Arc::new(|| {
            thread::sleep(Duration::from_millis(60));
            Ok(Box::new(0usize) as Worker)
        });
        let start_timeout = Duration::from_millis(10);
        manager.register("model", factory, PoolOptions { start_timeout, ..pool(1, 5) }).unwrap();
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let manager = Arc::clone(&manager);
                thread::spawn(move || manager.lease("model", LONG).map(drop))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        let stats = manager.stats("model").unwrap();
        assert_eq!((stats.idle, stats.leased, stats.starting), (1, 0, 0));
        assert_eq!(manager.memory(), 5);
    });
}

/// A check by which workers below that number are dead.
fn alive_from(number: &Arc<AtomicUsize>) -> Check {
    let number = Arc::clone(number);
    Arc::new(move |worker| {
        Ok(*worker.downcast_ref::<usize>().expect("it is a number")
            >= number.load(Ordering::SeqCst))
    })
}

#[test]
fn an_idle_worker_that_died_is_not_lent() {
    let manager = manager(Some(20));
    let dead = Arc::new(AtomicUsize::new(0));
    let (factory, made) = counting();
    let options = PoolOptions { check: Some(alive_from(&dead)), ..pool(2, 10) };
    manager.register("model", factory, options).unwrap();
    let both = (manager.lease("model", NOW).unwrap(), manager.lease("model", NOW).unwrap());
    drop(both);
    dead.store(2, Ordering::SeqCst);
    let lease = manager.lease("model", NOW).unwrap();
    assert_eq!(lease.get::<usize>(), Some(&2), "both were dead, a third was made");
    let stats = manager.stats("model").unwrap();
    assert_eq!((stats.unhealthy, stats.hits, stats.misses, stats.leased), (2, 0, 3, 1));
    assert_eq!((manager.memory(), made.load(Ordering::SeqCst)), (10, 3));
}

#[test]
fn a_check_that_fails_costs_its_lease_and_its_worker() {
    let manager = manager(Some(10));
    let asked = AtomicUsize::new(0);
    let check: Check = Arc::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Failure::new(Code::INTERRUPTED, "interrupted")),
        1 => panic!("out of cheese"),
        _ => Ok(true),
    });
    let options = PoolOptions { check: Some(check), ..pool(1, 10) };
    manager.register("model", counting().0, options).unwrap();
    for (code, cause) in
        [(Code::INTERRUPTED, "interrupted"), (Code::START_FAILED, "it panicked: out of cheese")]
    {
        drop(manager.lease("model", NOW).unwrap());
        let error = manager.lease("model", NOW).unwrap_err();
        assert_eq!(error.to_string(), "the check of pool `model` failed");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), cause);
        assert_eq!(error.code(), code);
        assert_eq!(manager.memory(), 0);
    }
    drop(manager.lease("model", NOW).unwrap());
    drop(manager.lease("model", NOW).unwrap());
    assert_eq!(manager.stats("model").unwrap().hits, 1);
}

#[test]
fn the_upkeep_makes_what_is_missing_and_asks_who_is_idle() {
    within(|| {
        let manager = manager(None);
        let dead = Arc::new(AtomicUsize::new(0));
        let options = PoolOptions { check: Some(alive_from(&dead)), prewarm: true, ..pool(2, 1) };
        manager.register("model", counting().0, options).unwrap();
        let upkeep = manager.keep().unwrap();
        assert!(manager.keep().is_none(), "one keeper is enough");
        let keeper = {
            let manager = Arc::downgrade(&manager);
            thread::spawn(move || {
                while upkeep.wait() {
                    let Some(manager) = manager.upgrade() else { return };
                    for name in manager.due() {
                        manager.tend(&name).unwrap();
                    }
                }
            })
        };
        let mut both = [manager.lease("model", NOW).unwrap(), manager.lease("model", NOW).unwrap()];
        both.iter_mut().for_each(Lease::mark_broken);
        drop(both);
        wait_for(|| manager.stats("model").unwrap().idle == 2);
        assert_eq!(manager.stats("model").unwrap().created, 4);
        dead.store(4, Ordering::SeqCst);
        // Nobody leases: they are asked all the same, dropped, and made anew.
        wait_for(|| manager.stats("model").unwrap().unhealthy == 2);
        wait_for(|| manager.stats("model").unwrap().created == 6);
        assert!(*manager.lease("model", NOW).unwrap().get::<usize>().unwrap() >= 4);
        assert_eq!(manager.stats("model").unwrap().hits, 1);
        manager.close();
        keeper.join().unwrap();
    });
}

#[test]
fn a_factory_that_fails_in_the_upkeep_is_left_alone_for_a_while() {
    let manager = manager(None);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let factory: Factory = Arc::new(move || match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(Box::new(0usize) as Worker),
        _ => Err(Failure::new(Code::START_FAILED, "no weights")),
    });
    manager.register("model", factory, PoolOptions { prewarm: true, ..pool(1, 1) }).unwrap();
    let mut lease = manager.lease("model", NOW).unwrap();
    lease.mark_broken();
    drop(lease);
    assert_eq!(manager.due(), [Arc::from("model")]);
    assert_eq!(manager.due(), [], "somebody is at it");
    assert!(manager.tend("model").is_err());
    assert_eq!(manager.due(), [], "not at once again");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_cap_that_is_lowered_evicts_what_was_used_longest_ago() {
    let manager = manager(None);
    for name in ["old", "new"] {
        manager.register(name, counting().0, pool(2, 10)).unwrap();
        drop(manager.lease(name, NOW).unwrap());
    }
    let leased = manager.lease("new", NOW).unwrap();
    assert!(manager.limit(Some(9)).is_err(), "no worker would fit");
    manager.limit(Some(10)).unwrap();
    assert_eq!((manager.stats("old").unwrap().evicted, manager.memory()), (1, 10));
    assert!(matches!(manager.lease("old", NOW), Err(PitError::TimedOut { .. })));
    drop(leased);
    drop(manager.lease("old", NOW).unwrap());
    assert_eq!((manager.stats("new").unwrap().evicted, manager.memory()), (1, 10));
    manager.limit(None).unwrap();
    drop(manager.lease("new", NOW).unwrap());
    assert_eq!(manager.memory(), 20);
}

/// Sums of what workers take may be beyond any one number.
#[test]
fn no_sum_of_memory_overflows() {
    let manager = manager(None);
    manager.register("huge", counting().0, pool(4, u64::MAX)).unwrap();
    let leases: Vec<_> = (0..4).map(|_| manager.lease("huge", NOW).unwrap()).collect();
    assert_eq!(manager.memory(), u64::MAX);
    drop(leases);
    manager.close();
    assert_eq!(manager.memory(), 0);
}
