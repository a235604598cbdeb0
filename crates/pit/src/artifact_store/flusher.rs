//! The background thread that brings the index up to date.
//!
//! It sleeps until something changes, then gathers for a while, so an idle store costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

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
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Signal {
    dirty: AtomicBool,
    stopping: Mutex<bool>,
    wake: Condvar,
}

impl Flusher {
    pub(super) fn start(core: &Arc<Core>) -> PitResult<Self> {
        let signal = Arc::new(Signal::default());
        let thread = {
            let (core, signal) = (Arc::clone(core), Arc::clone(&signal));
            thread::Builder::new()
                .name("symphony-artifacts".to_owned())
                .spawn(move || run(&core, &signal))
                .map_err(PitError::io("start the thread of", "artifact-store"))?
        };
        Ok(Self { signal, thread: Mutex::new(Some(thread)) })
    }

    /// Says that there is something to flush; nearly free when that is known.
    pub(super) fn changed(&self) {
        if !self.signal.dirty.load(Ordering::Relaxed)
            && !self.signal.dirty.swap(true, Ordering::AcqRel)
        {
            // Under the lock, or the thread could look before and sleep after.
            let _stopping = self.signal.stopping.lock();
            self.signal.wake.notify_one();
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        *self.signal.stopping.lock() = true;
        self.signal.wake.notify_one();
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the artifact store's thread panicked");
        }
    }
}

fn run(core: &Core, signal: &Signal) {
    if let Err(error) = core.check_index() {
        // Whoever reads it hears of that too, and tries again.
        tracing::warn!(%error, "the artifact index could not be checked");
    }
    let mut failures = 0;
    while gather(core, signal, failures) {
        signal.dirty.store(false, Ordering::Release);
        match core.flush() {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                core.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "the artifact index could not be brought up to date; it is tried again");
                signal.dirty.store(true, Ordering::Release);
            }
        }
    }
}

/// Waits until a batch is due, the longer the more failed in a row; false when the store is closed (which flushes by
/// itself).
fn gather(core: &Core, signal: &Signal, failures: u32) -> bool {
    let mut stopping = signal.stopping.lock();
    while !*stopping && !signal.dirty.load(Ordering::Acquire) {
        signal.wake.wait(&mut stopping);
    }
    let due = Instant::now() + GATHER.saturating_mul(1 << failures.min(5)).min(LONGEST);
    while !*stopping && Instant::now() < due {
        signal.wake.wait_until(&mut stopping, (Instant::now() + LOOK).min(due));
        if failures == 0 && core.index.read().waiting() >= MANY_ROWS {
            break;
        }
    }
    !*stopping
}
