//! The queues of Python's steps and their keeper, stepped through their interleavings; the threads are played.
//!
//! The sources are taken in as they are, over primitives whose scheduler chooses who goes on, at every lock and wake-up. A
//! schedule in which all that is left waits for ever is a failure as well: that is what a lost wake-up becomes. A failure
//! prints its schedule, for `shuttle::replay`. `SYMPHONY_CASES` says how many schedules each model runs, for `make soak`.

#[path = "../src/steps/keeper.rs"]
#[expect(dead_code, reason = "only some orders are given here")]
mod keeper;
#[path = "../src/steps/queue.rs"]
#[expect(dead_code, reason = "the thread that boots is not played here")]
mod queue;
#[path = "../../ipc/tests/interleavings/sync.rs"]
#[expect(dead_code, reason = "the lanes need more of it")]
mod sync;

use std::sync::Arc;

use component::{Done, Health, Step};
use shuttle::sync::mpsc;
use shuttle::thread::{self, JoinHandle};

use keeper::{KeeperState, Order};
use live::Live;
use queue::{Queue, Taken, Ticket};
use sync::{Condvar, Mutex, step_through};

/// What a step does here: it runs, or hangs until a gate opens.
mod live {
    use std::sync::Arc;

    use crate::Gate;

    #[derive(Clone)]
    pub(crate) enum Live {
        Runs,
        Hangs(Arc<Gate>),
    }
}

