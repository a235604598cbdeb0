//! The pool manager against a naive model: any history of leases, returns, breakage, deaths and caps.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pit::pool_manager::{Lease, PoolManager, PoolManagerOptions, PoolOptions, Worker};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["light", "middle", "heavy"];
const MEMORY: [u64; 3] = [0, 2, 5];
const SIZE: [usize; 3] = [3, 3, 2];

#[derive(Debug, Clone)]
enum Act {
    Lease(usize),
    /// The lease at that place among those that are held, modulo their number.
    GiveBack(usize),
    Break(usize),
    /// The idle worker at that place dies.
    Die(usize),
    Prewarm(usize),
    Limit(Option<u64>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..3usize).prop_map(Act::Lease),
        4 => any::<usize>().prop_map(Act::GiveBack),
        1 => any::<usize>().prop_map(Act::Break),
        1 => any::<usize>().prop_map(Act::Die),
        1 => (0..3usize).prop_map(Act::Prewarm),
        1 => prop_oneof![Just(None), (5..20u64).prop_map(Some)].prop_map(Act::Limit),
    ]
}

/// What exists: lists, searched from one end to the other.
#[derive(Default)]
struct Model {
    /// Pool and worker, the one that was used longest ago first.
    idle: Vec<(usize, usize)>,
    held: Vec<(usize, usize)>,
    dead: HashSet<usize>,
    cap: Option<u64>,
    made: usize,
}

impl Model {
    fn memory(&self) -> u64 {
        self.idle.iter().chain(&self.held).map(|(pool, _)| MEMORY[*pool]).sum()
    }

    fn count(&self, pool: usize) -> usize {
        self.idle.iter().chain(&self.held).filter(|(of, _)| *of == pool).count()
    }

    fn evict_for(&mut self, wanted: u64) -> bool {
        while self.cap.is_some_and(|cap| self.memory() + wanted > cap) {
            let oldest = self.idle.iter().position(|(pool, _)| MEMORY[*pool] > 0);
            let Some(oldest) = oldest.filter(|_| wanted > 0) else { return false };
            self.idle.remove(oldest);
        }
        true
    }

    fn lease(&mut self, pool: usize) -> Option<usize> {
        while let Some(at) = self.idle.iter().rposition(|(of, _)| *of == pool) {
            let (_, worker) = self.idle.remove(at);
            if !self.dead.contains(&worker) {
                self.held.push((pool, worker));
                return Some(worker);
            }
            if !self.idle.iter().any(|(of, _)| *of == pool) {
                // The last of them was dead: its place is this caller's.
                return Some(self.make(pool));
            }
        }
        let fits = self.count(pool) < SIZE[pool] && self.evict_for(MEMORY[pool]);
        fits.then(|| self.make(pool))
    }

    fn make(&mut self, pool: usize) -> usize {
        self.held.push((pool, self.made));
        self.made += 1;
        self.made - 1
    }

    fn put_idle(&mut self, it: (usize, usize)) {
        self.idle.push(it);
        self.keep_cap();
    }

    fn keep_cap(&mut self) {
        while self.cap.is_some_and(|cap| self.memory() > cap) {
            let Some(oldest) = self.idle.iter().position(|(pool, _)| MEMORY[*pool] > 0) else {
                return;
            };
            self.idle.remove(oldest);
        }
    }
}

fn run(acts: Vec<Act>) {
    let manager = PoolManager::new(PoolManagerOptions::default());
    let (made, dead) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(HashSet::new())));
    for pool in 0..3 {
        let (made, dead) = (Arc::clone(&made), Arc::clone(&dead));
        let factory = Arc::new(move || Ok(Box::new(made.fetch_add(1, Ordering::SeqCst)) as Worker));
        let check = Arc::new(move |worker: &Worker| {
            Ok(!dead
                .lock()
                .expect("nobody panics with it")
                .contains(worker.downcast_ref::<usize>().expect("it is a number")))
        });
        let (size, memory, check) = (SIZE[pool], MEMORY[pool], Some(check as _));
        let options = PoolOptions { size, memory, check, ..PoolOptions::default() };
        manager.register(NAMES[pool], factory, options).expect("it is lawful");
    }
    let mut model = Model::default();
    let mut held: Vec<Lease> = Vec::new();
    for act in acts {
        match act {
            Act::Lease(pool) => {
                let lent = manager.lease(NAMES[pool], Some(Duration::ZERO)).ok();
                let number = lent.as_ref().and_then(|lease| lease.get::<usize>().copied());
                assert_eq!(number, model.lease(pool), "lease of {}", NAMES[pool]);
                held.extend(lent);
            }
            Act::GiveBack(at) if !held.is_empty() => {
                let at = at % held.len();
                drop(held.remove(at));
                let it = model.held.remove(at);
                model.put_idle(it);
            }
            Act::Break(at) if !held.is_empty() => {
                let at = at % held.len();
                let mut lease = held.remove(at);
                lease.mark_broken();
                drop(lease);
                model.held.remove(at);
            }
            Act::Die(at) if !model.idle.is_empty() => {
                let (_, worker) = model.idle[at % model.idle.len()];
                model.dead.insert(worker);
                dead.lock().expect("nobody panics with it").insert(worker);
            }
            Act::Prewarm(pool) => {
                let fits = model.count(pool) < SIZE[pool]
                    && model.cap.is_none_or(|cap| model.memory() + MEMORY[pool] <= cap);
                assert_eq!(manager.prewarm(NAMES[pool]).expect("it is lawful"), fits);
                if fits {
                    model.put_idle((pool, model.made));
                    model.made += 1;
                }
            }
            Act::Limit(cap) => {
                manager.limit(cap).expect("it is lawful");
                model.cap = cap;
                model.keep_cap();
            }
            Act::GiveBack(_) | Act::Break(_) | Act::Die(_) => {}
        }
        assert_eq!(manager.memory(), model.memory());
        for pool in 0..3 {
            let stats = manager.stats(NAMES[pool]).expect("it is lawful");
            let of = |list: &[(usize, usize)]| list.iter().filter(|(of, _)| *of == pool).count();
            assert_eq!((stats.idle, stats.leased), (of(&model.idle), of(&model.held)));
            assert!(stats.idle + stats.leased <= SIZE[pool]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(acts in prop::collection::vec(act(), 1..60)) {
        run(acts);
    }
}
