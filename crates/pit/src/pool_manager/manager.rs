//! The manager: leases with a deadline, prewarming, eviction, figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Failure};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::wait::wait_once;
use crate::{PitError, PitResult};

use super::pool::{Idle, Pool};
use super::table::{Table, Turn, Waiter};
use super::{Factory, Lease, PoolOptions, PoolStats, Worker};

const MEMBER: &str = "pool-manager";

/// How a manager is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolManagerOptions {
    /// What all workers may take together, in bytes; none: no limit.
    pub memory: Option<u64>,
}

/// The pools of a system.
pub struct PoolManager {
    table: Mutex<Table>,
}

impl PoolManager {
    /// A manager without pools.
    pub fn new(options: PoolManagerOptions) -> Arc<Self> {
        let table = Table { cap: options.memory, ..Table::default() };
        Arc::new(Self { table: Mutex::new(table) })
    }

    /// Adds a pool. No worker is made yet.
    ///
    /// # Errors
    /// There is one of that name, its size is 0, or one worker alone is above the memory cap.
    pub fn register(&self, name: &str, factory: Factory, options: PoolOptions) -> PitResult<()> {
        if options.size == 0 {
            let (value, expected) = ("0".to_owned(), "at least 1");
            return Err(PitError::Invalid { what: "pool size", value, expected });
        }
        let mut table = self.table.lock();
        if table.closed {
            return Err(PitError::Stopped { member: MEMBER });
        }
        if let Some(limit) = table.cap.filter(|&cap| options.memory > cap) {
            let (what, name) = ("memory for one worker of pool", name.to_owned());
            return Err(PitError::OverLimit { what, name, wanted: options.memory, limit });
        }
        if table.by_name.contains_key(name) {
            return Err(PitError::Duplicate { kind: "pool", name: name.to_owned() });
        }
        let name: Arc<str> = Arc::from(name);
        let index = table.pools.len();
        table.pools.push(Pool::new(Arc::clone(&name), factory, options));
        table.by_name.insert(name, index);
        Ok(())
    }

    /// Leases a worker: a warm one, else a new one made by the factory on this thread, else waits until one is given
    /// back. `timeout` limits the wait, not the factory; none waits for ever.
    ///
    /// # Errors
    /// There is no such pool, the wait timed out, the factory failed, or the manager was closed.
    pub fn lease(self: &Arc<Self>, name: &str, timeout: Option<Duration>) -> PitResult<Lease> {
        self.lease_polling(name, timeout, None)
    }