#[derive(Default)]
pub(crate) struct Gate {
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

/// A keeper's thread with all the threads that it started, as `symphony/_boot/threads.py` runs them.
struct Threads {
    keeper: Arc<KeeperState>,
    shared: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl Threads {
    fn start() -> Self {
        let (keeper, shared) = KeeperState::new();
        let state = Arc::clone(&keeper);
        let thread = thread::spawn(move || {
            while let Some(order) = state.next() {
                if let Order::Spawn(queue) = order {
                    thread::spawn(move || work(&queue));
                }
            }
        });
        Self { keeper, shared, thread }
    }

    /// Puts a step in; what becomes of it comes through the channel.
    fn put(
        &self,
        queue: &Queue,
        live: Live,
        tell: &mpsc::Sender<(u32, bool)>,
        number: u32,
    ) -> Arc<Ticket> {
        let tell = tell.clone();
        let done =
            Done::new(move |outcome| tell.send((number, outcome.is_ok())).expect("a listener"));
        let ticket =
            Ticket::new(live, Step::Start, done, &self.keeper).expect("the keeper is there");
        queue.put(Arc::clone(&ticket));
        ticket
    }

    /// Every thread ends by itself: one that does not is a deadlock to the scheduler.
    fn close(self) {
        self.keeper.close();
        self.thread.join().expect("it ends by itself");
    }
}

/// One worker.
fn work(queue: &Queue) {
    let mut arriving = queue.keeper.is_some();
    while let Some(ticket) = take(queue, &mut arriving) {
        if ticket.begun(1)
            && let Live::Hangs(gate) = &ticket.live
        {
            gate.pass();
        }
        if !ticket.tell(Ok(Health::Healthy)) {
            if let Some(keeper) = &queue.keeper {
                keeper.left();
            }
            return;
        }
    }
}

/// As `JobQueue` takes.
fn take(queue: &Queue, arriving: &mut bool) -> Option<Arc<Ticket>> {
    let Some(keeper) = &queue.keeper else {
        return ticket(queue.take(None, None));
    };
    if !*arriving && let Some(ticket) = keeper.take_ready(queue) {
        return Some(ticket);
    }
    ticket(keeper.take_shared(queue, arriving))
}

fn ticket(taken: Taken) -> Option<Arc<Ticket>> {
    match taken {
        Taken::Ticket(ticket) => Some(ticket),
        Taken::Nothing | Taken::Closed => None,
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
        let threads = Arc::new(Threads::start());
        let (tell, told) = mpsc::channel();
        let other = {
            let (threads, tell) = (Arc::clone(&threads), tell.clone());
            thread::spawn(move || {
                for number in 0..2 {
                    threads.put(&threads.shared, Live::Runs, &tell, number);
                }
            })
        };
        threads.keeper.expect_shared();
        threads.put(&threads.shared, Live::Runs, &tell, 2);
        let own = threads.keeper.spawn();
        threads.put(&own, Live::Runs, &tell, 3);
        assert_eq!(sorted(&told, 4), [(0, true), (1, true), (2, true), (3, true)]);
        other.join().unwrap();
        drop(own);
        let Ok(threads) = Arc::try_unwrap(threads) else { panic!("nobody else has it") };
        threads.close();
        assert!(told.try_recv().is_err(), "an outcome was told twice");
    });
}

#[test]
fn a_step_that_hangs_on_a_shared_thread_keeps_no_other_waiting() {
    step_through(|| {
        let threads = Threads::start();
        let (tell, told) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let hanging = threads.put(&threads.shared, Live::Hangs(Arc::clone(&gate)), &tell, 0);
        threads.put(&threads.shared, Live::Runs, &tell, 1);
        threads.put(&threads.shared, Live::Hangs(Arc::clone(&gate)), &tell, 2);
        threads.put(&threads.shared, Live::Runs, &tell, 3);
        assert_eq!(sorted(&told, 2), [(1, true), (3, true)]);
        assert!(hanging.give_up(), "it hangs, so it has not ended");
        threads.put(&threads.shared, Live::Runs, &tell, 4);
        assert_eq!(sorted(&told, 1), [(4, true)]);
        gate.open();
        assert_eq!(sorted(&told, 2), [(0, true), (2, true)]);
        threads.put(&threads.shared, Live::Runs, &tell, 5);
        assert_eq!(sorted(&told, 1), [(5, true)]);
        threads.close();
    });
}

/// Where a thread cannot be started, the keeper does its step, and has time for nobody else meanwhile.
#[test]
fn every_step_is_told_where_threads_cannot_be_started() {
    step_through(|| {
        let (keeper, shared) = KeeperState::new();
        keeper.expect_shared();
        let state = Arc::clone(&keeper);
        let thread = thread::spawn(move || {
            while let Some(order) = state.next() {
                let Order::Spawn(queue) = order else { continue };
                if let Some(ticket) = queue.without_thread() {
                    ticket.begun(1);
                    ticket.tell(Ok(Health::Healthy));
                }
            }
        });
        let threads = Threads { keeper, shared, thread };
        let (tell, told) = mpsc::channel();
        let own = threads.keeper.spawn();
        threads.put(&own, Live::Runs, &tell, 0);
        threads.put(&threads.shared, Live::Runs, &tell, 1);
        threads.put(&threads.shared, Live::Runs, &tell, 2);
        assert_eq!(sorted(&told, 3), [(0, true), (1, true), (2, true)]);
        let next = Ticket::new(Live::Runs, Step::Health, Done::new(drop), &threads.keeper);
        let next = next.expect("the keeper is there");
        assert!(!own.offer(&next), "a step was put in where nobody takes it");
        next.tell(Ok(Health::Healthy));
        threads.close();
    });
}

/// A start that was given up ends after all: what its end begins, its stop, still finds the threads.
#[test]
fn the_stop_of_a_late_start_finds_a_thread_after_the_end() {
    step_through(|| {
        let threads = Threads::start();
        let (tell, told) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let (keeper, shared) = (Arc::clone(&threads.keeper), Arc::clone(&threads.shared));
        let stopped = tell.clone();
        let done = Done::new(move |_| {
            let done =
                Done::new(move |outcome| stopped.send((1, outcome.is_ok())).expect("a listener"));
            let stop =
                Ticket::new(Live::Runs, Step::Stop, done, &keeper).expect("its start is open");
            shared.put(stop);
        });
        let start = Ticket::new(Live::Hangs(Arc::clone(&gate)), Step::Start, done, &threads.keeper);
        let start = start.expect("the keeper is there");
        threads.shared.put(Arc::clone(&start));
        start.give_up();
        let opener = thread::spawn(move || gate.open());
        threads.close();
        assert_eq!(sorted(&told, 1), [(1, true)]);
        opener.join().unwrap();
    });
}

/// Steps come while their queue ends: each is taken or refused, and told either way.
#[test]
fn a_step_for_a_queue_that_ends_is_taken_or_refused() {
    step_through(|| {
        let threads = Arc::new(Threads::start());
        let (tell, told) = mpsc::channel();
        let own = threads.keeper.spawn();
        let putter = {
            let (threads, own, tell) = (Arc::clone(&threads), Arc::clone(&own), tell.clone());
            thread::spawn(move || {
                for number in 0..2 {
                    threads.put(&own, Live::Runs, &tell, number);
                }
            })
        };
        own.end();
        let seen: Vec<_> = sorted(&told, 2).into_iter().map(|(number, _)| number).collect();
        assert_eq!(seen, [0, 1]);
        putter.join().unwrap();
        own.close();
        let Ok(threads) = Arc::try_unwrap(threads) else { panic!("nobody else has it") };
        threads.close();
    });
}
