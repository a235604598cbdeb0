//! Work on a thread of its own, while the thread that waits for it works off the steps that belong to it.
//!
//! Callers: `awaited` for the steps of a swap, the bindings for health and shutdown. Several may be on their way at once.
//! Invariant: whoever waits is told that the work has ended however it ended, by a panic as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};

use super::receiver::StepReceiver;
use super::sync::Mutex;
use super::threads::StepThreads;

/// Says when it is dropped that the work has ended, and wakes the thread that works off steps meanwhile.
struct EndSignal<T: Send + Sync + 'static> {
    threads: Arc<StepThreads<T>>,
    ended: Arc<AtomicBool>,
}

impl<T: Send + Sync + 'static> Drop for EndSignal<T> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.threads.calling().wake();
    }
}

/// Work whose answer is an `A`.
pub struct WorkBeside<T, A> {
    threads: Arc<StepThreads<T>>,
    ended: Arc<AtomicBool>,
    answer: Mutex<Option<Receiver<A>>>,
}

impl<T: Send + Sync + 'static, A: Send + 'static> WorkBeside<T, A> {
    /// Begins it, on a thread of that name.
    ///
    /// # Errors
    /// There are too many threads.
    pub fn begin(
        threads: &Arc<StepThreads<T>>,
        name: &str,
        work: impl FnOnce() -> A + Send + 'static,
    ) -> std::io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(1);
        let end = EndSignal { threads: Arc::clone(threads), ended: Arc::clone(&ended) };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Bound to a name, so that it is dropped when the work unwinds.
            let _end = end;
            // Nobody waits for it any more only when the process ends.
            let _ = sender.send(work());
        })?;
        Ok(Self { threads: Arc::clone(threads), ended, answer: Mutex::new(Some(receiver)) })
    }

    /// What the thread that waits works off, until this has ended.
    pub fn steps(&self) -> StepReceiver<T> {
        StepReceiver::until(Arc::clone(self.threads.calling()), Arc::clone(&self.ended))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for the answer; none where the work panicked, or when it was asked for before.
    pub fn answer(&self) -> Option<A> {
        let receiver = self.answer.lock().take();
        receiver.and_then(|receiver| receiver.recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::WorkBeside;
    use crate::steps::Taken;
    use crate::steps::threads::StepThreads;

    #[test]
    fn whoever_waits_is_told_of_the_end_of_work_that_panics() {
        let threads = StepThreads::<()>::new();
        let work: WorkBeside<(), u8> =
            WorkBeside::begin(&threads, "panics", || panic!("as the test wants it")).unwrap();
        let steps = work.steps();
        let limit = Instant::now() + Duration::from_secs(10);
        while !matches!(steps.next_within(Duration::from_millis(50)), Taken::Closed) {
            assert!(Instant::now() < limit, "nobody said that it has ended");
        }
        assert_eq!(work.answer(), None);
    }
}