    /// The same, asking `interrupted` every 50 ms of the wait, outside the lock, whether to give it up. The place in the
    /// line is kept meanwhile.
    ///
    /// # Errors
    /// As [`Self::lease`]; or the wait was interrupted.
    pub fn lease_polling(
        self: &Arc<Self>,
        name: &str,
        timeout: Option<Duration>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Lease> {
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        if table.closed {
            return Err(PitError::Stopped { member: MEMBER });
        }
        let pool = find(&table, name)?;
        let turn = if table.may_pass(pool) { table.take(pool, &mut gone) } else { None };
        let name = Arc::clone(&table.pools[pool].name);
        let turn = match turn {
            Some(turn) => {
                drop(table);
                Ok(turn)
            }
            None => Self::wait(table, pool, timeout, interrupted),
        };
        // Evicted workers go here, after the lock.
        drop(gone);
        match turn? {
            Turn::Warm(worker) => Ok(Lease::new(Arc::clone(self), pool, name, worker)),
            Turn::Make => {
                let worker = self.make(pool, true)?;
                Ok(Lease::new(Arc::clone(self), pool, name, worker))
            }
        }
    }

    /// Makes one idle worker on this thread, if the pool has place and memory for it. Never waits, and evicts nothing: a
    /// worker that was used is worth more than one that may be. Says whether it did.
    ///
    /// # Errors
    /// There is no such pool, the factory failed, or the manager was closed.
    pub fn prewarm(&self, name: &str) -> PitResult<bool> {
        let pool = {
            let mut table = self.table.lock();
            if table.closed {
                return Err(PitError::Stopped { member: MEMBER });
            }
            let pool = find(&table, name)?;
            if !table.may_pass(pool) || !table.reserve_free(pool) {
                return Ok(false);
            }
            pool
        };
        let worker = self.make(pool, false)?;
        self.put_idle(pool, worker);
        Ok(true)
    }

    /// The pools whose workers are fewer than lately were leased at once, with how many are missing: what a background
    /// thread should prewarm.
    pub fn cold(&self) -> Vec<(Arc<str>, usize)> {
        let table = self.table.lock();
        let missing = |pool: &Pool| {
            let wanted = pool.demand().round().min(pool.options.size as f64);
            // Rounded, not negative and at most the size, so it is a whole number of workers.
            (0..pool.options.size).take_while(|&count| (count as f64) < wanted).count()
        };
        table
            .pools
            .iter()
            .map(|pool| (Arc::clone(&pool.name), missing(pool).saturating_sub(pool.count())))
            .filter(|(_, missing)| *missing > 0)
            .collect()
    }

    /// The figures of a pool.
    ///
    /// # Errors
    /// There is no such pool.
    pub fn stats(&self, name: &str) -> PitResult<PoolStats> {
        let table = self.table.lock();
        let pool = find(&table, name)?;
        Ok(table.pools[pool].stats(table.waiting(pool)))
    }

    /// The names of the pools, in the order of registration.
    pub fn pools(&self) -> Vec<Arc<str>> {
        self.table.lock().pools.iter().map(|pool| Arc::clone(&pool.name)).collect()
    }

    /// What all workers take together, in bytes.
    pub fn memory(&self) -> u64 {
        self.table.lock().memory
    }

    /// Ends every wait and drops the idle workers; leased ones are dropped when they are given back.
    pub fn close(&self) {
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        table.closed = true;
        let mut freed = 0;
        for pool in &mut table.pools {
            freed += pool.options.memory * pool.idle.len() as u64;
            gone.extend(pool.idle.drain(..));
        }
        table.memory -= freed;
        for waiter in table.waiters.values() {
            waiter.bell.notify_one();
        }
        drop(table);
        drop(gone);
    }

    /// Waits for a turn. The caller's lock is taken over and free at return.
    fn wait(
        mut table: MutexGuard<'_, Table>,
        pool: usize,
        timeout: Option<Duration>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Turn> {
        let began = Instant::now();
        let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
        let bell = Arc::new(Condvar::new());
        let ticket = table.tick();
        table.waiters.insert(ticket, Waiter { pool, bell: Arc::clone(&bell), turn: None });
        table.unserved += 1;
        let mut gone = Vec::new();
        // A newcomer that may not pass others may still fit behind them.
        table.serve(&mut gone);
        loop {
            let waiter = table.waiters.get_mut(&ticket);
            if let Some(turn) = waiter.and_then(|waiter| waiter.turn.take()) {
                table.waiters.remove(&ticket);
                drop(table);
                drop(gone);
                return Ok(turn);
            }
            let over = table.closed || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let given_up = !over && {
                wait_once(&bell, &mut table, deadline, interrupted.is_some());
                let served = table.waiters.get(&ticket).is_some_and(|waiter| waiter.turn.is_some());
                !served && interrupted.is_some_and(|ask| MutexGuard::unlocked(&mut table, ask))
            };
            let served = table.waiters.get(&ticket).is_some_and(|waiter| waiter.turn.is_some());
            if served || !(over || given_up) {
                continue;
            }
            table.waiters.remove(&ticket);
            table.unserved -= 1;
            let closed = table.closed;
            let entry = &mut table.pools[pool];
            entry.figures.timeouts += u64::from(!closed && !given_up);
            let name = entry.name.to_string();
            // Whoever stood behind may go on.
            table.serve(&mut gone);
            drop(table);
            drop(gone);
            return Err(if closed {
                PitError::Stopped { member: MEMBER }
            } else if given_up {
                PitError::Interrupted { what: "a worker of pool", name }
            } else {
                PitError::TimedOut { what: "a worker of pool", name, waited: began.elapsed() }
            });
        }
    }

    /// Calls the factory for a place that is reserved. The place is free again if that fails, or panics.
    fn make(&self, pool: usize, lease: bool) -> PitResult<Worker> {
        let (factory, name) = {
            let table = self.table.lock();
            let entry = &table.pools[pool];
            (Arc::clone(&entry.factory), entry.name.to_string())
        };
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| factory()));
        let made = made.unwrap_or_else(|panic| {
            Err(Failure::new(Code::START_FAILED, format!("it panicked: {}", panic_text(&*panic))))
        });
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        let entry = &mut table.pools[pool];
        entry.starting -= 1;
        let outcome = match made {
            Ok(worker) => {
                entry.figures.created += 1;
                if lease {
                    entry.lent();
                } else {
                    // Counted as leased until it is put among the idle ones.
                    entry.leased += 1;
                }
                Ok(worker)
            }
            Err(failure) => {
                entry.figures.failures += 1;
                let memory = entry.options.memory;
                table.memory -= memory;
                table.serve(&mut gone);
                Err(PitError::Factory { pool: name, failure: Box::new(failure) })
            }
        };
        drop(table);
        drop(gone);
        outcome
    }

    pub(super) fn give_back(&self, pool: usize, worker: Worker, broken: bool) {
        if !broken {
            return self.put_idle(pool, worker);
        }
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        let entry = &mut table.pools[pool];
        entry.leased -= 1;
        entry.figures.broken += 1;
        let memory = entry.options.memory;
        table.memory -= memory;
        table.serve(&mut gone);
        drop(table);
        drop(gone);
        drop(worker);
    }

    fn put_idle(&self, pool: usize, worker: Worker) {
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        let tick = table.tick();
        let closed = table.closed;
        let entry = &mut table.pools[pool];
        entry.leased -= 1;
        if closed {
            let memory = entry.options.memory;
            table.memory -= memory;
            gone.push(worker);
        } else {
            entry.idle.push_back(Idle { worker, tick });
            table.serve(&mut gone);
        }
        drop(table);
        drop(gone);
    }
}

impl std::fmt::Debug for PoolManager {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PoolManager").field("pools", &self.pools()).finish_non_exhaustive()
    }
}

fn find(table: &Table, name: &str) -> PitResult<usize> {
    let found = table.by_name.get(name).copied();
    found.ok_or_else(|| PitError::NotFound { kind: "pool", name: name.to_owned() })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
