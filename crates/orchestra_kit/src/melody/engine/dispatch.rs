//! What is sent now: everything when there are slots for all, else what the policy, or the oldest run, says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use component::Seconds;
use crossbeam_channel::Sender;

use super::calls::{Call, Target};
use super::node::Stage;
use super::policy::ReadyNode;
use super::port::Question;
use super::queue::Task;
use super::scheduler::{Alarm, Asked, Done, Message, Scheduler};
use super::splice;
use crate::KitError;

/// Calls to be sent, by target.
type Batches = Vec<(Target, Vec<Call>)>;

impl Scheduler {
    /// Sends what may go. Nodes that fail before they are sent may free others, hence the loop.
    pub(super) fn dispatch(&mut self) {
        loop {
            let mut batches = Batches::new();
            let calls = Arc::clone(&self.calls);
            let inside = self.queues.first(true, usize::MAX, |target| calls.room(target));
            self.send(inside, &mut batches);
            self.held = self.queues.filled().any(|queue| queue.target.in_process);
            let free = self.slots.saturating_sub(self.used);
            if self.queues.waiting() > 0 && free > 0 && !self.abstained {
                self.fill_slots(free, &mut batches);
            }
            for (target, mut calls) in batches {
                match (calls.pop(), calls.is_empty()) {
                    (Some(only), true) => self.calls.submit(target, only),
                    (Some(last), false) => {
                        calls.push(last);
                        self.calls.submit_batch(target, calls);
                    }
                    (None, _) => {}
                }
            }
            if self.unsent.is_empty() {
                break;
            }
            while let Some((run, node, error)) = self.unsent.pop_front() {
                self.failed(run, node, error);
            }
        }
        self.publish_load();
    }

    fn fill_slots(&mut self, free: usize, batches: &mut Batches) {
        let everything_fits = self.queues.waiting() <= free;
        // A policy that is late with its last answer is busy: until it is back, the oldest run is first.
        let busy = self.asked.as_ref().is_some_and(|asked| asked.late);
        if everything_fits || self.policy.is_none() || busy {
            self.oldest_first(free, batches);
        } else if self.asked.is_none() && !self.ask(free) {
            self.totals.refused.fetch_add(1, Ordering::Relaxed);
            self.oldest_first(free, batches);
        }
    }

    fn oldest_first(&mut self, free: usize, batches: &mut Batches) {
        let calls = Arc::clone(&self.calls);
        let chosen = self.queues.first(false, free, |target| calls.room(target));
        self.send(chosen, batches);
        self.held |= self.queues.waiting() > 0 && self.used < self.slots;
    }

    /// Posts the ready set to the policy. True when there is nothing to do until its answer.
    fn ask(&mut self, free: usize) -> bool {
        let Some(policy) = &self.policy else { return false };
        let calls = Arc::clone(&self.calls);
        let tasks = self.queues.first(false, usize::MAX, |target| calls.room(target));
        if tasks.is_empty() {
            // All of it waits for room; there is nothing to choose.
            self.held = true;
            return true;
        }
        let mut cold: HashMap<Target, bool> = HashMap::new();
        let mut queues: HashMap<Target, u32> = HashMap::new();
        for (target, _) in &tasks {
            *queues.entry(*target).or_default() += 1;
        }
        let now = Instant::now();
        let ready = tasks.iter().filter_map(|(target, task)| {
            let active = self.runs.get(&task.run)?;
            let part = &active.score.nodes[task.node];
            let state = &active.nodes[task.node];
            let Stage::Ready { since } = state.stage else { return None };
            Some(ReadyNode {
                run: task.run,
                melody: Arc::clone(&active.score.name),
                node: Arc::clone(&part.id),
                call: Arc::clone(&part.call),
                priority: active.priority,
                attempt: state.attempt,
                waited: now.saturating_duration_since(since).as_secs_f64(),
                age: now.saturating_duration_since(active.shared.submitted).as_secs_f64(),
                remaining: active.remaining,
                critical_path: part.height,
                cold: *cold.entry(*target).or_insert_with(|| calls.is_cold(*target)),
                queue: queues.get(target).copied().unwrap_or_default(),
            })
        });
        let number = self.next_call;
        let question = Question {
            ready: ready.collect(),
            slots: free,
            number,
            reply: Some(self.messages.clone()),
        };
        let lawful = question.ready.len() == tasks.len();
        if !lawful || !policy.ask(question) {
            return false;
        }
        self.next_call += 1;
        self.totals.asked.fetch_add(1, Ordering::Relaxed);
        self.alarm(Instant::now() + self.patience, Alarm::Decide { number });
        self.asked = Some(Asked { number, tasks, late: false });
        true
    }

