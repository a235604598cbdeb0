//! The hand-written synchronisation of the engine, stepped through its interleavings: a step's claim, the pool, the latch.
//!
//! Their sources are taken in as they are, over primitives whose scheduler chooses who goes on, at every lock and wake-up. A
//! schedule in which all that is left waits for ever is a failure as well: that is what a lost wake-up becomes. A failure
//! prints its schedule, for `shuttle::replay`. `SYMPHONY_CASES` says how many schedules each model runs, for `make soak`.

#[path = "../src/run/blocking_threads.rs"]
pub mod blocking_threads;
#[path = "../src/run/phase_latch.rs"]
pub mod phase_latch;
#[path = "../src/run/step_outcome.rs"]
mod step_outcome;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use blocking_threads::Threads;
use component::Phase;
use phase_latch::{Passage, PhaseLatch};
use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::mpsc;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use step_outcome::OutcomeClaim;

/// What the latch knows of a step table.
mod step_table {
    pub(crate) enum Message {
        Wake,
    }
}

/// The primitives that those sources are over, here.
#[expect(clippy::unnecessary_wraps, reason = "the standard library's shapes")]
mod sync {
    use std::ops::{Deref, DerefMut};
    use std::sync::{LockResult, PoisonError};
    use std::time::Duration;

    use shuttle::rand::Rng;
    pub(crate) use shuttle::thread;

    #[derive(Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(MutexGuard { mutex: self, held })
        }
    }

    pub(crate) struct MutexGuard<'a, T> {
        mutex: &'a Mutex<T>,
        held: shuttle::sync::MutexGuard<'a, T>,
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.held
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.held
        }
    }

    pub(crate) struct Waited(bool);

    impl Waited {
        pub(crate) const fn timed_out(&self) -> bool {
            self.0
        }
    }

    /// Time passes or does not, as the scheduler likes: `shuttle`'s own waits never time out. A wait of an hour never ends by
    /// time, and one may end for no reason, or say that its time was over when it was woken as well.
    #[derive(Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            time: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, Waited)> {
            let ends = time < Duration::from_secs(3600);
            let MutexGuard { mutex, held } = guard;
            let mut random = shuttle::rand::thread_rng();
            if random.gen_bool(0.8) {
                let held = self.0.wait(held).unwrap_or_else(PoisonError::into_inner);
                let over = ends && random.gen_bool(0.1);
                return Ok((MutexGuard { mutex, held }, Waited(over)));
            }
            drop(held);
            thread::yield_now();
            let over = ends && random.gen_bool(0.8);
            Ok((mutex.lock().unwrap_or_else(PoisonError::into_inner), Waited(over)))
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// Runs a model under schedules that are random, and under those in which few changes of hands do the harm.
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn step_through(model: impl Fn() + Send + Sync + 'static) {
    let asked = std::env::var("SYMPHONY_CASES").ok();
    let schedules = asked.map_or(1_000, |asked| asked.parse().expect("SYMPHONY_CASES is a number"));
    let model = Arc::new(model);
    let again = Arc::clone(&model);
    shuttle::check_random(move || model(), schedules);
    shuttle::check_pct(move || again(), schedules, 3);
}

// ---- The claim of a step: told, or abandoned --------------------------------------------------------------------------------

/// What a step table and the threads that tell it share, without anything of the engine.
#[derive(Default)]
struct Channel {
    unheard: Mutex<VecDeque<usize>>,
    /// How often the outcome of each step was dealt with behind the step table's back, as a start that came too late.
    late: Mutex<BTreeMap<usize, usize>>,
}

impl Channel {
    fn next(&self) -> Option<usize> {
        self.unheard.lock().expect("not poisoned").pop_front()
    }

    fn stop_late(&self, step: usize) {
        *self.late.lock().expect("not poisoned").entry(step).or_default() += 1;
    }
}

/// A step tells its outcome as the engine's `Done` does.
fn tell(claim: &OutcomeClaim, channel: &Channel, step: usize) {
    if !claim.tell(|| channel.unheard.lock().expect("not poisoned").push_back(step)) {
        channel.stop_late(step);
    }
}

/// Three starts end while their step table hears, gives some up and is dropped: each is dealt with once, by one side.
fn outcomes_are_dealt_with_once() {
    const STEPS: usize = 3;
    let channel = Arc::new(Channel::default());
    let claims: Vec<_> = (0..STEPS).map(|_| Arc::new(OutcomeClaim::new())).collect();
    let tellers: Vec<_> = claims
        .iter()
        .cloned()
        .zip(0..)
        .map(|(claim, step)| {
            let channel = Arc::clone(&channel);
            thread::spawn(move || tell(&claim, &channel, step))
        })
        .collect();
    let mut heard = BTreeMap::new();
    let mut in_flight: BTreeMap<usize, Arc<OutcomeClaim>> =
        claims.into_iter().enumerate().collect();
    for step in 0..STEPS {
        match shuttle::rand::thread_rng().gen_range(0..3) {
            0 => {
                if in_flight.get(&step).is_some_and(|claim| claim.abandon()) {
                    in_flight.remove(&step);
                }
            }
            1 => {
                let told = in_flight.get(&step).is_some_and(|claim| claim.told());
                let there = channel.unheard.lock().expect("not poisoned").contains(&step);
                assert!(!told || there, "told, and its outcome is not there");
            }
            _ => {
                if let Some(step) = channel.next() {
                    assert!(in_flight.remove(&step).is_some(), "an abandoned step was heard of");
                    *heard.entry(step).or_insert(0) += 1;
                }
            }
        }
    }
    let left = in_flight.values().map(|claim| &**claim);
    step_outcome::close(
        left,
        || channel.next(),
        |step| {
            assert!(in_flight.contains_key(&step), "an abandoned step is in the channel");
            channel.stop_late(step);
        },
    );
    for teller in tellers {
        teller.join().expect("it told");
    }
    let mut dealt_with = channel.late.lock().expect("not poisoned").clone();
    for (step, times) in heard {
        *dealt_with.entry(step).or_default() += times;
    }
    assert_eq!(dealt_with, (0..STEPS).map(|step| (step, 1)).collect());
}

