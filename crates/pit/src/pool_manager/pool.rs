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

/// Demand of an hour ago says little: what was seen counts half after this time.
const DEMAND_HALF_LIFE: Duration = Duration::from_secs(60);

/// How a pool is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// How many workers may exist at once; at least 1.
    pub size: usize,
    /// What one worker takes of the memory cap, in bytes.
    pub memory: u64,
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
}

pub(super) struct Pool {
    pub(super) name: Arc<str>,
    pub(super) factory: Factory,
    pub(super) options: PoolOptions,
    /// The one that was used last stands at the back and is lent first.
    pub(super) idle: VecDeque<Idle>,
    pub(super) leased: usize,
    pub(super) starting: usize,
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
            starting: 0,
            figures: PoolStats::default(),
            demand: 0.0,
            demand_at: Instant::now(),
        }
    }

    /// Workers that exist or are being made.
    pub(super) fn count(&self) -> usize {
        self.idle.len() + self.leased + self.starting
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
            idle: self.idle.len(),
            leased: self.leased,
            starting: self.starting,
            waiting,
            memory: self.options.memory.saturating_mul(self.count() as u64),
            demand: self.demand(),
            ..self.figures
        }
    }
}
