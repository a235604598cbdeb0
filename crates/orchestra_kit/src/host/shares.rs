//! How many workers the waiting calls of one guest may have, so that one greedy guest delays nobody.
//!
//! Called where guests' calls are routed. What a guest asks beyond its share waits in a queue of its own, in order.
//! Invariant: whoever runs a guest's job takes its next one, so none stays behind while its share has room.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;

use super::workers::{Full, Workers};

type Job = Box<dyn FnOnce() + Send>;

/// The workers that one guest's waiting calls may have.
const SHARE: usize = 5;
/// The most waiting calls of one guest beyond those.
const QUEUE: usize = 256;

#[derive(Default)]
struct Share {
    running: usize,
    waiting: VecDeque<Job>,
}

/// What every guest has of the workers. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<String, Share>>>);

impl Shares {
    /// Runs a job of that guest as soon as its share has room.
    ///
    /// # Errors
    /// [`Full`] when too many of its jobs, or of all, wait.
    pub(crate) fn run(
        &self,
        workers: &Workers,
        guest: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Full> {
        let mut shares = self.0.lock();
        let share = shares.entry(guest.to_owned()).or_default();
        if share.running >= SHARE {
            if share.waiting.len() >= QUEUE {
                return Err(Full);
            }
            share.waiting.push_back(Box::new(job));
            return Ok(());
        }
        let (me, name) = (self.clone(), guest.to_owned());
        // Under the lock: nothing may be queued behind a job that is then refused.
        let queued = workers.run(move || me.serve(&name, Box::new(job)));
        match queued {
            Ok(()) => share.running += 1,
            Err(Full) if share.running == 0 => {
                shares.remove(guest);
            }
            Err(Full) => {}
        }
        queued
    }

    fn serve(&self, guest: &str, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!(guest, "a call of an extension panicked");
            }
            next = self.next(guest);
        }
    }

    /// The guest's next job; none: the one who asks has left.
    fn next(&self, guest: &str) -> Option<Job> {
        let mut shares = self.0.lock();
        let share = shares.get_mut(guest)?;
        let next = share.waiting.pop_front();
        if next.is_none() {
            share.running -= 1;
            if share.running == 0 {
                shares.remove(guest);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{QUEUE, SHARE, Shares};
    use crate::host::Workers;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_greedy_guest_delays_nobody_and_gets_all_it_asked_for() {
        let (workers, shares) = (Workers::new(), Shares::default());
        let (leave, left) = crossbeam_channel::unbounded::<()>();
        let (ran, runs) = mpsc::channel();
        for number in 0..SHARE + QUEUE {
            let (left, ran) = (left.clone(), ran.clone());
            let job = move || {
                let _ = left.recv_timeout(LONG);
                ran.send(number).unwrap();
                assert_ne!(number % 7, 0, "one that panics costs none of the others");
            };
            shares.run(&workers, "greedy", job).unwrap();
        }
        assert!(shares.run(&workers, "greedy", || ()).is_err());
        let (answer, answered) = mpsc::channel();
        shares.run(&workers, "other", move || answer.send(()).unwrap()).unwrap();
        answered.recv_timeout(LONG / 2).expect("the other guest waited for the greedy one");
        drop(leave);
        let mut seen: Vec<_> =
            (0..SHARE + QUEUE).map(|_| runs.recv_timeout(LONG).unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..SHARE + QUEUE));
    }
}
