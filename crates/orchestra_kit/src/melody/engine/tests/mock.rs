//! A kit of functions: each extension is a thread with a queue, `pit.…` answers inside the caller.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use ipc::{Payload, Value};
use parking_lot::Mutex;
use pit::dag_tracker::DagTracker;

use crate::KitError;
use crate::document::Source;
use crate::melody::Melody;
use crate::melody::engine::{Call, Calls, Engine, EngineOptions, Target};

type Operation = Arc<dyn Fn(&Value) -> Result<Value, KitError> + Send + Sync>;

#[derive(Default)]
pub(super) struct Mock {
    operations: HashMap<String, (Target, Operation)>,
    threads: HashMap<u32, (Sender<(Operation, Call)>, usize)>,
    pub(super) gauge: Arc<Load>,
    pub(super) cancelled: Mutex<Vec<u64>>,
}

/// What the mock saw.
#[derive(Default)]
pub(super) struct Load {
    pub(super) now: AtomicUsize,
    pub(super) most: AtomicUsize,
    pub(super) pending: Mutex<HashMap<u32, usize>>,
    pub(super) most_pending: Mutex<HashMap<u32, usize>>,
}

impl Mock {
    /// Adds `extension.operation`; an extension called `pit` answers in process. `queue` is its room.
    pub(super) fn with(
        mut self,
        call: &str,
        queue: usize,
        operation: impl Fn(&Value) -> Result<Value, KitError> + Send + Sync + 'static,
    ) -> Self {
        let name = call.split('.').next().unwrap();
        let known = self.operations.iter().find(|(other, _)| other.split('.').next() == Some(name));
        let target = match known {
            Some((_, (target, _))) => *target,
            None => {
                Target { id: u32::try_from(self.threads.len()).unwrap(), in_process: name == "pit" }
            }
        };
        self.operations.insert(call.to_owned(), (target, Arc::new(operation)));
        let load = Arc::clone(&self.gauge);
        self.threads.entry(target.id).or_insert_with(|| {
            let (sender, receiver) = crossbeam_channel::unbounded::<(Operation, Call)>();
            std::thread::spawn(move || {
                for (operation, call) in receiver {
                    let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
                    load.most.fetch_max(now, Ordering::SeqCst);
                    let outcome = run(&operation, &call.inputs);
                    load.now.fetch_sub(1, Ordering::SeqCst);
                    *load.pending.lock().entry(target.id).or_default() -= 1;
                    (call.done)(outcome);
                }
            });
            (sender, queue)
        });
        self
    }

    pub(super) fn engine(
        self,
        options: EngineOptions,
    ) -> (Arc<Engine>, Arc<Self>, Arc<DagTracker>) {
        let mock = Arc::new(self);
        let dag = DagTracker::in_memory();
        let calls: Arc<dyn Calls> = Arc::clone(&mock) as Arc<dyn Calls>;
        let engine = Engine::new(calls, Arc::clone(&dag), options).unwrap();
        (engine, mock, dag)
    }
}

fn run(operation: &Operation, inputs: &Payload) -> Result<Payload, KitError> {
    operation(&inputs.value().unwrap()).map(|value| Payload::from_value(&value).unwrap())
}

impl Calls for Mock {
    fn resolve(&self, call: &str) -> Option<Target> {
        self.operations.get(call).map(|(target, _)| *target)
    }

    fn room(&self, target: Target) -> usize {
        let pending = self.gauge.pending.lock().get(&target.id).copied().unwrap_or_default();
        self.threads[&target.id].1.saturating_sub(pending)
    }

    fn submit(&self, target: Target, call: Call) {
        let (_, operation) = self
            .operations
            .iter()
            .find(|(name, (other, _))| {
                *other == target && name.split_once('.').unwrap().1 == &*call.operation
            })
            .map(|(_, found)| found.clone())
            .unwrap();
        if target.in_process {
            let outcome = run(&operation, &call.inputs);
            return (call.done)(outcome);
        }
        let mut pending = self.gauge.pending.lock();
        let count = pending.entry(target.id).or_default();
        *count += 1;
        let mut most = self.gauge.most_pending.lock();
        let highest = most.entry(target.id).or_default();
        *highest = (*highest).max(*count);
        drop((pending, most));
        self.threads[&target.id].0.send((operation, call)).unwrap();
    }

    fn cancel(&self, _: Target, id: u64) {
        self.cancelled.lock().push(id);
    }
}

pub(super) fn melody(text: &str) -> Arc<Melody> {
    Arc::new(Melody::from_source(&Source::from_text("test.toml", text)).unwrap())
}

pub(super) fn inputs(pairs: &[(&str, Value)]) -> Vec<(String, Payload)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Payload::from_value(value).unwrap()))
        .collect()
}

pub(super) fn options(slots: usize) -> EngineOptions {
    EngineOptions { slots, ..EngineOptions::default() }
}

/// Runs a test body on a thread of its own and panics when it hangs.
pub(super) fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        done.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(30)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => thread.join().unwrap(),
    }
}

pub(super) fn crash() -> KitError {
    KitError::TimedOut { what: "flaky".to_owned(), seconds: 0.1 }
}
