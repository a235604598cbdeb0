//! Runs of a Melody of eight nodes per second, with operations that do nothing: what the engine itself costs.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc::Payload;
use orchestra_kit::document::Source;
use orchestra_kit::melody::Melody;
use orchestra_kit::melody::engine::{Call, Calls, Engine, EngineOptions, Target};
use pit::dag_tracker::DagTracker;

const RUNS: u64 = 2_000;

/// Two sides of four nodes each: `pit.…` answers inside, the rest on another thread.
const MELODY: &str = r#"
[melody]
name = "eight"
inputs = ["path"]
[[node]]
id = "read"
call = "one.echo"
with = { path = "${inputs.path}" }
[[node]]
id = "a"
call = "one.echo"
with = { text = "${read.path}" }
[[node]]
id = "b"
call = "two.echo"
with = { text = "${read.path}" }
[[node]]
id = "c"
call = "pit.echo"
with = { text = "${read}" }
[[node]]
id = "d"
call = "pit.echo"
with = { text = "${read}", size = 3 }
[[node]]
id = "join"
call = "two.echo"
with = { a = "${a}", b = "${b}", c = "${c}", d = "${d}" }
[[node]]
id = "rank"
call = "pit.echo"
with = { all = "${join}" }
[[node]]
id = "store"
call = "pit.echo"
with = { data = "${rank}", name = "review:${inputs.path}" }
"#;

/// Gives each call its inputs back.
struct Echo {
    /// None: answers on the calling thread.
    thread: Option<std::sync::mpsc::Sender<Vec<Call>>>,
}

fn answer(call: Call) {
    let value = call.inputs;
    (call.done)(Ok(value));
}

impl Calls for Echo {
    fn resolve(&self, call: &str) -> Option<Target> {
        let id = match call.split('.').next()? {
            "pit" => 0,
            "one" => 1,
            _ => 2,
        };
        Some(Target { id, in_process: id == 0 || self.thread.is_none() })
    }

    fn room(&self, _: Target) -> usize {
        256
    }

    fn submit(&self, target: Target, call: Call) {
        self.submit_batch(target, vec![call]);
    }

    fn submit_batch(&self, target: Target, calls: Vec<Call>) {
        match &self.thread {
            Some(thread) if !target.in_process => {
                thread.send(calls).expect("the echo thread runs");
            }
            _ => calls.into_iter().for_each(answer),
        }
    }
}

fn engine(threaded: bool) -> Arc<Engine> {
    let thread = threaded.then(|| {
        let (sender, receiver) = std::sync::mpsc::channel::<Vec<Call>>();
        std::thread::spawn(move || receiver.into_iter().flatten().for_each(answer));
        sender
    });
    let options = EngineOptions { slots: 16, ..EngineOptions::default() };
    Engine::new(Arc::new(Echo { thread }), DagTracker::in_memory(), options).expect("a thread")
}

fn runs(criterion: &mut Criterion) {
    let source = Source::from_text("eight.toml", MELODY);
    let melody = Arc::new(Melody::from_source(&source).expect("the Melody is lawful"));
    let path = Payload::from_value(&ipc::Value::from("src/main.py")).expect("a text");
    let mut group = criterion.benchmark_group("melody of 8 nodes");
    group.throughput(Throughput::Elements(RUNS));
    group.sample_size(10);
    for (name, threaded) in [("in process", false), ("half on another thread", true)] {
        let engine = engine(threaded);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for _ in 0..RUNS {
                    let inputs = vec![("path".to_owned(), path.clone())];
                    let run = engine.submit(&melody, inputs, 0);
                    black_box(run.expect("the inputs fit"));
                }
                assert!(engine.wait_idle(None));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
