//! The background thread that brings the index up to date.
//!
//! It sleeps until something changes, then gathers for a while, so an idle store costs nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::changes::Changes;
use super::store::Core;
use crate::{PitError, PitResult};

/// How long changes gather.
const GATHER: Duration = Duration::from_secs(2);
/// More waiting rows than this are not gathered any longer.
const MANY_ROWS: usize = 20_000;
const LOOK: Duration = Duration::from_millis(100);
/// A disk that refuses is asked again after so long at most.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Flusher {
    core: Arc<Core>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flusher {
    pub(super) fn start(core: &Arc<Core>) -> PitResult<Self> {
        let core = Arc::clone(core);
        let thread = {
            let core = Arc::clone(&core);
            thread::Builder::new()
                .name("symphony-artifacts".to_owned())
                .spawn(move || run(&core, &core.changes))
                .map_err(PitError::io("start the thread of", "artifact-store"))?
        };
        Ok(Self { core, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        *self.core.changes.stopping.lock() = true;
        self.core.changes.wake.notify_one();
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the artifact store's thread panicked");
        }
    }
}

fn run(core: &Core, changes: &Changes) {
    if let Err(error) = core.check_index() {
        // Whoever reads it hears of that too, and tries again.
        tracing::warn!(%error, "the artifact index could not be checked");
    }
    match core.check_large_index() {
        Ok(()) => core.remove_what_a_crash_left(),
        Err(PitError::Stopped { .. }) => {}
        Err(error) => tracing::warn!(%error, "the artifact index could not be checked"),
    }
    let mut failures = 0;
    while gather(core, changes, failures) {
        changes.dirty.store(false, Ordering::Release);
        match core.flush() {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                core.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "the artifact index could not be brought up to date; it is tried again");
                changes.dirty.store(true, Ordering::Release);
            }
        }
    }
}

/// Waits until a batch is due, the longer the more failed in a row; false when the store is closed (which flushes by
/// itself).
fn gather(core: &Core, changes: &Changes, failures: u32) -> bool {
    let mut stopping = changes.stopping.lock();
    while !*stopping && !changes.dirty.load(Ordering::Acquire) {
        changes.wake.wait(&mut stopping);
    }
    let due = Instant::now() + GATHER.saturating_mul(1 << failures.min(5)).min(LONGEST);
    while !*stopping && Instant::now() < due {
        changes.wake.wait_until(&mut stopping, (Instant::now() + LOOK).min(due));
        // Without the lock: whoever has the index may be about to say that something changed.
        let waiting = MutexGuard::unlocked(&mut stopping, || core.index.read().waiting());
        if failures == 0 && waiting >= MANY_ROWS {
            break;
        }
    }
    !*stopping
}
