//! The one thread that moves all runs: takes messages in batches, settles nodes, sends what may go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use component::{Code, Hint};
use crossbeam_channel::{Receiver, Sender};
use ipc::Payload;
use pit::dag_tracker::{DagTracker, SubmitOptions};

use super::active::Active;
use super::calls::{Calls, Target};
use super::facade::{EngineOptions, Totals};
use super::failure::RunFailure;
use super::node::Stage;
use super::policy::Outcome;
use super::port::PolicyPort;
use super::queue::{Queues, Task};
use super::score::Ending;
use crate::KitError;
use crate::error::PitRefusal;

/// Messages taken before anything is sent: enough to fill a batch, few enough to keep slots busy.
const BATCH: usize = 256;
/// How often a target without room is asked again while nothing of ours can tell that it has some.
const HELD: Duration = Duration::from_millis(2);
/// How long a target may refuse a node before the refusal is its failure.
const REFUSED: Duration = Duration::from_secs(30);

/// What the scheduler is told.
pub(super) enum Message {
    Submit(Box<Active>),
    Done(Done),
    Cancel(u64),
    Chosen { number: u64, chosen: Option<Vec<usize>> },
    Stop,
}

/// The outcome of a call.
pub(super) struct Done {
    pub(super) run: u64,
    pub(super) node: usize,
    pub(super) call: u64,
    pub(super) target: Target,
    pub(super) outcome: Result<Payload, KitError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A node's rest is over.
    Retry { run: u64, node: usize },
    /// The policy's time for this question is over.
    Decide { number: u64 },
}

/// A question that the policy has not answered.
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) tasks: Vec<(Target, Task)>,
    /// Its time is over and the decision was made without it.
    pub(super) late: bool,
}

pub(super) struct Scheduler {
    pub(super) calls: Arc<dyn Calls>,
    dag: Arc<DagTracker>,
    pub(super) slots: usize,
    pub(super) policy: Option<PolicyPort>,
    pub(super) patience: Duration,
    journaled: bool,
    pub(super) messages: Sender<Message>,
    inbox: Receiver<Message>,
    pub(super) totals: Arc<Totals>,
    pub(super) runs: HashMap<u64, Box<Active>>,
    pub(super) queues: Queues,
    /// Calls on their way that hold a slot.
    pub(super) used: usize,
    pub(super) next_call: u64,
    pub(super) alarms: BinaryHeap<Reverse<(Instant, u64, Alarm)>>,
    next_alarm: u64,
    pub(super) asked: Option<Asked>,
    /// The policy chose nothing: wait for something to change.
    pub(super) abstained: bool,
    /// Nodes that failed before they were sent.
    pub(super) unsent: VecDeque<(u64, usize, KitError)>,
    /// Something is ready, slots are free, and its target has no room.
    pub(super) held: bool,
    newly: Vec<u32>,
}

impl Scheduler {
    pub(super) fn new(
        calls: Arc<dyn Calls>,
        dag: Arc<DagTracker>,
        options: EngineOptions,
        (messages, inbox): (Sender<Message>, Receiver<Message>),
        totals: Arc<Totals>,
    ) -> Self {
        Self {
            calls,
            dag,
            slots: options.slots.max(1),
            policy: options.policy,
            patience: options.patience,
            journaled: options.journaled,
            messages,
            inbox,
            totals,
            runs: HashMap::new(),
            queues: Queues::default(),
            used: 0,
            next_call: 1,
            alarms: BinaryHeap::new(),
            next_alarm: 0,
            asked: None,
            abstained: false,
            unsent: VecDeque::new(),
            held: false,
            newly: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let Some(first) = self.wait() else {
                self.ring();
                self.dispatch();
                continue;
            };
            if !self.take(first) {
                return;
            }
            for _ in 1..BATCH {
                match self.inbox.try_recv() {
                    Ok(message) => {
                        if !self.take(message) {
                            return;
                        }
                    }
                    Err(_) => break,
                }
            }
            self.ring();
            self.dispatch();
        }
    }

