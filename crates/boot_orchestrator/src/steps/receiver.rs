//! A queue of steps as the thread sees it that runs them.
//!
//! Caller: the bindings, once for each thread that they start, and for the thread that boots. Invariant: a shared thread is
//! counted as about to come until it asks for its first step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::queue::{QueuedStep, StepQueue, Taken};
use super::threads::StepThreads;

/// Where one thread takes its steps from.
pub struct StepReceiver<T>(Source<T>);

enum Source<T> {
    /// A queue that nobody else takes from.
    Queue(Arc<StepQueue<T>>),
    /// The same, for as long as one question has not ended.
    Until(Arc<StepQueue<T>>, Arc<AtomicBool>),
    /// The queue that several threads share; whether this one has not asked yet.
    Shared(Arc<StepThreads<T>>, AtomicBool),
}

impl<T: Send + Sync + 'static> StepReceiver<T> {
    /// For the one thread of this queue.
    pub const fn of(queue: Arc<StepQueue<T>>) -> Self {
        Self(Source::Queue(queue))
    }

    /// For the one thread of this queue, until `ended`: of a question that it waits for.
    pub(super) const fn until(queue: Arc<StepQueue<T>>, ended: Arc<AtomicBool>) -> Self {
        Self(Source::Until(queue, ended))
    }

    /// For one more thread that components share, as ordered.
    pub const fn shared(threads: Arc<StepThreads<T>>) -> Self {
        Self(Source::Shared(threads, AtomicBool::new(true)))
    }

    /// A step that a shared thread can have at once, without waiting.
    pub fn ready(&self) -> Option<Arc<QueuedStep<T>>> {
        match &self.0 {
            Source::Shared(threads, starting) if !starting.load(Ordering::Relaxed) => {
                threads.take_ready()
            }
            _ => None,
        }
    }

    /// Waits for the next step without a timeout; none when the thread may end.
    pub fn next(&self) -> Option<Arc<QueuedStep<T>>> {
        let taken = match &self.0 {
            Source::Queue(queue) => queue.take(None, None),
            Source::Until(queue, ended) => queue.take(None, Some(ended)),
            // This thread alone asks here.
            Source::Shared(threads, starting) => {
                threads.take_shared(starting.swap(false, Ordering::Relaxed))
            }
        };
        taken.step()
    }

    /// Waits for the next step for so long; a shared thread does not wait so.
    pub fn next_within(&self, span: Duration) -> Taken<T> {
        match &self.0 {
            Source::Queue(queue) => queue.take(Some(span), None),
            Source::Until(queue, ended) => queue.take(Some(span), Some(ended)),
            Source::Shared(..) => self.next().map_or(Taken::Closed, Taken::Step),
        }
    }

    /// Nobody takes steps from here any more: those that wait, and those that come, are told so.
    pub fn end(&self) {
        match &self.0 {
            Source::Queue(queue) | Source::Until(queue, _) => queue.end(),
            Source::Shared(threads, _) => threads.end_shared(),
        }
    }

    /// The thread for this could not be started: the step that it was for, if any.
    pub fn without_thread(&self) -> Option<Arc<QueuedStep<T>>> {
        match &self.0 {
            Source::Queue(queue) | Source::Until(queue, _) => queue.without_thread(),
            Source::Shared(threads, _) => threads.without_thread(),
        }
    }

    /// The thread that takes from here will not come back.
    pub fn left(&self) {
        if let Source::Shared(threads, _) = &self.0 {
            threads.left();
        }
    }
}
