//! One thread that runs small things at a later time.
//!
//! Serves every extension of a kit: start deadlines, restart delays, liveness. Invariants: a task never runs before its
//! time; one that panics ends itself and not the thread; with nothing to wait for the thread sleeps; when the last
//! [`Timer`] is dropped it ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

type Task = Box<dyn FnOnce() + Send>;

/// A task that is to run: by it the task is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    at: Instant,
    order: u64,
}

#[derive(Default)]
struct Queue {
    tasks: BTreeMap<Alarm, Task>,
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
    pub(crate) fn after(&self, delay: Duration, task: impl FnOnce() + Send + 'static) -> Alarm {
        let at = Instant::now() + delay.min(component::LONGEST);
        let mut queue = self.shared.queue.lock();
        let order = queue.next;
        queue.next += 1;
        let alarm = Alarm { at, order };
        queue.tasks.insert(alarm, Box::new(task));
        self.shared.changed.notify_one();
        alarm
    }

    /// Takes a task back, where it has not run: what it holds would stay until its time else.
    pub(crate) fn cancel(&self, alarm: Alarm) {
        let task = self.shared.queue.lock().tasks.remove(&alarm);
        // What it holds may be a last handle, whose end is nothing for under the lock.
        drop(task);
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
            match queue.tasks.first_key_value().map(|(alarm, _)| alarm.at) {
                Some(at) if at <= Instant::now() => break queue.tasks.pop_first(),
                Some(at) => drop(shared.changed.wait_until(&mut queue, at)),
                None => shared.changed.wait(&mut queue),
            }
        };
        drop(queue);
        if let Some((_, task)) = task {
            // Every other extension's deadlines are kept by this thread.
            if catch_unwind(AssertUnwindSafe(task)).is_err() {
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
    fn a_task_that_is_taken_back_does_not_run_and_is_let_go_of_at_once() {
        let timer = Timer::start().unwrap();
        let (tell, told) = mpsc::channel::<()>();
        let alarm = timer.after(Duration::from_secs(1000), move || tell.send(()).unwrap());
        timer.cancel(alarm);
        timer.cancel(alarm);
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
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
