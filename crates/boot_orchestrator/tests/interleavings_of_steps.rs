//! The queues of steps and their threads, stepped through their interleavings; the threads themselves are played.
//!
//! The sources are taken in as they are, over primitives whose scheduler chooses who goes on, at every lock and wake-up. A
//! schedule in which all that is left waits for ever is a failure as well: that is what a lost wake-up becomes. A failure
//! prints its schedule, for `shuttle::replay`. `SYMPHONY_CASES` says how many schedules each model runs, for `make soak`.

#[path = "../src/steps/queue.rs"]
#[expect(dead_code, reason = "the component that asks after its steps is not played here")]
pub mod queue;
#[path = "../src/steps/receiver.rs"]
#[expect(dead_code, reason = "the thread that boots is not played here")]
pub mod receiver;
#[path = "../../ipc/tests/interleavings/sync.rs"]
#[expect(dead_code, reason = "the lanes need more of it")]
mod sync;
#[path = "../src/steps/threads.rs"]
pub mod threads;

use std::sync::Arc;

use component::{Done, Health, Step};
use shuttle::sync::mpsc;
use shuttle::thread::{self, JoinHandle};

use queue::{QueuedStep, StepQueue};
use receiver::StepReceiver;
use sync::{Condvar, Mutex, step_through};
use threads::{StepThreads, ThreadOrder};

/// What a step does here: it runs, or hangs until a gate opens.
enum Play {
    Runs,
    Hangs(Arc<Gate>),
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut open = self.open.lock();
        while !*open {
            self.changed.wait(&mut open);
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
}

/// The thread that starts the others with all those that it started, as `symphony/_boot/threads.py` runs them.
struct Played {
    threads: Arc<StepThreads<Play>>,
    thread: JoinHandle<()>,
}

impl Played {
    fn start() -> Self {
        let threads = StepThreads::new();
        let orders = Arc::clone(&threads);
        let thread = thread::spawn(move || {
            while let Some(order) = orders.next() {
                if let Some(steps) = ordered(&orders, order) {
                    thread::spawn(move || work(&steps));
                }
            }
        });
        Self { threads, thread }
    }

    /// Puts a step in, for the shared threads where there is no queue; what becomes of it comes through the channel.
    fn put(
        &self,
        queue: Option<&StepQueue<Play>>,
        play: Play,
        tell: &mpsc::Sender<(u32, bool)>,
        number: u32,
    ) -> Arc<QueuedStep<Play>> {
        let tell = tell.clone();
        let done =
            Done::new(move |outcome| tell.send((number, outcome.is_ok())).expect("a listener"));
        let step = admit(&self.threads, play, Step::Start, done);
        match queue {
            Some(queue) => queue.put(Arc::clone(&step)),
            None => self.threads.put_shared(Arc::clone(&step)),
        }
        step
    }

