//! The engine's face: submit, wait until idle, shut down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use component::{Code, Diagnostic, did_you_mean};
use crossbeam_channel::Sender;
use ipc::Payload;
use parking_lot::Mutex;
use pit::dag_tracker::DagTracker;

use super::active::{Active, Gauge};
use super::calls::Calls;
use super::port::PolicyPort;
use super::run::{Run, Shared};
use super::scheduler::{Message, Scheduler};
use super::score::Score;
use crate::KitError;
use crate::melody::Melody;

/// Melodies whose resolved form is kept; more than a system has by hand.
const SCORES: usize = 64;

/// How an engine runs.
pub struct EngineOptions {
    /// How many nodes run out of process at once.
    pub slots: usize,
    /// Who chooses when more are ready; none: the oldest run first.
    pub policy: Option<PolicyPort>,
    /// How long a policy may take for one choice.
    pub patience: Duration,
    /// Whether the tracker writes the runs to its journal.
    pub journaled: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            // Twice the processors: one works while the next is on its way.
            slots: processors * 2,
            policy: None,
            patience: Duration::from_millis(50),
            journaled: false,
        }
    }
}

/// Totals of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Runs that were submitted.
    pub submitted: u64,
    /// Runs that ended with their results.
    pub done: u64,
    /// Runs that failed or were cancelled.
    pub failed: u64,
    /// Calls that were sent.
    pub calls: u64,
    /// Calls that were tried again.
    pub retried: u64,
    /// Choices that were asked of the policy.
    pub asked: u64,
    /// Choices that came too late.
    pub late: u64,
    /// Choices that were none, or unlawful.
    pub refused: u64,
    /// Nodes that are ready now and wait for a slot.
    pub waiting: u64,
    /// Calls out of process that are on their way now.
    pub running: u64,
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) submitted: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) calls: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) running: AtomicU64,
}

/// Runs Melodies.
pub struct Engine {
    calls: Arc<dyn Calls>,
    messages: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    scores: Mutex<Vec<Arc<Score>>>,
    gauge: Arc<Gauge>,
    totals: Arc<Totals>,
    next: AtomicU64,
}

impl Engine {
    /// Starts an engine: one thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        calls: Arc<dyn Calls>,
        dag: Arc<DagTracker>,
        options: EngineOptions,
    ) -> std::io::Result<Arc<Self>> {
        let (messages, inbox) = crossbeam_channel::unbounded();
        let totals = Arc::new(Totals::default());
        let scheduler = Scheduler::new(
            Arc::clone(&calls),
            dag,
            options,
            (messages.clone(), inbox),
            Arc::clone(&totals),
        );
        let thread = std::thread::Builder::new()
            .name("symphony-melody".to_owned())
            .spawn(move || scheduler.run())?;
        Ok(Arc::new(Self {
            calls,
            messages,
            thread: Mutex::new(Some(thread)),
            scores: Mutex::new(Vec::new()),
            gauge: Arc::new(Gauge::default()),
            totals,
            next: AtomicU64::new(1),
        }))
    }

    /// Starts a run of a Melody at once.
    ///
    /// # Errors
    /// The Melody has faults or calls what nobody answers; an input is missing or not one of its own; the engine was
    /// shut down.
    pub fn submit(
        &self,
        melody: &Arc<Melody>,
        inputs: Vec<(String, Payload)>,
        priority: i64,
    ) -> Result<Run, KitError> {
        let score = self.score(melody)?;
        let inputs = arrange(&score, inputs)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id, Arc::clone(&score.name), score.shape.len()));
        let active = Box::new(Active::new(
            score,
            inputs,
            priority,
            Arc::clone(&shared),
            Arc::clone(&self.gauge),
        ));
        self.messages
            .send(Message::Submit(active))
            .map_err(|_| KitError::Stopped { what: "the Melody engine" })?;
        self.totals.submitted.fetch_add(1, Ordering::Relaxed);
        Ok(Run { shared, engine: self.messages.clone() })
    }

    /// Waits until no run is left; false when `timeout` passed before.
    pub fn wait_idle(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut runs = self.gauge.runs.lock();
        while *runs > 0 {
            match deadline {
                None => self.gauge.idle.wait(&mut runs),
                Some(deadline) => {
                    if self.gauge.idle.wait_until(&mut runs, deadline).timed_out() {
                        return *runs == 0;
                    }
                }
            }
        }
        true
    }

    /// Runs that are not over.
    pub fn active(&self) -> usize {
        *self.gauge.runs.lock()
    }

    /// Totals since the start.
    pub fn stats(&self) -> EngineStats {
        let totals = &self.totals;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineStats {
            submitted: read(&totals.submitted),
            done: read(&totals.done),
            failed: read(&totals.failed),
            calls: read(&totals.calls),
            retried: read(&totals.retried),
            asked: read(&totals.asked),
            late: read(&totals.late),
            refused: read(&totals.refused),
            waiting: read(&totals.waiting),
            running: read(&totals.running),
        }
    }

    /// Ends all runs (each with [`KitError::Stopped`]) and the thread. May be called twice.
    pub fn shutdown(&self) {
        // An engine that has ended takes no message, and that is all there is to say.
        let _ = self.messages.send(Message::Stop);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A listener of a run may hold the last handle: the thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!(target: "symphony.melody", "the Melody engine's thread panicked");
            }
        }
    }

    fn score(&self, melody: &Arc<Melody>) -> Result<Arc<Score>, KitError> {
        let known = |score: &&Arc<Score>| Arc::ptr_eq(&score.melody, melody);
        if let Some(score) = self.scores.lock().iter().find(known) {
            return Ok(Arc::clone(score));
        }
        // Outside the lock: resolving asks the kit.
        let score = Arc::new(Score::new(melody, &*self.calls)?);
        let mut scores = self.scores.lock();
        if scores.len() >= SCORES {
            scores.remove(0);
        }
        scores.push(Arc::clone(&score));
        Ok(score)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The inputs in the Melody's order.
fn arrange(score: &Score, mut given: Vec<(String, Payload)>) -> Result<Vec<Payload>, KitError> {
    let wrong = |message: String, hint: Option<String>| {
        let mut fault = Diagnostic::error(Code::MELODY_INVALID, message);
        fault.location = Some(score.melody.at.clone());
        fault.hint = hint;
        KitError::Invalid { code: Code::MELODY_INVALID, diagnostics: vec![fault] }
    };
    let mut inputs = Vec::with_capacity(score.inputs.len());
    for name in &score.inputs {
        let Some(at) = given.iter().position(|(key, _)| **key == **name) else {
            let what = format!("the Melody `{}` lacks the input `{name}`", score.name);
            return Err(wrong(what, None));
        };
        inputs.push(given.swap_remove(at).1);
    }
    if let Some((key, _)) = given.first() {
        let known = score.inputs.iter().map(|name| &**name);
        let hint = did_you_mean(key, known).map(|meant| format!("did you mean `{meant}`?"));
        return Err(wrong(format!("the Melody `{}` has no input `{key}`", score.name), hint));
    }
    Ok(inputs)
}