    /// The policy has answered.
    pub(super) fn chosen(&mut self, number: u64, chosen: Option<Vec<usize>>) {
        let Some(asked) = self.asked.take_if(|asked| asked.number == number) else { return };
        if asked.late {
            return;
        }
        let mut taken = vec![false; asked.tasks.len()];
        let lawful = chosen.as_ref().is_some_and(|chosen| {
            chosen
                .iter()
                .all(|at| taken.get_mut(*at).is_some_and(|taken| !std::mem::replace(taken, true)))
        });
        let free = self.slots.saturating_sub(self.used);
        let mut batches = Batches::new();
        match chosen {
            Some(chosen) if lawful && !chosen.is_empty() => {
                let tasks = chosen.iter().map(|at| asked.tasks[*at]).take(free).collect();
                self.send(tasks, &mut batches);
            }
            // To choose nothing is lawful while something runs whose end will ask again.
            Some(_) if lawful && self.used > 0 => self.abstained = true,
            _ => {
                self.totals.refused.fetch_add(1, Ordering::Relaxed);
                self.oldest_first(free, &mut batches);
            }
        }
        for (target, calls) in batches {
            self.calls.submit_batch(target, calls);
        }
    }

    /// The policy's time is over.
    pub(super) fn undecided(&mut self, number: u64) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.number == number) {
            asked.late = true;
            let patience = Seconds::from(self.patience).to_string();
            tracing::warn!(
                target: "symphony.conductor",
                %patience,
                "`choose` is late: the oldest run is served first until it is back"
            );
            self.totals.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes tasks out of their queues and makes their calls.
    fn send(&mut self, tasks: Vec<(Target, Task)>, batches: &mut Batches) {
        if tasks.is_empty() {
            return;
        }
        let now = Instant::now();
        for (target, task) in tasks {
            if !self.queues.remove(target, &task) {
                continue;
            }
            let Some(active) = self.runs.get_mut(&task.run) else { continue };
            let Stage::Ready { since } = active.nodes[task.node].stage else { continue };
            let values = splice::Values { inputs: &active.inputs, nodes: &active.values };
            let part = &active.score.nodes[task.node];
            let inputs = match splice::inputs(part, values) {
                Ok(inputs) => inputs,
                Err(error) => {
                    self.unsent.push_back((task.run, task.node, error));
                    continue;
                }
            };
            let id = self.next_call;
            self.next_call += 1;
            let answer = Answer {
                engine: self.messages.clone(),
                run: task.run,
                node: task.node,
                call: id,
                target,
                name: Arc::clone(&part.call),
                told: false,
            };
            let call = Call {
                id,
                operation: Arc::clone(&part.operation),
                inputs,
                deadline: part.timeout.and_then(|timeout| now.checked_add(timeout)),
                priority: active.priority,
                done: Box::new(move |outcome| answer.tell(outcome)),
            };
            let state = &mut active.nodes[task.node];
            let first = state.attempt == 0 && state.refusals == 0;
            state.stage = Stage::Sent { call: id, target, ready: since, sent: now };
            active.shared.counters.running.fetch_add(1, Ordering::Relaxed);
            if first && let Some(active) = self.runs.get(&task.run) {
                self.tell_started(active, task.node);
            }
            self.totals.calls.fetch_add(1, Ordering::Relaxed);
            self.queues.sent(target);
            if !target.in_process {
                self.used += 1;
            }
            match batches.iter_mut().find(|(other, _)| *other == target) {
                Some((_, calls)) => calls.push(call),
                None => batches.push((target, vec![call])),
            }
        }
    }
}

/// Brings the outcome of one call back; dropped without one, it brings that.
struct Answer {
    engine: Sender<Message>,
    run: u64,
    node: usize,
    call: u64,
    target: Target,
    name: Arc<str>,
    told: bool,
}

impl Answer {
    fn tell(mut self, outcome: Result<ipc::Payload, KitError>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Result<ipc::Payload, KitError>) {
        self.told = true;
        let done =
            Done { run: self.run, node: self.node, call: self.call, target: self.target, outcome };
        // An engine that has ended has told its runs already.
        let _ = self.engine.send(Message::Done(done));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.told {
            self.send(Err(KitError::Lost { call: self.name.to_string() }));
        }
    }
}
