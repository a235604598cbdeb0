//! The manager: leases with a deadline, prewarming, eviction, figures.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Code, Failure};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::wait::wait_once;
use crate::{PitError, PitResult};

use super::pool::{Idle, Pool};
use super::table::{Table, Turn, Waiter};
use super::upkeep::{SHORTEST_ROUND, Upkeep};
use super::{Factory, Lease, PoolOptions, PoolStats, Worker};

pub(super) const MEMBER: &str = "pool-manager";

/// How a manager is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolManagerOptions {
    /// What all workers may take together, in bytes; none: no limit.
    pub memory: Option<u64>,
}

/// The pools of a system.
pub struct PoolManager {
    pub(super) table: Mutex<Table>,
    pub(super) upkeep: Arc<Upkeep>,
}

impl PoolManager {
    /// A manager without pools.
    pub fn new(options: PoolManagerOptions) -> Arc<Self> {
        let table = Table { cap: options.memory, ..Table::default() };
        Arc::new(Self { table: Mutex::new(table), upkeep: Arc::default() })
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
        let name = Arc::clone(&table.pools[pool].name);
        let mut turn = if table.may_pass(pool) { table.take(pool, &mut gone) } else { None };
        drop_unlocked(table, &mut gone);
        loop {
            let turn_now = match turn.take() {
                Some(turn) => turn,
                None => self.wait(pool, timeout, interrupted)?,
            };
            let worker = match turn_now {
                Turn::Warm(worker, since) => match self.checked(pool, worker, since)? {
                    ControlFlow::Break(worker) => worker,
                    ControlFlow::Continue(instead) => {
                        turn = Some(instead);
                        continue;
                    }
                },
                // What came too late, with its place given away, stands in line as everybody does.
                Turn::Make(ticket) => match self.make(pool, ticket, true)? {
                    Some(worker) => worker,
                    None => continue,
                },
            };
            return Ok(Lease::new(Arc::clone(self), pool, name, worker));
        }
    }

    /// Asks a warm worker whether it is healthy, where its pool asks. One that is not is dropped, and what follows for
    /// its caller is told.
    fn checked(
        &self,
        pool: usize,
        worker: Worker,
        since: Option<Instant>,
    ) -> PitResult<ControlFlow<Worker, Turn>> {
        let Some(since) = since else { return Ok(ControlFlow::Break(worker)) };
        let (check, every) = {
            let options = &self.table.lock().pools[pool].options;
            (options.check.clone(), options.check_every)
        };
        let Some(check) = check.filter(|_| since.elapsed() >= every) else {
            return Ok(ControlFlow::Break(worker));
        };
        let mut gone = Vec::new();
        match run(|| check(&worker)) {
            Ok(true) => return Ok(ControlFlow::Break(worker)),
            Ok(false) => {}
            Err(failure) => {
                let name = {
                    let entry = &mut self.table.lock().pools[pool];
                    entry.figures.hits -= 1;
                    entry.name.to_string()
                };
                self.give_back(pool, worker, true);
                return Err(PitError::PoolCheck { pool: name, failure: Box::new(failure) });
            }
        }
        // Its place is kept for this caller; it is gone itself before another is made.
        let mut table = self.table.lock();
        let instead = table.take_instead(pool, &mut gone);
        gone.push(worker);
        drop_unlocked(table, &mut gone);
        Ok(ControlFlow::Continue(instead))
    }

    /// Makes one idle worker on this thread, if the pool has place and memory for it. Never waits, and evicts nothing: a
    /// worker that was used is worth more than one that may be. Says whether it did.
    ///
    /// # Errors
    /// There is no such pool, the factory failed, or the manager was closed.
    pub fn prewarm(&self, name: &str) -> PitResult<bool> {
        let pool = self.index(name)?;
        self.prewarm_at(pool)
    }

    pub(super) fn prewarm_at(&self, pool: usize) -> PitResult<bool> {
        let ticket = {
            let mut table = self.table.lock();
            table.give_up_overdue();
            let Some(ticket) = table.reserve_free(pool) else { return Ok(false) };
            ticket
        };
        let Some(worker) = self.make(pool, ticket, false)? else { return Ok(false) };
        self.put_idle(pool, worker);
        Ok(true)
    }

