//! What the manager's lock protects, and the one decision in it: who gets what, in the order of asking.
//!
//! No user code runs here: workers that must go are handed out to be dropped after the lock is free.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Condvar;

use super::pool::{Pool, Starting, Worker};

/// What a caller gets.
pub(super) enum Turn {
    /// A warm worker, and since when it is not known to be healthy.
    Warm(Worker, Option<Instant>),
    /// The right to make one: place and memory are reserved under that number.
    Make(u64),
}

pub(super) struct Waiter {
    pub(super) pool: usize,
    pub(super) bell: Arc<Condvar>,
    pub(super) turn: Option<Turn>,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) pools: Vec<Pool>,
    pub(super) by_name: HashMap<Arc<str>, usize>,
    /// Callers that wait, or were served and have not woken yet, by the order in which they asked.
    pub(super) waiters: BTreeMap<u64, Waiter>,
    /// Waiters that were not served yet.
    pub(super) unserved: usize,
    /// Wider than any one figure, so that no sum of them is beyond it.
    pub(super) memory: u128,
    pub(super) cap: Option<u64>,
    pub(super) clock: u64,
    pub(super) closed: bool,
}

impl Table {
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// What a caller who stands behind nobody gets now.
    pub(super) fn take(&mut self, pool: usize, gone: &mut Vec<Worker>) -> Option<Turn> {
        let entry = &mut self.pools[pool];
        if let Some(idle) = entry.idle.pop_back() {
            entry.lent();
            entry.figures.hits += 1;
            return Some(Turn::Warm(idle.worker, idle.since));
        }
        if entry.count() < entry.options.size && self.make_room(pool, gone) {
            self.pools[pool].figures.misses += 1;
            return Some(Turn::Make(self.starts(pool)));
        }
        None
    }

    /// What follows for a caller whose warm worker did not pass its check: the next one, or the right to make one in its
    /// place.
    pub(super) fn take_instead(&mut self, pool: usize, gone: &mut Vec<Worker>) -> Turn {
        let entry = &mut self.pools[pool];
        entry.leased -= 1;
        entry.figures.hits -= 1;
        entry.figures.unhealthy += 1;
        if let Some(idle) = entry.idle.pop_back() {
            self.memory -= u128::from(entry.options.memory);
            entry.lent();
            entry.figures.hits += 1;
            self.serve(gone);
            return Turn::Warm(idle.worker, idle.since);
        }
        entry.figures.misses += 1;
        Turn::Make(self.starts(pool))
    }

    /// Notes that a factory begins; place and memory are reserved already.
    fn starts(&mut self, pool: usize) -> u64 {
        let ticket = self.tick();
        let entry = &mut self.pools[pool];
        let due = Instant::now().checked_add(entry.options.start_timeout);
        entry.starting.push(Starting { ticket, due });
        ticket
    }

    /// Notes that a factory has come back with a worker. False: others have its place, and there is none for it.
    pub(super) fn arrives(&mut self, pool: usize, ticket: u64, gone: &mut Vec<Worker>) -> bool {
        let entry = &mut self.pools[pool];
        if let Some(at) = entry.starting.iter().position(|starting| starting.ticket == ticket) {
            entry.starting.remove(at);
            return true;
        }
        // One that is made is worth more than one that may be: it takes the place of the youngest factory at work.
        if entry.starting.pop().is_some() {
            entry.figures.overdue += 1;
            return true;
        }
        entry.count() < entry.options.size && self.make_room(pool, gone)
    }

    /// Notes that a factory has come back without a worker.
    pub(super) fn fails(&mut self, pool: usize, ticket: u64) {
        let entry = &mut self.pools[pool];
        if let Some(at) = entry.starting.iter().position(|starting| starting.ticket == ticket) {
            entry.starting.remove(at);
            self.memory -= u128::from(entry.options.memory);
        }
    }

    /// Takes their places from factories that are overdue. A factory that hangs costs its own lease and not the pool.
    pub(super) fn give_up_overdue(&mut self) {
        if self.pools.iter().all(|pool| pool.starting.is_empty()) {
            return;
        }
        let now = Instant::now();
        for pool in &mut self.pools {
            let before = pool.starting.len();
            pool.starting.retain(|starting| starting.due.is_none_or(|due| due > now));
            let lost = (before - pool.starting.len()) as u64;
            pool.figures.overdue += lost;
            self.memory -= u128::from(pool.options.memory) * u128::from(lost);
        }
    }