#[test]
fn a_start_that_ends_late_is_stopped_once_and_a_told_one_is_heard() {
    step_through(outcomes_are_dealt_with_once);
}

/// One step against a step table that abandons it and is dropped: few enough interleavings to go through all of them.
#[test]
fn one_ticket_in_every_interleaving() {
    let model = || {
        let (channel, claim) = (Arc::new(Channel::default()), Arc::new(OutcomeClaim::new()));
        let teller = {
            let (channel, claim) = (Arc::clone(&channel), Arc::clone(&claim));
            thread::spawn(move || tell(&claim, &channel, 0))
        };
        let abandoned = claim.abandon();
        assert_eq!(abandoned, channel.unheard.lock().unwrap().is_empty());
        let left = if abandoned { None } else { Some(&*claim) };
        step_outcome::close(left, || channel.next(), |step| channel.stop_late(step));
        teller.join().unwrap();
        assert_eq!(*channel.late.lock().unwrap(), BTreeMap::from([(0, 1)]));
    };
    shuttle::check_dfs(model, None);
}

// ---- The pool ----------------------------------------------------------------------------------------------------------------

#[test]
fn the_pool_runs_each_job_once_and_its_threads_end() {
    step_through(|| {
        let size = shuttle::rand::thread_rng().gen_range(1..3);
        let pool = Threads::new("model", size);
        let (tell, told) = mpsc::channel();
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let (pool, tell) = (pool.clone(), tell.clone());
                thread::spawn(move || {
                    for job in 0..2 {
                        let tell = tell.clone();
                        pool.run(move || tell.send((caller, job)).unwrap());
                    }
                })
            })
            .collect();
        drop(tell);
        let mut seen: Vec<_> = told.iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        for caller in callers {
            caller.join().unwrap();
        }
        // A thread that does not end is a deadlock to the scheduler.
        pool.close();
    });
}

/// A job that hangs and was given up takes nobody's place, however the others are spread over the threads just then.
#[test]
fn a_job_that_was_given_up_keeps_no_other_from_running() {
    step_through(|| {
        let pool = Threads::new("model", 2);
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let hang = |gate: &Arc<(Mutex<bool>, Condvar)>| {
            let gate = Arc::clone(gate);
            move || {
                let mut open = gate.0.lock().unwrap();
                while !*open {
                    open = gate.1.wait(open).unwrap();
                }
            }
        };
        let (tell, told) = mpsc::channel();
        if shuttle::rand::thread_rng().gen_bool(0.5) {
            // One thread has worked before, and is free.
            let tell = tell.clone();
            pool.run(move || tell.send(()).unwrap());
            told.recv().unwrap();
        }
        let hanging = pool.run(hang(&gate));
        // This one hangs as well and nobody gives it up: the pool is of two.
        pool.run(hang(&gate));
        let other = thread::spawn({
            let (pool, tell) = (pool.clone(), tell.clone());
            move || pool.run(move || tell.send(()).unwrap())
        });
        assert!(pool.give_up(hanging), "it hangs, so it has not ended");
        assert!(!pool.give_up(hanging), "it was given up before");
        told.recv().unwrap();
        other.join().unwrap();
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        pool.close();
    });
}

/// A job that its caller cannot give up has run, and no job is given up twice.
#[test]
fn a_job_is_given_up_once_or_has_run() {
    step_through(|| {
        let pool = Threads::new("model", 1);
        let runs = Arc::new(AtomicUsize::new(0));
        let jobs = [(), ()].map(|()| {
            let runs = Arc::clone(&runs);
            pool.run(move || {
                runs.fetch_add(1, Ordering::SeqCst);
            })
        });
        let given_up = pool.give_up(jobs[1]);
        assert!(given_up || runs.load(Ordering::SeqCst) == 2, "neither given up nor run");
        assert!(!pool.give_up(jobs[1]), "given up twice");
        pool.close();
    });
}

// ---- The latch ---------------------------------------------------------------------------------------------------------------

#[test]
fn whoever_waits_for_a_phase_hears_of_its_gate_or_of_the_end() {
    step_through(|| {
        let latch = PhaseLatch::new();
        let passes = shuttle::rand::thread_rng().gen_bool(0.5);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let latch = latch.clone();
                thread::spawn(move || latch.wait(Phase::Pit, Duration::MAX))
            })
            .collect();
        latch.passed(Phase::Foundation);
        if passes {
            latch.passed(Phase::Pit);
        } else {
            latch.ended();
        }
        let expected = if passes { Passage::Passed } else { Passage::Ended };
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), expected);
        }
    });
}

/// The engine sets its waker, looks, and waits for messages: it is told of every phase that was shut when it looked.
#[test]
fn an_opened_phase_wakes_the_engine_that_found_it_shut() {
    step_through(|| {
        let latch = PhaseLatch::new();
        let (waker, messages) = crossbeam_channel::unbounded();
        let caller = {
            let latch = latch.clone();
            thread::spawn(move || latch.open(Phase::Pit))
        };
        latch.wake(&waker);
        let found_shut = !latch.is_open(Phase::Pit);
        caller.join().unwrap();
        assert!(!found_shut || messages.try_recv().is_ok(), "shut when it looked, and never woken");
    });
}