    /// Where a pool stands in the table of an open manager.
    pub(super) fn index(&self, name: &str) -> PitResult<usize> {
        let table = self.table.lock();
        if table.closed {
            return Err(PitError::Stopped { member: MEMBER });
        }
        find(&table, name)
    }

    /// The pools whose workers are fewer than lately were leased at once, with how many are missing: what a background
    /// thread should prewarm.
    pub fn cold(&self) -> Vec<(Arc<str>, usize)> {
        let table = self.table.lock();
        let missing = |pool: &Pool| (Arc::clone(&pool.name), pool.missing());
        table.pools.iter().map(missing).filter(|(_, missing)| *missing > 0).collect()
    }

    /// Sets what all workers may take together, in bytes; none: no limit. Idle workers above it are evicted, the one that
    /// was used longest ago first; leased ones stay, and nothing is made until they are fewer.
    ///
    /// # Errors
    /// One worker of some pool is alone above it, or the manager was closed.
    pub fn limit(&self, memory: Option<u64>) -> PitResult<()> {
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        if table.closed {
            return Err(PitError::Stopped { member: MEMBER });
        }
        let above = |pool: &&Pool| memory.is_some_and(|cap| pool.options.memory > cap);
        if let (Some(limit), Some(pool)) = (memory, table.pools.iter().find(above)) {
            let (what, name) = ("memory for one worker of pool", pool.name.to_string());
            return Err(PitError::OverLimit { what, name, wanted: pool.options.memory, limit });
        }
        table.cap = memory;
        table.keep_cap(&mut gone);
        table.serve(&mut gone);
        drop_unlocked(table, &mut gone);
        self.upkeep.ring();
        Ok(())
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
        u64::try_from(self.table.lock().memory).unwrap_or(u64::MAX)
    }

    /// Ends every wait and drops the idle workers; leased ones are dropped when they are given back. Factories and checks
    /// are let go of: whatever they hold may hold a handle of this manager.
    pub fn close(&self) {
        let mut gone = Vec::new();
        let mut code = Vec::new();
        let mut table = self.table.lock();
        table.closed = true;
        let mut freed = 0;
        for pool in &mut table.pools {
            freed += u128::from(pool.options.memory) * pool.idle.len() as u128;
            gone.extend(pool.idle.drain(..).map(|idle| idle.worker));
            code.push((std::mem::replace(&mut pool.factory, closed()), pool.options.check.take()));
        }
        table.memory -= freed;
        for waiter in table.waiters.values() {
            waiter.bell.notify_one();
        }
        drop_unlocked(table, &mut gone);
        drop(code);
        self.upkeep.close();
    }

