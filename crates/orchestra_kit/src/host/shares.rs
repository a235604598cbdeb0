//! How many workers each guest may have, so that one greedy guest delays nobody.
//!
//! Called where guests' calls are routed. What a guest asks beyond its share, or when all shares of that kind together
//! have their most, waits in a queue of its own, in order. Invariants: whoever has run a job takes the next that may run,
//! so none stays behind while there is room; what is short never stands behind what is long, and some workers are left
//! for what guests do not ask.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::workers::{self, Full, Job, Workers};

/// What a job is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It reads or writes a little.
    Short,
    /// It may take a while.
    Long,
}

impl Kind {
    /// The workers that the jobs of one guest may have.
    const fn share(self) -> usize {
        match self {
            Self::Short => 4,
            Self::Long => 3,
        }
    }
}

/// The workers that the jobs of one kind of all guests may have; both kinds leave four.
const SHARES: usize = 6;
/// The most jobs of one guest that wait: far more than a lane has calls on their way.
const QUEUE: usize = 4096;

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

#[derive(Default)]
struct Kinds {
    short: Mutex<All>,
    long: Mutex<All>,
}

/// What every guest has of the workers. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Kinds>);

impl Shares {
    fn all(&self, kind: Kind) -> &Mutex<All> {
        match kind {
            Kind::Short => &self.0.short,
            Kind::Long => &self.0.long,
        }
    }

    /// Runs a job of that guest as soon as there is room.
    ///
    /// # Errors
    /// [`Full`] when too many of its jobs, or of all, wait.
    pub(crate) fn run(
        &self,
        workers: &Workers,
        guest: &str,
        kind: Kind,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Full> {
        let mut all = self.all(kind).lock();
        let all = &mut *all;
        let room = all.running < SHARES;
        let share = all.guests.entry(guest.to_owned()).or_default();
        if !room || share.running >= kind.share() {
            if share.waiting.len() >= QUEUE {
                return Err(Full);
            }
            share.waiting.push_back(Box::new(job));
            return Ok(());
        }
        let (me, name) = (self.clone(), guest.to_owned());
        // Under the lock: nothing may be queued behind a job that is then refused.
        let queued = workers.run(move || me.serve(kind, name, Box::new(job)));
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

    fn serve(&self, kind: Kind, guest: String, first: Job) {
        let mut next = Some((guest, first));
        while let Some((guest, job)) = next {
            workers::run(job);
            next = self.all(kind).lock().next(kind, &guest);
        }
    }
}

impl All {
    /// A job of that guest has ended: the next one that may run, and whose it is. None: the one who asks has left.
    fn next(&mut self, kind: Kind, guest: &str) -> Option<(String, Job)> {
        if let Some(share) = self.guests.get_mut(guest) {
            share.running -= 1;
            if share.running == 0 && share.waiting.is_empty() {
                self.guests.remove(guest);
            }
        }
        // The one that has the least first: nobody who waits is passed over by a greedy one for ever.
        let may_run = |share: &Share| share.running < kind.share() && !share.waiting.is_empty();
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

    use super::{Kind, QUEUE, SHARES, Shares};
    use crate::host::Workers;

    const LONG: Duration = Duration::from_secs(20);
    const KINDS: [(Kind, Kind); 2] = [(Kind::Short, Kind::Long), (Kind::Long, Kind::Short)];

    #[test]
    fn a_greedy_guest_delays_nobody_and_gets_all_it_asked_for() {
        for (kind, _) in KINDS {
            let (workers, shares) = (Workers::new(), Shares::default());
            let most = kind.share() + QUEUE;
            let (leave, left) = crossbeam_channel::unbounded::<()>();
            let (ran, runs) = mpsc::channel();
            for number in 0..most {
                let (left, ran) = (left.clone(), ran.clone());
                let job = move || {
                    let _ = left.recv_timeout(LONG);
                    ran.send(number).unwrap();
                    assert_ne!(number % 1000, 0, "one that panics costs none of the others");
                };
                shares.run(&workers, "greedy", kind, job).unwrap();
            }
            assert!(shares.run(&workers, "greedy", kind, || ()).is_err());
            let (answer, answered) = mpsc::channel();
            shares.run(&workers, "other", kind, move || answer.send(()).unwrap()).unwrap();
            answered.recv_timeout(LONG / 2).expect("the other guest waited for the greedy one");
            drop(leave);
            let mut seen: Vec<_> = (0..most).map(|_| runs.recv_timeout(LONG).unwrap()).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..most));
        }
    }

    #[test]
    fn many_jobs_of_one_kind_leave_workers_to_the_other_and_to_what_guests_do_not_ask() {
        for (kind, other) in KINDS {
            let (workers, shares) = (Workers::new(), Shares::default());
            let most = 4 * SHARES;
            let (leave, left) = crossbeam_channel::unbounded::<()>();
            let (ran, runs) = mpsc::channel();
            for number in 0..most {
                let (left, ran) = (left.clone(), ran.clone());
                let job = move || {
                    let _ = left.recv_timeout(LONG);
                    ran.send(number).unwrap();
                };
                shares.run(&workers, &format!("guest {}", number % 6), kind, job).unwrap();
            }
            let (answer, answered) = mpsc::channel();
            for number in 0..4 {
                let answer = answer.clone();
                workers.run(move || answer.send(number).unwrap()).unwrap();
            }
            shares.run(&workers, "guest 0", other, move || answer.send(4).unwrap()).unwrap();
            let mut seen: Vec<_> = (0..5)
                .map(|_| answered.recv_timeout(LONG / 2).expect("it stood behind the others"))
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            drop(leave);
            let mut seen: Vec<_> = (0..most).map(|_| runs.recv_timeout(LONG).unwrap()).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..most));
        }
    }
}
