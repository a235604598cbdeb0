//! The hand-written synchronisation of the lanes, stepped through its interleavings: whose turn it is to read.
//!
//! The sources are taken in as they are, over primitives whose scheduler chooses who goes on, at every lock and wake-up. A
//! schedule in which all that is left waits for ever is a failure as well: that is what a lost wake-up becomes. A failure
//! prints its schedule, for `shuttle::replay`. `SYMPHONY_CASES` says how many schedules each model runs, for `make soak`.

mod lane;
#[expect(dead_code, reason = "a lane looks at what came, not at why its wait ended")]
mod sync;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lane::Ended;
use shuttle::rand::Rng;
use shuttle::thread;
use sync::{Condvar, Mutex, step_through};

/// What a lane carries is of no interest here.
mod error {
    pub(crate) struct CallError;
}
mod handshake {
    pub(crate) struct Refused;
    pub(crate) struct Welcome;
}
mod payload {
    pub(crate) struct Payload;
}

fn chance(of: f64) -> bool {
    shuttle::rand::thread_rng().gen_bool(of)
}

#[test]
fn every_caller_gets_its_answer_whoever_reads() {
    step_through(|| {
        let (core, others) = lane::open();
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let core = Arc::clone(&core);
                thread::spawn(move || {
                    for _ in 0..2 {
                        assert_eq!(core.call(None, None), Ended::Answered);
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        core.close(others);
    });
}

#[test]
fn a_call_that_nobody_waits_for_is_answered_beside_those_that_are() {
    step_through(|| {
        let (core, others) = lane::open();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let core = Arc::clone(&core);
                thread::spawn(move || assert_eq!(core.call(None, None), Ended::Answered))
            })
            .collect();
        core.call_offhand();
        core.wait_for_offhand(1);
        for caller in callers {
            caller.join().unwrap();
        }
        // Nobody waits any more: the background thread has the lane to itself.
        core.call_offhand();
        core.wait_for_offhand(2);
        core.close(others);
    });
}

/// Callers come and go without arming the lane; ticks see to it that somebody looks again.
#[test]
fn what_the_peer_sends_by_itself_is_read() {
    step_through(|| {
        let (core, others) = lane::open();
        let caller = {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                for _ in 0..2 {
                    assert_eq!(core.call(None, None), Ended::Answered);
                }
            })
        };
        core.peer_sends();
        core.wait_for_offhand(1);
        caller.join().unwrap();
        core.peer_sends();
        core.wait_for_offhand(2);
        core.close(others);
    });
}

#[test]
fn one_that_gives_up_leaves_the_reading_to_the_others() {
    step_through(|| {
        let (core, others) = lane::open();
        let quitters: Vec<_> = (0..2)
            .map(|quitter| {
                let core = Arc::clone(&core);
                thread::spawn(move || {
                    let poll = || chance(0.5);
                    if quitter == 0 {
                        core.call(None, Some(&poll));
                    } else {
                        core.call(Some(Instant::now() + Duration::from_nanos(1)), None);
                    }
                })
            })
            .collect();
        let caller = {
            let core = Arc::clone(&core);
            thread::spawn(move || assert_eq!(core.call(None, None), Ended::Answered))
        };
        caller.join().unwrap();
        for quitter in quitters {
            quitter.join().unwrap();
        }
        assert_eq!(core.call(None, None), Ended::Answered);
        core.close(others);
    });
}

/// A hook is foreign code: it may take the interpreter, and another thread may hold that until its own answer is there.
#[test]
fn a_hook_that_waits_for_another_callers_answer_holds_nobody_up() {
    step_through(|| {
        let (core, others) = lane::open();
        let answered = Arc::new((Mutex::new(false), Condvar::default()));
        let asking: Vec<_> = (0..2)
            .map(|_| {
                let (core, answered) = (Arc::clone(&core), Arc::clone(&answered));
                thread::spawn(move || {
                    let hook = || {
                        let mut told = answered.0.lock();
                        while !*told {
                            answered.1.wait(&mut told);
                        }
                        false
                    };
                    assert_eq!(core.call(None, Some(&hook)), Ended::Answered);
                })
            })
            .collect();
        assert_eq!(core.call(None, None), Ended::Answered);
        *answered.0.lock() = true;
        answered.1.notify_all();
        for caller in asking {
            caller.join().unwrap();
        }
        core.close(others);
    });
}