    /// When the next factory is overdue.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        self.pools.iter().flat_map(|pool| &pool.starting).filter_map(|starting| starting.due).min()
    }

    /// Reserves a place and the memory for one more worker, where both are free.
    pub(super) fn reserve_free(&mut self, pool: usize) -> Option<u64> {
        if !self.has_free(pool) {
            return None;
        }
        self.memory += u128::from(self.pools[pool].options.memory);
        Some(self.starts(pool))
    }

    /// Whether there is place and memory for one more worker, without eviction and behind nobody.
    pub(super) fn has_free(&self, pool: usize) -> bool {
        let entry = &self.pools[pool];
        let memory = self.memory + u128::from(entry.options.memory);
        self.may_pass(pool)
            && entry.count() < entry.options.size
            && self.cap.is_none_or(|cap| memory <= u128::from(cap))
    }

    /// Evicts what was used longest ago until the cap is kept, or nothing idle is left.
    pub(super) fn keep_cap(&mut self, gone: &mut Vec<Worker>) {
        while self.cap.is_some_and(|cap| self.memory > u128::from(cap)) && self.evict_oldest(gone) {
        }
    }

    /// Reserves a place and the memory for one more worker, evicting what was used longest ago.
    fn make_room(&mut self, pool: usize, gone: &mut Vec<Worker>) -> bool {
        let wanted = u128::from(self.pools[pool].options.memory);
        if let Some(cap) = self.cap {
            while self.memory + wanted > u128::from(cap) {
                if wanted == 0 || !self.evict_oldest(gone) {
                    return false;
                }
            }
        }
        self.memory += wanted;
        true
    }

    /// Drops the idle worker that was used longest ago, of those that take memory.
    fn evict_oldest(&mut self, gone: &mut Vec<Worker>) -> bool {
        let oldest = self
            .pools
            .iter_mut()
            .filter(|pool| pool.options.memory > 0)
            .filter_map(|pool| pool.idle.front().map(|idle| idle.tick).map(|tick| (tick, pool)))
            .min_by_key(|(tick, _)| *tick);
        let Some((_, pool)) = oldest else { return false };
        let Some(idle) = pool.idle.pop_front() else { return false };
        pool.figures.evicted += 1;
        self.memory -= u128::from(pool.options.memory);
        gone.push(idle.worker);
        true
    }

    /// Serves waiters in the order in which they asked. One that waits for memory holds back every later *creation* (what
    /// becomes idle is evicted for it, until it fits), but not the warm hits before it.
    pub(super) fn serve(&mut self, gone: &mut Vec<Worker>) {
        if self.unserved == 0 {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        let mut memory_is_short = false;
        for waiter in waiters.values_mut().filter(|waiter| waiter.turn.is_none()) {
            let pool = &self.pools[waiter.pool];
            let warm = !pool.idle.is_empty();
            if !warm && memory_is_short && pool.options.memory > 0 {
                continue;
            }
            waiter.turn = self.take(waiter.pool, gone);
            if waiter.turn.is_some() {
                self.unserved -= 1;
                waiter.bell.notify_one();
            } else {
                let pool = &self.pools[waiter.pool];
                memory_is_short |= pool.count() < pool.options.size;
            }
        }
        self.waiters = waiters;
    }

    /// Whether a newcomer may be served at once: nobody waits, or nobody who wants the same.
    pub(super) fn may_pass(&self, pool: usize) -> bool {
        self.unserved == 0
            || !self.waiters.values().any(|waiter| {
                let other = &self.pools[waiter.pool];
                waiter.turn.is_none()
                    && (waiter.pool == pool
                        || (other.count() < other.options.size && other.options.memory > 0))
            })
    }

    pub(super) fn waiting(&self, pool: usize) -> usize {
        self.waiters.values().filter(|waiter| waiter.pool == pool && waiter.turn.is_none()).count()
    }
}