    /// The next message, or none when an alarm is due first.
    fn wait(&mut self) -> Option<Message> {
        let held = self.held.then(|| Instant::now() + HELD);
        let alarm = self.alarms.peek().map(|Reverse((at, _, _))| *at);
        match held.into_iter().chain(alarm).min() {
            None => self.inbox.recv().ok(),
            Some(deadline) => self.inbox.recv_deadline(deadline).ok(),
        }
    }

    /// Takes one message in; false at the end.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Submit(active) => self.begin(active),
            Message::Done(done) => self.came_back(done),
            Message::Cancel(run) => {
                if let Some(active) = self.runs.get(&run) {
                    let what = active.score.name.to_string();
                    let failure = active.ended_by(KitError::Cancelled { what });
                    self.end(run, Err(failure));
                }
            }
            Message::Chosen { number, chosen } => self.chosen(number, chosen),
            Message::Stop => return false,
        }
        true
    }

    /// Everything whose time has come.
    fn ring(&mut self) {
        if self.alarms.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(Reverse((at, _, alarm))) = self.alarms.peek().copied() {
            if at > now {
                return;
            }
            self.alarms.pop();
            match alarm {
                Alarm::Retry { run, node } => {
                    let resting = self
                        .runs
                        .get(&run)
                        .is_some_and(|active| active.nodes[node].stage == Stage::Resting);
                    if resting {
                        self.ready(run, node);
                    }
                }
                Alarm::Decide { number } => self.undecided(number),
            }
        }
    }

    pub(super) fn alarm(&mut self, at: Instant, alarm: Alarm) {
        self.next_alarm += 1;
        self.alarms.push(Reverse((at, self.next_alarm, alarm)));
    }

    fn begin(&mut self, mut active: Box<Active>) {
        let options = SubmitOptions {
            priority: active.priority,
            label: active.score.name.to_string(),
            journaled: self.journaled,
            ..SubmitOptions::default()
        };
        let run = active.shared.id;
        let begun = self.dag.submit_with(&active.score.shape, &options).and_then(|dag| {
            active.dag = Some(dag);
            self.dag.ready_indices(dag, &mut self.newly)
        });
        let done = active.remaining == 0;
        let failure = begun.err().map(|error| active.ended_by(refusal("start a run", error)));
        self.runs.insert(run, active);
        match failure {
            Some(failure) => self.end(run, Err(failure)),
            None if done => self.end(run, Ok(())),
            None => self.newly_ready(run),
        }
    }

    fn newly_ready(&mut self, run: u64) {
        let newly = std::mem::take(&mut self.newly);
        for &index in &newly {
            let node = self.runs.get(&run).map(|active| active.score.of_shape[index as usize]);
            if let Some(node) = node {
                self.ready(run, node);
            }
        }
        self.newly = newly;
    }

    /// Puts a node into the queue of its target.
    fn ready(&mut self, run: u64, node: usize) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        active.nodes[node].stage = Stage::Ready { since: Instant::now() };
        let task = Task { standing: Reverse(active.standing), run, node };
        self.queues.push(active.score.nodes[node].target, task);
        self.abstained = false;
    }

    fn came_back(&mut self, done: Done) {
        self.queues.came_back(done.target);
        if !done.target.in_process {
            self.used = self.used.saturating_sub(1);
        }
        self.abstained = false;
        let Some(active) = self.runs.get_mut(&done.run) else { return };
        let Stage::Sent { call, ready, sent, .. } = active.nodes[done.node].stage else { return };
        if call != done.call {
            return;
        }
        active.shared.counters.running.fetch_sub(1, Ordering::Relaxed);
        active.nodes[done.node].took = sent.elapsed();
        if let Some(policy) = &self.policy {
            let part = &active.score.nodes[done.node];
            policy.tell(Outcome {
                run: done.run,
                melody: Arc::clone(&active.score.name),
                node: Arc::clone(&part.id),
                call: Arc::clone(&part.call),
                attempt: active.nodes[done.node].attempt,
                waited: sent.saturating_duration_since(ready).as_secs_f64(),
                seconds: sent.elapsed().as_secs_f64(),
                error: done.outcome.as_ref().err().map(Hint::code),
            });
        }
        match done.outcome {
            Ok(value) => self.completed(done.run, done.node, &value),
            Err(error) => self.failed(done.run, done.node, error),
        }
    }

    /// A node has its value; so have those that it stands in for.
    fn completed(&mut self, run: u64, node: usize, value: &Payload) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        active.values[node] = Some(value.clone());
        active.nodes[node].stage = Stage::Done;
        if active.score.nodes[node].in_shape.is_some() {
            return self.settle(run, node, true);
        }
        for (owner, _) in std::mem::take(&mut active.nodes[node].owners) {
            self.completed(run, owner, value);
        }
    }

    /// Tells the tracker that a node is done, and readies what waited for it.
    fn settle(&mut self, run: u64, node: usize, with_value: bool) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        let (Some(dag), Some(index)) = (active.dag, active.score.nodes[node].in_shape) else {
            return;
        };
        active.nodes[node].stage = Stage::Done;
        active.nodes[node].skipped = !with_value;
        active.remaining = active.remaining.saturating_sub(1);
        let counters = &active.shared.counters;
        let counter = if with_value { &counters.done } else { &counters.skipped };
        counter.fetch_add(1, Ordering::Relaxed);
        let moved = if with_value {
            self.dag.complete_index(dag, index, None, &mut self.newly)
        } else {
            self.dag.skip_index(dag, index, None, &mut self.newly)
        };
        let done = active.remaining == 0;
        match moved {
            Ok(_) if done => self.end(run, Ok(())),
            Ok(_) => self.newly_ready(run),
            Err(error) => {
                let error = Arc::new(refusal("settle a node", error));
                let failure = active.failure(node, error);
                self.end(run, Err(failure));
            }
        }
    }

    /// A call failed: again, or in another way, or not at all.
    pub(super) fn failed(&mut self, run: u64, node: usize, error: KitError) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        let code = error.code();
        let retry = active.score.nodes[node].retry;
        let state = &mut active.nodes[node];
        let rest = if code == Code::OVERLOADED {
            // Others filled its queue: that is no fault of the node and costs it no try.
            state.refusals += 1;
            let since = *state.refused_since.get_or_insert_with(Instant::now);
            (since.elapsed() < REFUSED)
                .then(|| rest(run, state.refusals, Duration::from_millis(2), 200))
        } else if is_passing(code) && state.attempt < retry {
            state.attempt += 1;
            state.refused_since = None;
            active.shared.counters.retried.fetch_add(1, Ordering::Relaxed);
            self.totals.retried.fetch_add(1, Ordering::Relaxed);
            Some(rest(run, state.attempt, Duration::from_millis(20), 2_000))
        } else {
            None
        };
        if let Some(rest) = rest {
            state.stage = Stage::Resting;
            self.alarm(Instant::now() + rest, Alarm::Retry { run, node });
            return;
        }
        let error = Arc::new(error);
        state.error = Some(Arc::clone(&error));
        let failure = active.failure(node, Arc::clone(&error));
        if active.score.nodes[node].in_shape.is_some() {
            return self.give_up(run, node, node, failure);
        }
        // A stand-in failed for all that it stands in for; each is told its own failure.
        active.nodes[node].stage = Stage::Failed;
        let stand_in = Arc::clone(&active.score.nodes[node].id);
        for (owner, mut first) in std::mem::take(&mut active.nodes[node].owners) {
            first.stand_ins.push((Arc::clone(&stand_in), Arc::clone(&error)));
            self.give_up(run, owner, node, first);
        }
    }

    /// `owner` has no value from `last` (itself, or its stand-in): does what `last` says is done then. A loop, as any number of
    /// stand-ins may have failed already.
    fn give_up(&mut self, run: u64, owner: usize, mut last: usize, mut failure: RunFailure) {
        let Some(active) = self.runs.get_mut(&run) else { return };
        loop {
            let stand_in = match active.score.nodes[last].on_error {
                Ending::Skip => return self.settle(run, owner, false),
                Ending::Fail => return self.end(run, Err(failure)),
                Ending::Fallback(stand_in) => stand_in,
            };
            let state = &mut active.nodes[stand_in];
            match state.stage {
                Stage::Failed => {
                    let part = Arc::clone(&active.score.nodes[stand_in].id);
                    failure.stand_ins.extend(state.error.clone().map(|why| (part, why)));
                    last = stand_in;
                }
                Stage::Done => {
                    return match active.values[stand_in].clone() {
                        Some(value) => self.completed(run, owner, &value),
                        None => self.settle(run, owner, false),
                    };
                }
                Stage::Waiting => {
                    state.owners.push((owner, failure));
                    return self.ready(run, stand_in);
                }
                Stage::Ready { .. } | Stage::Sent { .. } | Stage::Resting => {
                    return state.owners.push((owner, failure));
                }
            }
        }
    }

    /// Ends a run: nothing of it stays behind.
    fn end(&mut self, run: u64, outcome: Result<(), RunFailure>) {
        let Some(mut active) = self.runs.remove(&run) else { return };
        let done = outcome.is_ok();
        if !done {
            for (node, state) in active.nodes.iter().enumerate() {
                match state.stage {
                    Stage::Ready { .. } => {
                        let task = Task { standing: Reverse(active.standing), run, node };
                        self.queues.remove(active.score.nodes[node].target, &task);
                    }
                    Stage::Sent { call, target, .. } => self.calls.cancel(target, call),
                    _ => {}
                }
            }
            active.shared.counters.running.store(0, Ordering::Relaxed);
        }
        if let Some(dag) = active.dag {
            let ended = if done { Ok(()) } else { self.dag.cancel(dag) };
            if let Err(error) = ended.and_then(|()| self.dag.forget(dag)) {
                tracing::warn!(target: "symphony.melody", %error, run, "the tracker keeps a run that has ended");
            }
        }
        let counter = if done { &self.totals.done } else { &self.totals.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let outcome = outcome.map(|()| Arc::new(active.results()));
        let nodes = active.ends();
        active.shared.end(outcome, Some(nodes));
        if self.runs.is_empty() {
            self.queues.tidy();
        }
    }

    pub(super) fn publish_load(&self) {
        let store = |gauge: &AtomicU64, value: usize| gauge.store(value as u64, Ordering::Relaxed);
        store(&self.totals.waiting, self.queues.waiting());
        store(&self.totals.running, self.used);
    }

    /// Says that a node runs, for those who look at the tracker.
    pub(super) fn tell_started(&self, active: &Active, node: usize) {
        let (Some(dag), Some(index)) = (active.dag, active.score.nodes[node].in_shape) else {
            return;
        };
        if let Err(error) = self.dag.start(dag, index) {
            tracing::warn!(target: "symphony.melody", %error, "the tracker does not let a ready node start");
        }
    }
}

fn refusal(step: &'static str, error: pit::PitError) -> KitError {
    KitError::Pit(PitRefusal { member: "dag-tracker", step, source: Box::new(error) })
}

/// Whether another try can help.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::EXTENSION_CRASHED
            | Code::CALL_TIMEOUT
            | Code::REMOTE_ERROR
            | Code::START_FAILED
            | Code::START_TIMEOUT
            | Code::PROTOCOL_VIOLATION
    )
}

/// Doubling from `first` up to `longest` milliseconds, spread by a quarter so that runs do not march in step.
fn rest(run: u64, times: u32, first: Duration, longest: u64) -> Duration {
    let doubled = first * 2u32.saturating_pow(times.saturating_sub(1).min(16));
    let rest = doubled.min(Duration::from_millis(longest));
    let spread = run.wrapping_add(u64::from(times)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    rest + rest.mul_f64(spread as f64 / 1024.0)
}