    /// Waits for a turn.
    fn wait(
        &self,
        pool: usize,
        timeout: Option<Duration>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Turn> {
        let began = Instant::now();
        let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
        let bell = Arc::new(Condvar::new());
        let mut table = self.table.lock();
        let ticket = table.tick();
        table.waiters.insert(ticket, Waiter { pool, bell: Arc::clone(&bell), turn: None });
        table.unserved += 1;
        let mut gone = Vec::new();
        // A newcomer that may not pass others may still fit behind them.
        table.serve(&mut gone);
        loop {
            if table.waiters.get(&ticket).is_none_or(|waiter| waiter.turn.is_none()) {
                table.give_up_overdue();
                table.serve(&mut gone);
            }
            let waiter = table.waiters.get_mut(&ticket);
            if let Some(turn) = waiter.and_then(|waiter| waiter.turn.take()) {
                table.waiters.remove(&ticket);
                drop_unlocked(table, &mut gone);
                return Ok(turn);
            }
            let over = table.closed || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let given_up = !over && {
                let until = [deadline, table.next_overdue()].into_iter().flatten().min();
                if gone.is_empty() {
                    wait_once(&bell, &mut table, until, interrupted.is_some());
                } else {
                    // What was evicted for others goes now, not at the end of this wait.
                    MutexGuard::unlocked(&mut table, || gone.clear());
                }
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
            drop_unlocked(table, &mut gone);
            return Err(if closed {
                PitError::Stopped { member: MEMBER }
            } else if given_up {
                PitError::Interrupted { what: "a worker of pool", name }
            } else {
                PitError::TimedOut { what: "a worker of pool", name, waited: began.elapsed() }
            });
        }
    }

    /// Calls the factory for a place that is reserved. The place is free again if that fails, or panics. None: it took so
    /// long that others have its place, and its worker is dropped.
    fn make(&self, pool: usize, ticket: u64, lease: bool) -> PitResult<Option<Worker>> {
        let (factory, name) = {
            let table = self.table.lock();
            let entry = &table.pools[pool];
            (Arc::clone(&entry.factory), entry.name.to_string())
        };
        let made = run(|| factory());
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        let outcome = match made {
            Ok(worker) => {
                let arrived = table.arrives(pool, ticket, &mut gone);
                let entry = &mut table.pools[pool];
                entry.figures.created += 1;
                if !arrived {
                    gone.push(worker);
                    Ok(None)
                } else if lease {
                    entry.lent();
                    Ok(Some(worker))
                } else {
                    // Counted as leased until it is put among the idle ones.
                    entry.leased += 1;
                    Ok(Some(worker))
                }
            }
            Err(failure) => {
                table.pools[pool].figures.failures += 1;
                table.fails(pool, ticket);
                table.serve(&mut gone);
                Err(PitError::Factory { pool: name, failure: Box::new(failure) })
            }
        };
        let short = outcome.is_err() && Self::is_short(&table, pool);
        drop_unlocked(table, &mut gone);
        if short {
            self.upkeep.ring();
        }
        outcome
    }

    pub(super) fn give_back(&self, pool: usize, worker: Worker, broken: bool) {
        if !broken {
            return self.put_idle(pool, worker);
        }
        let mut gone = vec![worker];
        let mut table = self.table.lock();
        let entry = &mut table.pools[pool];
        entry.leased -= 1;
        entry.figures.broken += 1;
        let memory = u128::from(entry.options.memory);
        table.memory -= memory;
        table.serve(&mut gone);
        let short = Self::is_short(&table, pool) || memory > 0;
        drop_unlocked(table, &mut gone);
        if short {
            self.upkeep.ring();
        }
    }

    fn put_idle(&self, pool: usize, worker: Worker) {
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        let tick = table.tick();
        let closed = table.closed;
        let entry = &mut table.pools[pool];
        entry.leased -= 1;
        let mut asked_at = None;
        if closed {
            let memory = u128::from(entry.options.memory);
            table.memory -= memory;
            gone.push(worker);
        } else {
            let since = entry.idle_since();
            let every = entry.options.check_every.max(SHORTEST_ROUND);
            asked_at = since.and_then(|since| since.checked_add(every));
            entry.idle.push_back(Idle { worker, tick, since });
            // The cap may have been lowered while it was leased.
            table.keep_cap(&mut gone);
            table.serve(&mut gone);
        }
        drop_unlocked(table, &mut gone);
        if let Some(asked_at) = asked_at {
            self.upkeep.wake_at(asked_at);
        }
    }

    /// Whether whoever keeps the pools should look at this one.
    fn is_short(table: &Table, pool: usize) -> bool {
        let entry = &table.pools[pool];
        entry.options.prewarm && entry.missing() > 0
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

/// In the place of a factory that was let go of, for whoever was about to call it.
fn closed() -> Factory {
    Arc::new(|| {
        Err(Failure::new(Code::STOPPED, "the pool was closed before its factory was called"))
    })
}

/// Runs the destructors of workers after the lock.
pub(super) fn drop_unlocked(table: MutexGuard<'_, Table>, gone: &mut Vec<Worker>) {
    drop(table);
    gone.clear();
}

/// Calls code of a user; a panic in it is a failure.
pub(super) fn run<T>(code: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).unwrap_or_else(|panic| {
        Err(Failure::new(Code::START_FAILED, format!("it panicked: {}", panic_text(&*panic))))
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
