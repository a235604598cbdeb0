//! What the manager's lock protects, and the one decision in it: who gets what, in the order of asking.
//!
//! No user code runs here: workers that must go are handed out to be dropped after the lock is free.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Condvar;

use super::pool::{Pool, Worker};

/// What a caller gets.
pub(super) enum Turn {
    /// A warm worker.
    Warm(Worker),
    /// The right to make one: place and memory are reserved.
    Make,
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
    pub(super) memory: u64,
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
            return Some(Turn::Warm(idle.worker));
        }
        if entry.count() < entry.options.size && self.make_room(pool, gone) {
            let entry = &mut self.pools[pool];
            entry.figures.misses += 1;
            return Some(Turn::Make);
        }
        None
    }

    /// Reserves a place and the memory for one more worker, where both are free.
    pub(super) fn reserve_free(&mut self, pool: usize) -> bool {
        let entry = &mut self.pools[pool];
        let memory = self.memory.saturating_add(entry.options.memory);
        let free = entry.count() < entry.options.size && self.cap.is_none_or(|cap| memory <= cap);
        if free {
            entry.starting += 1;
            self.memory = memory;
        }
        free
    }

    /// Reserves a place and the memory for one more worker, evicting what was used longest ago.
    fn make_room(&mut self, pool: usize, gone: &mut Vec<Worker>) -> bool {
        let wanted = self.pools[pool].options.memory;
        if let Some(cap) = self.cap {
            while self.memory.saturating_add(wanted) > cap {
                if wanted == 0 || !self.evict_oldest(gone) {
                    return false;
                }
            }
        }
        self.memory += wanted;
        self.pools[pool].starting += 1;
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
        self.memory -= pool.options.memory;
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
