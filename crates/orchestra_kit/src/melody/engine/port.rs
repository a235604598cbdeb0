//! The way to a policy that lives on a thread of its own (Python's conductor thread, or a Rust one).
//!
//! The engine posts a question and goes on; the answer comes back as a message, or its deadline passes. Outcomes queue
//! up to a limit and are then dropped and counted, so that a slow policy costs nothing but its own knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

use super::policy::{Outcome, Policy, ReadyNode};
use super::scheduler::Message;

/// Outcomes that wait for a policy at most.
const OUTCOMES: usize = 16 * 1024;

/// The engine's end.
pub struct PolicyPort {
    questions: Sender<Question>,
    outcomes: Sender<Outcome>,
    dropped: Arc<AtomicU64>,
}

/// The policy's end. Dropped, the engine falls back to [`super::Fifo`].
pub struct PolicyReceiver {
    questions: Receiver<Question>,
    outcomes: Receiver<Outcome>,
    dropped: Arc<AtomicU64>,
}

/// What a policy is asked or told.
#[derive(Debug)]
pub enum PolicyEvent {
    /// Choose, and answer.
    Choose(Question),
    /// Learn.
    Observe(Outcome),
    /// Nothing came in time.
    Idle,
    /// The engine has ended.
    Closed,
}

/// The ready set, waiting for a choice. Dropped unanswered, it counts as failed.
#[derive(Debug)]
pub struct Question {
    /// All nodes that could run now.
    pub ready: Vec<ReadyNode>,
    /// How many of them can.
    pub slots: usize,
    pub(super) number: u64,
    pub(super) reply: Option<Sender<Message>>,
}

impl Question {
    /// Answers with indices into `ready`, best first.
    pub fn answer(mut self, chosen: Vec<usize>) {
        self.send(Some(chosen));
    }

    /// The policy failed; the engine decides itself.
    pub fn fail(mut self) {
        self.send(None);
    }

    fn send(&mut self, chosen: Option<Vec<usize>>) {
        if let Some(reply) = self.reply.take() {
            // An engine that has ended needs no answer.
            let _ = reply.send(Message::Chosen { number: self.number, chosen });
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.send(None);
    }
}

impl PolicyPort {
    /// Both ends of a new port.
    pub fn new() -> (Self, PolicyReceiver) {
        let (questions, asked) = crossbeam_channel::bounded(1);
        // Not a bounded one: that touches the memory of all its places at once, 1.6 MiB that no small system needs.
        let (outcomes, told) = crossbeam_channel::unbounded();
        let dropped = Arc::new(AtomicU64::new(0));
        (
            Self { questions, outcomes, dropped: Arc::clone(&dropped) },
            PolicyReceiver { questions: asked, outcomes: told, dropped },
        )
    }

    /// Asks; false when nobody listens or the last question was not even taken.
    pub(super) fn ask(&self, question: Question) -> bool {
        match self.questions.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(mut question) | TrySendError::Disconnected(mut question)) => {
                // Its answer is given here: none.
                question.reply = None;
                false
            }
        }
    }

    /// Called by the engine's one thread, so that nobody fills the last place in between.
    pub(super) fn tell(&self, outcome: Outcome) {
        if self.outcomes.len() >= OUTCOMES || self.outcomes.send(outcome).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl PolicyReceiver {
    /// The next thing to do: a question before all outcomes. Blocks up to `timeout`. Outcomes that were told before the
    /// engine ended still come.
    pub fn next(&self, timeout: Duration) -> PolicyEvent {
        if let Some(event) = self.waiting() {
            return event;
        }
        crossbeam_channel::select! {
            recv(self.questions) -> question => match question {
                Ok(question) => PolicyEvent::Choose(question),
                Err(_) => self.waiting().unwrap_or(PolicyEvent::Closed),
            },
            recv(self.outcomes) -> outcome => match outcome {
                Ok(outcome) => PolicyEvent::Observe(outcome),
                Err(_) => self.waiting().unwrap_or(PolicyEvent::Closed),
            },
            default(timeout) => PolicyEvent::Idle,
        }
    }

    /// What is there without waiting.
    fn waiting(&self) -> Option<PolicyEvent> {
        if let Ok(question) = self.questions.try_recv() {
            return Some(PolicyEvent::Choose(question));
        }
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(PolicyEvent::Observe(outcome)),
            Err(TryRecvError::Disconnected) => Some(PolicyEvent::Closed),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// Outcomes that were dropped because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Serves a policy on the calling thread until the engine ends.
    pub fn serve(&self, policy: &mut dyn Policy) {
        loop {
            match self.next(Duration::from_secs(3600)) {
                PolicyEvent::Choose(question) => {
                    let chosen = policy.choose(&question.ready, question.slots);
                    question.answer(chosen);
                }
                PolicyEvent::Observe(outcome) => policy.observe(&outcome),
                PolicyEvent::Idle => {}
                PolicyEvent::Closed => return,
            }
        }
    }
}
