//! The policy: asked only when it must be, never waited for, replaced when it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ipc::Value;
use parking_lot::Mutex;

use super::mock::{Mock, inputs, melody, options, watched};
use crate::melody::engine::{
    Engine, EngineOptions, Outcome, Policy, PolicyEvent, PolicyPort, ReadyNode, Run,
};

/// So long that a busy machine makes no policy late.
const LONG: Duration = Duration::from_secs(20);

const ONE: &str = "[melody]\nname = \"one\"\ninputs = [\"n\"]\n[[node]]\nid = \"a\"\ncall = \"x.work\"\nwith = { n = \"${inputs.n}\" }\n";

/// An engine with one slot whose first run holds it until the gate opens; the order of calls is written down.
fn gated(
    policy: PolicyPort,
    patience: Duration,
) -> (Arc<Engine>, Arc<Mutex<Vec<i64>>>, crossbeam_channel::Sender<()>) {
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&order);
    let (engine, ..) = Mock::default()
        .with("x.work", 99, move |inputs| {
            let number = inputs.get("n").unwrap().as_int().unwrap();
            written.lock().push(number);
            if number == 0 {
                gate.recv().unwrap();
            }
            Ok(Value::None)
        })
        .engine(EngineOptions { policy: Some(policy), patience, ..options(1) });
    (engine, order, open)
}

fn submit(engine: &Engine, count: i64) -> Vec<Run> {
    let melody = melody(ONE);
    (0..count)
        .map(|n| {
            let run = engine.submit(&melody, inputs(&[("n", Value::Int(n))]), 0).unwrap();
            while n == 0 && run.progress().running == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            run
        })
        .collect()
}

struct NewestFirst(Arc<Mutex<Vec<Outcome>>>);

impl Policy for NewestFirst {
    fn choose(&mut self, ready: &[ReadyNode], slots: usize) -> Vec<usize> {
        assert!(ready.len() > slots, "asked without need");
        (0..ready.len()).rev().collect()
    }

    fn observe(&mut self, outcome: &Outcome) {
        self.0.lock().push(outcome.clone());
    }
}

#[test]
fn a_policy_decides_the_order_and_hears_of_every_outcome() {
    watched(|| {
        let (port, receiver) = PolicyPort::new();
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let mut policy = NewestFirst(Arc::clone(&outcomes));
        let thread = std::thread::spawn(move || receiver.serve(&mut policy));
        let (engine, order, open) = gated(port, LONG);
        let runs = submit(&engine, 4);
        open.send(()).unwrap();
        for run in &runs {
            run.wait(None).unwrap();
        }
        assert_eq!(*order.lock(), [0, 3, 2, 1]);
        // The last of them is alone and needs no choice.
        assert_eq!(engine.stats().asked, 2);
        drop(engine);
        thread.join().unwrap();
        let outcomes = outcomes.lock();
        assert_eq!(outcomes.len(), 4);
        assert!(
            outcomes.iter().all(|outcome| &*outcome.call == "x.work" && outcome.error.is_none())
        );
    });
}

#[test]
fn a_policy_that_hangs_costs_one_patience_and_no_run() {
    watched(|| {
        let (port, receiver) = PolicyPort::new();
        let (engine, order, open) = gated(port, Duration::from_millis(50));
        let runs = submit(&engine, 20);
        open.send(()).unwrap();
        for run in &runs {
            run.wait(None).unwrap();
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<i64>>(), "the oldest first");
        // While its first question hangs, nobody asks it another one: that is all the time it costs.
        assert_eq!((engine.stats().asked, engine.stats().late), (1, 1));
        // Its late answer is not used, and it is asked again.
        let PolicyEvent::Choose(question) = receiver.next(Duration::from_secs(5)) else {
            panic!("the question is there");
        };
        question.answer(vec![0]);
    });
}

#[test]
fn a_policy_that_answers_nonsense_is_replaced_by_the_oldest_first() {
    struct Nonsense(AtomicUsize);
    impl Policy for Nonsense {
        fn choose(&mut self, ready: &[ReadyNode], _: usize) -> Vec<usize> {
            match self.0.fetch_add(1, Ordering::SeqCst) % 3 {
                0 => vec![ready.len()],
                1 => vec![0, 0],
                _ => Vec::new(),
            }
        }
    }
    watched(|| {
        let (port, receiver) = PolicyPort::new();
        let thread = std::thread::spawn(move || receiver.serve(&mut Nonsense(AtomicUsize::new(0))));
        let (engine, order, open) = gated(port, LONG);
        let runs = submit(&engine, 8);
        open.send(()).unwrap();
        for run in &runs {
            run.wait(None).unwrap();
        }
        assert_eq!(*order.lock(), (0..8).collect::<Vec<i64>>());
        let stats = engine.stats();
        assert_eq!((stats.asked, stats.refused), (6, 6));
        drop(engine);
        thread.join().unwrap();
    });
}

#[test]
fn a_policy_that_is_gone_is_not_missed() {
    watched(|| {
        let (port, receiver) = PolicyPort::new();
        drop(receiver);
        let (engine, order, open) = gated(port, LONG);
        let runs = submit(&engine, 5);
        open.send(()).unwrap();
        for run in &runs {
            run.wait(None).unwrap();
        }
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
    });
}
