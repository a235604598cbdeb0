//! The right to use one worker, until it is dropped.

use std::sync::Arc;

use super::{PoolManager, Worker};

/// A leased worker. Dropping it gives the worker back, or drops the worker where it is broken.
#[must_use = "a lease that is dropped is given back at once"]
pub struct Lease {
    manager: Arc<PoolManager>,
    pool: usize,
    name: Arc<str>,
    worker: Option<Worker>,
    broken: bool,
}

impl Lease {
    pub(super) fn new(
        manager: Arc<PoolManager>,
        pool: usize,
        name: Arc<str>,
        worker: Worker,
    ) -> Self {
        Self { manager, pool, name, worker: Some(worker), broken: false }
    }

    /// The worker, where it is of that type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.worker.as_ref()?.downcast_ref()
    }

    /// The worker to change, where it is of that type.
    pub fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.worker.as_mut()?.downcast_mut()
    }

    /// Says that the worker must not be used again: it is dropped with the lease, and its place is free.
    pub fn mark_broken(&mut self) {
        self.broken = true;
    }

    /// The pool that it came from.
    pub fn pool(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lease")
            .field("pool", &self.name)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            // Whoever panicked while using it may have left it in pieces.
            let broken = self.broken || std::thread::panicking();
            self.manager.give_back(self.pool, worker, broken);
        }
    }
}
