//! Work on a thread of its own, while the thread that waits for it works off the steps that belong to it.
//!
//! Callers: `awaited` for the steps of a swap, the bindings for health and shutdown. Several may be on their way at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};

use super::receiver::StepReceiver;
use super::sync::Mutex;
use super::threads::StepThreads;

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
        let (told, over) = (Arc::clone(threads), Arc::clone(&ended));
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody waits for it any more only when the process ends.
            let _ = sender.send(work());
            over.store(true, Ordering::Release);
            told.calling().wake();
        })?;
        Ok(Self { threads: Arc::clone(threads), ended, answer: Mutex::new(Some(receiver)) })
    }

    /// What the thread that waits works off, until this has ended.
    pub fn steps(&self) -> StepReceiver<T> {
        StepReceiver::until(Arc::clone(self.threads.calling()), Arc::clone(&self.ended))
    }

    /// Waits for the answer; none where the work panicked, or when it was asked for before.
    pub fn answer(&self) -> Option<A> {
        let receiver = self.answer.lock().take();
        receiver.and_then(|receiver| receiver.recv().ok())
    }
}
