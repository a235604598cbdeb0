//! A thread that does something now and then until it is stopped.
//!
//! Started by the manager where a store has limits, ended by its close. Invariant: what it does is never under way once a stop
//! from another thread has returned.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::{PitError, PitResult};

#[derive(Debug, Default)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: Mutex<bool>,
    wake: Condvar,
}

impl Keeper {
    /// Starts the thread, unless it runs. `step` is called first at `at`, and then when it says; none: it is over.
    pub(super) fn start(
        &self,
        at: Instant,
        step: impl FnMut() -> Option<Instant> + Send + 'static,
    ) -> PitResult<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() && !self.is_stopping() {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new()
                .name("symphony-limits".to_owned())
                .spawn(move || shared.run(at, step));
            *thread = Some(started.map_err(PitError::io("start the thread of", "stale-manager"))?);
        }
        Ok(())
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        *self.shared.stopping.lock() = true;
        self.shared.wake.notify_all();
        let running = self.thread.lock().take();
        // The thread itself lets go of the manager last where nobody else has it any more.
        let other = running.filter(|thread| thread.thread().id() != thread::current().id());
        if other.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the stale manager's thread panicked");
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.shared.stopping.lock()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, mut at: Instant, mut step: impl FnMut() -> Option<Instant>) {
        loop {
            let mut stopping = self.stopping.lock();
            while !*stopping && Instant::now() < at {
                self.wake.wait_until(&mut stopping, at);
            }
            if *stopping {
                return;
            }
            drop(stopping);
            match step() {
                Some(next) => at = next,
                None => return,
            }
        }
    }
}