    /// Every thread ends by itself: one that does not is a deadlock to the scheduler.
    fn close(self) {
        self.threads.close();
        self.thread.join().expect("it ends by itself");
    }
}

fn admit(
    threads: &Arc<StepThreads<Play>>,
    play: Play,
    step: Step,
    done: Done,
) -> Arc<QueuedStep<Play>> {
    threads.admit(&Arc::new(play), step, done).expect("the threads are there")
}

/// What the thread takes its steps from that is to be started.
fn ordered(
    threads: &Arc<StepThreads<Play>>,
    order: ThreadOrder<Play>,
) -> Option<StepReceiver<Play>> {
    match order {
        ThreadOrder::StartOwn(queue) => Some(StepReceiver::of(queue)),
        ThreadOrder::StartShared => Some(StepReceiver::shared(Arc::clone(threads))),
        _ => None,
    }
}

/// One worker.
fn work(steps: &StepReceiver<Play>) {
    while let Some(step) = steps.ready().or_else(|| steps.next()) {
        if step.begun(1)
            && let Play::Hangs(gate) = step.subject()
        {
            gate.pass();
        }
        if !step.tell(Ok(Health::Healthy)) {
            steps.left();
            return;
        }
    }
}

fn sorted(told: &mpsc::Receiver<(u32, bool)>, count: usize) -> Vec<(u32, bool)> {
    let mut seen: Vec<_> = (0..count).map(|_| told.recv().expect("an outcome")).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn every_step_is_told_once_and_every_thread_ends() {
    step_through(|| {
        let played = Arc::new(Played::start());
        let (tell, told) = mpsc::channel();
        let other = {
            let (played, tell) = (Arc::clone(&played), tell.clone());
            thread::spawn(move || {
                for number in 0..2 {
                    played.put(None, Play::Runs, &tell, number);
                }
            })
        };
        played.threads.expect_shared();
        played.put(None, Play::Runs, &tell, 2);
        let own = played.threads.own_queue();
        played.put(Some(&own), Play::Runs, &tell, 3);
        assert_eq!(sorted(&told, 4), [(0, true), (1, true), (2, true), (3, true)]);
        other.join().unwrap();
        drop(own);
        let Ok(played) = Arc::try_unwrap(played) else { panic!("nobody else has it") };
        played.close();
        assert!(told.try_recv().is_err(), "an outcome was told twice");
    });
}

#[test]
fn a_step_that_hangs_on_a_shared_thread_keeps_no_other_waiting() {
    step_through(|| {
        let played = Played::start();
        let (tell, told) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let hanging = played.put(None, Play::Hangs(Arc::clone(&gate)), &tell, 0);
        played.put(None, Play::Runs, &tell, 1);
        played.put(None, Play::Hangs(Arc::clone(&gate)), &tell, 2);
        played.put(None, Play::Runs, &tell, 3);
        assert_eq!(sorted(&told, 2), [(1, true), (3, true)]);
        assert!(hanging.give_up(), "it hangs, so it has not ended");
        played.put(None, Play::Runs, &tell, 4);
        assert_eq!(sorted(&told, 1), [(4, true)]);
        gate.open();
        assert_eq!(sorted(&told, 2), [(0, true), (2, true)]);
        played.put(None, Play::Runs, &tell, 5);
        assert_eq!(sorted(&told, 1), [(5, true)]);
        played.close();
    });
}

/// Where a thread cannot be started, the keeper does its step, and has time for nobody else meanwhile.
#[test]
fn every_step_is_told_where_threads_cannot_be_started() {
    step_through(|| {
        let threads = StepThreads::new();
        threads.expect_shared();
        let orders = Arc::clone(&threads);
        let thread = thread::spawn(move || {
            while let Some(order) = orders.next() {
                let steps = ordered(&orders, order);
                if let Some(step) = steps.and_then(|steps| steps.without_thread()) {
                    step.begun(1);
                    step.tell(Ok(Health::Healthy));
                }
            }
        });
        let played = Played { threads, thread };
        let (tell, told) = mpsc::channel();
        let own = played.threads.own_queue();
        played.put(Some(&own), Play::Runs, &tell, 0);
        played.put(None, Play::Runs, &tell, 1);
        played.put(None, Play::Runs, &tell, 2);
        assert_eq!(sorted(&told, 3), [(0, true), (1, true), (2, true)]);
        let next = admit(&played.threads, Play::Runs, Step::Health, Done::new(drop));
        assert!(!own.offer(&next), "a step was put in where nobody takes it");
        next.tell(Ok(Health::Healthy));
        played.close();
    });
}

/// A start that was given up ends after all: what its end begins, its stop, still finds the threads.
#[test]
fn the_stop_of_a_late_start_finds_a_thread_after_the_end() {
    step_through(|| {
        let played = Played::start();
        let (tell, told) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let (threads, stopped) = (Arc::clone(&played.threads), tell.clone());
        let done = Done::new(move |_| {
            let done =
                Done::new(move |outcome| stopped.send((1, outcome.is_ok())).expect("a listener"));
            // Its start is open until this has returned.
            threads.put_shared(admit(&threads, Play::Runs, Step::Stop, done));
        });
        let start = admit(&played.threads, Play::Hangs(Arc::clone(&gate)), Step::Start, done);
        played.threads.put_shared(Arc::clone(&start));
        start.give_up();
        let opener = thread::spawn(move || gate.open());
        played.close();
        assert_eq!(sorted(&told, 1), [(1, true)]);
        opener.join().unwrap();
    });
}

/// Steps come while their queue ends: each is taken or refused, and told either way.
#[test]
fn a_step_for_a_queue_that_ends_is_taken_or_refused() {
    step_through(|| {
        let played = Arc::new(Played::start());
        let (tell, told) = mpsc::channel();
        let own = played.threads.own_queue();
        let putter = {
            let (played, own, tell) = (Arc::clone(&played), Arc::clone(&own), tell.clone());
            thread::spawn(move || {
                for number in 0..2 {
                    played.put(Some(&own), Play::Runs, &tell, number);
                }
            })
        };
        own.end();
        let seen: Vec<_> = sorted(&told, 2).into_iter().map(|(number, _)| number).collect();
        assert_eq!(seen, [0, 1]);
        putter.join().unwrap();
        own.close();
        let Ok(played) = Arc::try_unwrap(played) else { panic!("nobody else has it") };
        played.close();
    });
}
