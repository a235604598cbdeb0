//! A few threads for what guests ask of the Pit, so that no lane's reader waits for it.
//!
//! Called by the process host. Threads are made when all are busy, up to a limit, and leave when idle. Invariant: a
//! job beyond the queue is refused, never dropped in silence; one that panics ends itself and not its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The most threads; jobs wait for each other only inside the Pit (a lease, a grant), and those have deadlines.
pub(super) const THREADS: usize = 16;
/// The most jobs that wait.
const QUEUE: usize = 1024;
/// A thread without work leaves after so long.
const IDLE: Duration = Duration::from_secs(5);

/// The threads.
pub(crate) struct Workers {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    threads: Arc<AtomicUsize>,
    idle: Arc<AtomicUsize>,
}

/// All threads are busy and the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Workers {
    pub(crate) fn new() -> Self {
        let (jobs, waiting) = bounded(QUEUE);
        Self { jobs, waiting, threads: Arc::default(), idle: Arc::default() }
    }

    /// Runs a job soon.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(Full),
        }
        let waiting = self.jobs.len();
        if waiting > self.idle.load(Ordering::Acquire) || self.threads.load(Ordering::Acquire) == 0
        {
            self.grow();
        }
        Ok(())
    }

    fn grow(&self) {
        if self.threads.fetch_add(1, Ordering::AcqRel) >= THREADS {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let (jobs, threads, idle) =
            (self.waiting.clone(), Arc::clone(&self.threads), Arc::clone(&self.idle));
        let started = std::thread::Builder::new()
            .name("symphony-requests".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || serve(&jobs, &threads, &idle));
        if let Err(error) = started {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(%error, "no thread for the requests of extensions");
        }
    }
}

fn serve(jobs: &Receiver<Job>, threads: &AtomicUsize, idle: &AtomicUsize) {
    loop {
        idle.fetch_add(1, Ordering::AcqRel);
        let job = jobs.recv_timeout(IDLE);
        idle.fetch_sub(1, Ordering::AcqRel);
        if let Ok(job) = job {
            run(job);
            continue;
        }
        threads.fetch_sub(1, Ordering::AcqRel);
        // One may have come between the end of the wait and the count.
        while let Ok(job) = jobs.try_recv() {
            run(job);
        }
        return;
    }
}

/// A thread that ended here would stay counted, and after enough of them no request were ever served.
pub(super) fn run(job: Job) {
    or_panicked(job, || ());
}

/// What `work` gives, or `panicked` where it panics: whoever waits for an answer gets one.
pub(crate) fn or_panicked<T>(work: impl FnOnce() -> T, panicked: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("a request of an extension panicked");
        panicked()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{THREADS, Workers};

    #[test]
    fn jobs_run_side_by_side_and_all_of_them() {
        let workers = Workers::new();
        let (enter, entered) = mpsc::channel();
        let (leave, left) = crossbeam_channel::unbounded::<()>();
        for number in 0..4 {
            let (enter, left) = (enter.clone(), left.clone());
            workers
                .run(move || {
                    enter.send(number).unwrap();
                    let _ = left.recv_timeout(Duration::from_secs(10));
                })
                .unwrap();
        }
        // All four are inside at once: none waits for another to leave.
        let mut seen: Vec<_> =
            (0..4).map(|_| entered.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
        drop(leave);
    }

    #[test]
    fn jobs_that_panic_cost_no_thread() {
        let workers = Workers::new();
        for _ in 0..2 * THREADS {
            workers.run(|| panic!("as the test wants it")).unwrap();
        }
        let (tell, told) = mpsc::channel();
        workers.run(move || tell.send(()).unwrap()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}
