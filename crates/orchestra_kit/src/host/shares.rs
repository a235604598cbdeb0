//! How many workers the waiting calls of guests may have, so that one greedy guest delays nobody.
//!
//! Called where guests' calls are routed. What a guest asks beyond its share, or when all shares together have their
//! most, waits in a queue of its own, in order. Invariants: whoever has run a job takes the next that may run, so none
//! stays behind while there is room; some workers are left for what does not wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::workers::{self, Full, Job, THREADS, Workers};

/// The workers that one guest's waiting calls may have.
const SHARE: usize = 5;
/// The workers that those of all guests may have: the others are for what does not wait, as to give back a grant.
const SHARES: usize = THREADS - 4;
/// The most waiting calls of one guest beyond those.
const QUEUE: usize = 256;

#[derive(Default)]
struct Share {
    running: usize,
    waiting: VecDeque<Job>,
}

#[derive(Default)]
struct All {
    running: usize,
    guests: HashMap<String, Share>,
}

/// What every guest has of the workers. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<All>>);

impl Shares {
    /// Runs a job of that guest as soon as there is room.
    ///
    /// # Errors
    /// [`Full`] when too many of its jobs, or of all, wait.
    pub(crate) fn run(
        &self,
        workers: &Workers,
        guest: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Full> {
        let mut all = self.0.lock();
        let all = &mut *all;
        let room = all.running < SHARES;
        let share = all.guests.entry(guest.to_owned()).or_default();
        if !room || share.running >= SHARE {
            if share.waiting.len() >= QUEUE {
                return Err(Full);
            }
            share.waiting.push_back(Box::new(job));
            return Ok(());
        }
        let (me, name) = (self.clone(), guest.to_owned());
        // Under the lock: nothing may be queued behind a job that is then refused.
        let queued = workers.run(move || me.serve(name, Box::new(job)));
        match queued {
            Ok(()) => {
                share.running += 1;
                all.running += 1;
            }
            Err(Full) if share.running == 0 && share.waiting.is_empty() => {
                all.guests.remove(guest);
            }
            Err(Full) => {}
        }
        queued
    }

    fn serve(&self, guest: String, first: Job) {
        let mut next = Some((guest, first));
        while let Some((guest, job)) = next {
            workers::run(job);
            next = self.0.lock().next(&guest);
        }
    }
}

impl All {
    /// A job of that guest has ended: the next one that may run, and whose it is. None: the one who asks has left.
    fn next(&mut self, guest: &str) -> Option<(String, Job)> {
        if let Some(share) = self.guests.get_mut(guest) {
            share.running -= 1;
            if share.running == 0 && share.waiting.is_empty() {
                self.guests.remove(guest);
            }
        }
        // The one that has the least first: nobody who waits is passed over by a greedy one for ever.
        let may_run = |share: &Share| share.running < SHARE && !share.waiting.is_empty();
        let waiting = self.guests.iter_mut().filter(|(_, share)| may_run(share));
        let chosen = waiting.min_by_key(|(_, share)| share.running);
        let Some((name, share)) = chosen else {
            self.running -= 1;
            return None;
        };
        let job = share.waiting.pop_front()?;
        share.running += 1;
        Some((name.clone(), job))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{QUEUE, SHARE, SHARES, Shares};
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

    #[test]
    fn what_waits_leaves_workers_to_what_does_not_and_is_served_in_the_end() {
        let (workers, shares) = (Workers::new(), Shares::default());
        let (leave, left) = crossbeam_channel::unbounded::<()>();
        let (ran, runs) = mpsc::channel();
        for number in 0..2 * SHARES {
            let (left, ran) = (left.clone(), ran.clone());
            let job = move || {
                let _ = left.recv_timeout(LONG);
                ran.send(number).unwrap();
            };
            shares.run(&workers, &format!("guest {}", number % 6), job).unwrap();
        }
        let (answer, answered) = mpsc::channel();
        workers.run(move || answer.send(()).unwrap()).unwrap();
        answered
            .recv_timeout(LONG / 2)
            .expect("the one that does not wait stood behind the others");
        drop(leave);
        let mut seen: Vec<_> = (0..2 * SHARES).map(|_| runs.recv_timeout(LONG).unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..2 * SHARES));
    }
}
