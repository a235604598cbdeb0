//! The upkeep of pools: who is missing is made, who is idle is asked, by whoever keeps the pools in the background.
//!
//! Callers: the door to Python. One thread waits on [`Upkeep`], asks [`PoolManager::due`], and has each pool that is due tended
//! on a thread of its own. Invariant: a pool is tended by one thread at a time, so a check or a factory that hangs there costs
//! the upkeep of that pool alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{PitError, PitResult};

use super::manager::{PoolManager, drop_unlocked, run};
use super::pool::{Idle, Pool};
use super::upkeep::{SHORTEST_ROUND, Upkeep};

/// After a factory that failed in the background the pool is left alone this long, doubling to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl PoolManager {
    /// What to wait on for the upkeep, for the first who asks; none: somebody keeps these pools already.
    pub fn keep(&self) -> Option<Arc<Upkeep>> {
        self.upkeep.claim().then(|| Arc::clone(&self.upkeep))
    }

    /// The pools that are to be tended now; each is left out until its [`Self::tend`] has ended, or was put off.
    pub fn due(&self) -> Vec<Arc<str>> {
        let now = Instant::now();
        let mut table = self.table.lock();
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for index in 0..table.pools.len() {
            let at = if table.pools[index].tending.busy {
                None
            } else {
                moment(&table.pools[index], table.has_free(index), now)
            };
            let Some(at) = at else { continue };
            if at <= now {
                table.pools[index].tending.busy = true;
                due.push(Arc::clone(&table.pools[index].name));
            } else {
                next = Some(next.map_or(at, |before| before.min(at)));
            }
        }
        drop(table);
        if let Some(next) = next {
            self.upkeep.wake_at(next);
        }
        due
    }

    /// Asks the idle workers of a pool, then makes those that are missing. On the thread that calls.
    ///
    /// # Errors
    /// There is no such pool, the check or the factory failed, or the manager was closed. The pool is left alone for a
    /// while then.
    pub fn tend(&self, name: &str) -> PitResult<()> {
        let pool = self.index(name)?;
        let outcome = self.check_idle(pool).and_then(|()| self.make_missing(pool));
        self.tended(pool, outcome.is_err());
        outcome
    }

    /// Says that a pool cannot be tended now; it is due again in a while.
    pub fn put_off(&self, name: &str) {
        if let Ok(pool) = self.index(name) {
            self.tended(pool, true);
        }
    }

    fn tended(&self, pool: usize, failed: bool) {
        let mut table = self.table.lock();
        let tending = &mut table.pools[pool].tending;
        tending.busy = false;
        tending.failures = if failed { tending.failures.saturating_add(1) } else { 0 };
        let pause = PAUSE.saturating_mul(1 << tending.failures.saturating_sub(1).min(16));
        let pause = failed.then(|| pause.min(LONGEST_PAUSE));
        tending.not_before = pause.and_then(|pause| Instant::now().checked_add(pause));
        drop(table);
        self.upkeep.ring();
    }

    /// Asks each idle worker that was not asked for long; those that are not healthy are dropped.
    fn check_idle(&self, pool: usize) -> PitResult<()> {
        let began = Instant::now();
        loop {
            let mut table = self.table.lock();
            if table.closed {
                return Ok(());
            }
            let entry = &mut table.pools[pool];
            let Some(check) = entry.options.check.clone() else { return Ok(()) };
            let every = entry.options.check_every.max(SHORTEST_ROUND);
            let asked = |idle: &Idle| idle.since.is_some_and(|since| since + every <= began);
            let Some(at) = entry.idle.iter().position(asked) else { return Ok(()) };
            let Some(mut idle) = entry.idle.remove(at) else { return Ok(()) };
            entry.checking += 1;
            let name = entry.name.to_string();
            drop(table);
            let healthy = run(|| check(&idle.worker));
            let mut gone = Vec::new();
            let mut table = self.table.lock();
            let closed = table.closed;
            let entry = &mut table.pools[pool];
            entry.checking -= 1;
            if matches!(healthy, Ok(true)) && !closed {
                idle.since = Some(Instant::now());
                // Back where it stood: being asked is not being used.
                let at = entry.idle.partition_point(|other| other.tick < idle.tick);
                entry.idle.insert(at, idle);
                table.keep_cap(&mut gone);
            } else {
                entry.figures.unhealthy += u64::from(!closed);
                let memory = u128::from(entry.options.memory);
                table.memory -= memory;
                gone.push(idle.worker);
            }
            table.serve(&mut gone);
            drop_unlocked(table, &mut gone);
            healthy.map_err(|failure| PitError::PoolCheck {
                pool: name,
                failure: Box::new(failure),
            })?;
        }
    }

    fn make_missing(&self, pool: usize) -> PitResult<()> {
        loop {
            {
                let table = self.table.lock();
                let entry = &table.pools[pool];
                if table.closed || !entry.options.prewarm || entry.missing() == 0 {
                    return Ok(());
                }
            }
            if !self.prewarm_at(pool)? {
                return Ok(());
            }
        }
    }
}

/// When a pool is to be tended. None: nothing in it will be due by itself.
fn moment(pool: &Pool, has_free: bool, now: Instant) -> Option<Instant> {
    let every = pool.options.check_every.max(SHORTEST_ROUND);
    let check = pool.options.check.is_some();
    let asked = pool.idle.iter().filter_map(|idle| idle.since).min();
    let asked = asked.filter(|_| check).and_then(|since| since.checked_add(every));
    let missing = (pool.options.prewarm && has_free && pool.missing() > 0).then_some(now);
    let at = [asked, missing].into_iter().flatten().min()?;
    Some(pool.tending.not_before.map_or(at, |not_before| at.max(not_before)))
}
