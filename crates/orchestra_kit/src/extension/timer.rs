//! One thread that runs small things at a later time.
//!
//! Serves every extension of a kit: start deadlines, restart delays, liveness. Invariants: a task never runs before its
//! time; one that panics ends itself and not the thread; with nothing to wait for the thread sleeps; when the last
//! [`Timer`] is dropped it ends.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

type Task = Box<dyn FnOnce() + Send>;

struct Entry {
    at: Instant,
    order: u64,
    task: Task,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest, as the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

#[derive(Default)]
struct Queue {
    entries: BinaryHeap<Entry>,
    next: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The timer's handle.
pub(crate) struct Timer {
    shared: Arc<Shared>,
}

impl Timer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("symphony-timer".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || serve(&serving))?;
        Ok(Arc::new(Self { shared }))
    }

    /// Runs `task` on the timer's thread after `delay`. It must not block.
    pub(crate) fn after(&self, delay: Duration, task: impl FnOnce() + Send + 'static) {
        let at = Instant::now() + delay.min(component::LONGEST);
        let mut queue = self.shared.queue.lock();
        let order = queue.next;
        queue.next += 1;
        queue.entries.push(Entry { at, order, task: Box::new(task) });
        self.shared.changed.notify_one();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

fn serve(shared: &Shared) {
    loop {
        let mut queue = shared.queue.lock();
        let task = loop {
            if queue.closed {
                return;
            }
            match queue.entries.peek().map(|entry| entry.at) {
                Some(at) if at <= Instant::now() => break queue.entries.pop(),
                Some(at) => drop(shared.changed.wait_until(&mut queue, at)),
                None => shared.changed.wait(&mut queue),
            }
        };
        drop(queue);
        if let Some(entry) = task {
            // Every other extension's deadlines are kept by this thread.
            if catch_unwind(AssertUnwindSafe(entry.task)).is_err() {
                tracing::error!("a task of the timer panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::Timer;

    #[test]
    fn tasks_run_in_the_order_of_their_times_and_not_before() {
        let timer = Timer::start().unwrap();
        let (tell, told) = mpsc::channel();
        let start = Instant::now();
        for milliseconds in [60, 20, 40] {
            let tell = tell.clone();
            let delay = Duration::from_millis(milliseconds);
            timer
                .after(delay, move || tell.send((milliseconds, start.elapsed() >= delay)).unwrap());
        }
        let ran: Vec<_> =
            (0..3).map(|_| told.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        assert_eq!(ran, [(20, true), (40, true), (60, true)]);
    }

    #[test]
    fn a_task_that_panics_ends_itself_and_not_the_thread() {
        let timer = Timer::start().unwrap();
        let (tell, told) = mpsc::channel();
        timer.after(Duration::ZERO, || panic!("as the test wants it"));
        timer.after(Duration::MAX, || panic!("its time never comes"));
        timer.after(Duration::from_millis(20), move || tell.send(()).unwrap());
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}
