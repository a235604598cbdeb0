//! One pool: its factory, its idle workers, its figures.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::Failure;

/// What a pool lends: anything that may move between threads.
pub type Worker = Box<dyn Any + Send>;

/// Makes a worker, on the thread that leases and never under a lock.
pub type Factory = Arc<dyn Fn() -> Result<Worker, Failure> + Send + Sync>;

/// Whether an idle worker may still be lent, asked on the thread that leases or keeps the pools and never under a lock. An
/// error is one of the asking itself, such as an interruption: the worker is dropped and the error told.
pub type Check = Arc<dyn Fn(&Worker) -> Result<bool, Failure> + Send + Sync>;

/// How long a factory may take before others may have its place, where nothing else is said.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Demand of an hour ago says little: what was seen counts half after this time.
const DEMAND_HALF_LIFE: Duration = Duration::from_secs(60);

/// How a pool is registered.
#[derive(Clone)]
pub struct PoolOptions {
    /// How many workers may exist at once; at least 1.
    pub size: usize,
    /// What one worker takes of the memory cap, in bytes.
    pub memory: u64,
    /// How long the factory may take until whoever waits may have its place.
    pub start_timeout: Duration,
    /// Asked of a worker that was idle, before it is lent. None: whatever is idle is lent.
    pub check: Option<Check>,
    /// For how long what was given back or passed its check is lent unasked; also how often the idle ones are asked by
    /// whoever keeps the pools.
    pub check_every: Duration,
    /// Whether workers that are missing by what was observed of use are made ahead by whoever keeps the pools.
    pub prewarm: bool,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            size: 1,
            memory: 0,
            start_timeout: START_TIMEOUT,
            check: None,
            check_every: Duration::ZERO,
            prewarm: false,
        }
    }
}

impl std::fmt::Debug for PoolOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PoolOptions")
            .field("size", &self.size)
            .field("memory", &self.memory)
            .field("start_timeout", &self.start_timeout)
            .field("check", &self.check.is_some())
            .field("check_every", &self.check_every)
            .field("prewarm", &self.prewarm)
            .finish()
    }
}

/// A pool's figures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolStats {
    /// How many workers may exist.
    pub size: usize,
    /// Workers that wait to be leased.
    pub idle: usize,
    /// Workers that are leased.
    pub leased: usize,
    /// Workers that a factory is making.
    pub starting: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// Leases that found a warm worker.
    pub hits: u64,
    /// Leases that had to make one.
    pub misses: u64,
    /// Workers that the factory made.
    pub created: u64,
    /// Factory calls that failed.
    pub failures: u64,
    /// Idle workers that were dropped to make room.
    pub evicted: u64,
    /// Workers that were given back broken.
    pub broken: u64,
    /// Idle workers that did not pass their check.
    pub unhealthy: u64,
    /// Factory calls that took so long that others were given their place.
    pub overdue: u64,
    /// Leases that timed out.
    pub timeouts: u64,
    /// Memory of its workers, in bytes.
    pub memory: u64,
    /// How many leases at once were seen lately: a peak that fades by half each minute.
    pub demand: f64,
}

pub(super) struct Idle {
    pub(super) worker: Worker,
    /// When it was given back, on the manager's own count: smaller is older.
    pub(super) tick: u64,
    /// Since when it is not known to be healthy; none where the pool never asks.
    pub(super) since: Option<Instant>,
}

/// A factory at work.
pub(super) struct Starting {
    pub(super) ticket: u64,
    /// From then on whoever waits may have its place. None: never.
    pub(super) due: Option<Instant>,
}

/// How the upkeep of a pool goes.
#[derive(Default)]
pub(super) struct Tending {
    /// Somebody is at it.
    pub(super) busy: bool,
    /// After a factory that failed, not before then.
    pub(super) not_before: Option<Instant>,
    /// Factory calls that failed in a row.
    pub(super) failures: u32,
}

pub(super) struct Pool {
    pub(super) name: Arc<str>,
    pub(super) factory: Factory,
    pub(super) options: PoolOptions,
    /// The one that was used last stands at the back and is lent first.
    pub(super) idle: VecDeque<Idle>,
    pub(super) leased: usize,
    /// Idle workers that are being asked whether they are healthy.
    pub(super) checking: usize,
    pub(super) starting: Vec<Starting>,
    pub(super) tending: Tending,
    pub(super) figures: PoolStats,
    demand: f64,
    demand_at: Instant,
}

impl Pool {
    pub(super) fn new(name: Arc<str>, factory: Factory, options: PoolOptions) -> Self {
        Self {
            name,
            factory,
            options,
            idle: VecDeque::new(),
            leased: 0,
            checking: 0,
            starting: Vec::new(),
            tending: Tending::default(),
            figures: PoolStats::default(),
            demand: 0.0,
            demand_at: Instant::now(),
        }
    }

    /// Workers that exist or are being made.
    pub(super) fn count(&self) -> usize {
        self.idle.len() + self.leased + self.checking + self.starting.len()
    }

    /// Workers that lately were leased at once and do not exist now.
    pub(super) fn missing(&self) -> usize {
        let wanted = self.demand().round().min(self.options.size as f64);
        // Rounded, not negative and at most the size, so it is a whole number of workers.
        let wanted = (0..self.options.size).take_while(|&count| (count as f64) < wanted).count();
        wanted.saturating_sub(self.count())
    }

    /// Since when a worker that is put among the idle ones is not known to be healthy.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.options.check.is_some().then(Instant::now)
    }

    /// A lease began: the peak is raised. Asks the clock only when the peak may have faded below.
    pub(super) fn lent(&mut self) {
        self.leased += 1;
        let now_leased = self.leased as f64;
        if now_leased >= self.demand {
            self.demand = now_leased;
            self.demand_at = Instant::now();
        }
    }

    pub(super) fn demand(&self) -> f64 {
        let halvings = self.demand_at.elapsed().as_secs_f64() / DEMAND_HALF_LIFE.as_secs_f64();
        (self.demand * (-halvings).exp2()).max(self.leased as f64)
    }

    pub(super) fn stats(&self, waiting: usize) -> PoolStats {
        PoolStats {
            size: self.options.size,
            idle: self.idle.len() + self.checking,
            leased: self.leased,
            starting: self.starting.len(),
            waiting,
            memory: self.options.memory.saturating_mul(self.count() as u64),
            demand: self.demand(),
            ..self.figures
        }
    }
}
