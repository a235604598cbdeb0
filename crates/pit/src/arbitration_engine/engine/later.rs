//! Requests that wait without a thread, and the answers to them.
//!
//! Kept by whoever asked: a [`Waiting`]. Invariants: it is answered exactly once, without the lock, whoever comes first: the
//! line, its deadline, its withdrawal or the engine's end; whoever changes something that can serve such a request gives the
//! answers before it leaves or sleeps; while one waits, somebody keeps the time of the leases.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::MutexGuard;

use super::super::Outcome;
use super::super::grant::{Answered, Due, Wake};
use super::super::lease_alarm::{LeaseAlarm, TakeBack};
use super::{ArbitrationEngine, Decided, MEMBER, Request, State, Waiter};
use crate::{PitError, PitResult};

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    TimedOut,
    Withdrawn,
}

/// A place in a line. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Waiting {
    engine: Weak<ArbitrationEngine>,
    resource: usize,
    ticket: u64,
}

impl Waiting {
    fn new(engine: &Arc<ArbitrationEngine>, resource: usize, ticket: u64) -> Self {
        Self { engine: Arc::downgrade(engine), resource, ticket }
    }

    /// Has `set` told when a lease ends for which this waits, and given what looks at it then; it gives what takes that
    /// back.
    pub fn keep_time_by(
        &self,
        set: impl Fn(Instant, Box<dyn FnOnce() + Send>) -> TakeBack + Send + Sync + 'static,
    ) {
        let Some(engine) = self.engine.upgrade() else { return };
        let waiting = self.engine.clone();
        engine.keep_time_by(LeaseAlarm::new(move |at| {
            let engine = waiting.clone();
            set(
                at,
                Box::new(move || {
                    if let Some(engine) = engine.upgrade() {
                        engine.look_at_leases();
                    }
                }),
            )
        }));
    }

    /// Its time is over: the answer is that it was deferred, unless there is another.
    pub fn time_out(&self) {
        self.end(GivenUp::TimedOut);
    }

    /// Whoever asked wants it no more: the answer is that it was interrupted, unless there is another.
    pub fn withdraw(&self) {
        self.end(GivenUp::Withdrawn);
    }

    fn end(&self, why: GivenUp) {
        if let Some(engine) = self.engine.upgrade() {
            engine.end_waiting(self.resource, self.ticket, why);
        }
    }
}

impl ArbitrationEngine {
    /// Asks without holding a thread: `answered` is called once, here or later on whichever thread serves the line, and
    /// must not block. Nothing ends the wait by itself, whatever the request's timeout: [`Waiting::time_out`] does. None:
    /// it is answered.
    ///
    /// # Errors
    /// As [`Self::request`]; `answered` is then dropped.
    pub fn request_later(
        self: &Arc<Self>,
        request: Request<'_>,
        answered: Answered,
    ) -> PitResult<Option<Waiting>> {
        let (mut state, asked) = self.line_for(&request)?;
        let (index, ask) = (asked.index, &asked.ask);
        let decided = match self.decide(&mut state, &asked, &request)? {
            Decided::Now(outcome, reason) => Some((outcome, reason)),
            Decided::Later => {
                let waiter = Waiter::new(Wake::Answer(answered), &request);
                state.resources[index].waiters.insert(ask.ticket, waiter);
                // What waits on no thread is in no ring of threads: this ends nothing.
                self.look_for_ring(&mut state, index, ask, &Request { thread: None, ..request })?;
                state.keep_time(None);
                Self::answer(&mut state);
                return Ok(Some(Waiting::new(self, index, ask.ticket)));
            }
        };
        Self::answer(&mut state);
        drop(state);
        if let Some((outcome, reason)) = decided {
            answered(Ok(self.grant(ask, asked.resource, request.lease, outcome, reason)));
        }
        Ok(None)
    }

    /// Ends every wait; what is granted can still be given back.
    pub fn close(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.closed = true;
        let mut later = Vec::new();
        for (index, resource) in state.resources.iter().enumerate() {
            for (ticket, waiter) in &resource.waiters {
                match &waiter.wake {
                    Wake::Bell(_) => waiter.wake.ring(),
                    Wake::Answer(_) => later.push((index, *ticket)),
                }
            }
        }
        for (index, ticket) in later {
            self.end(&mut state, index, ticket, GivenUp::Withdrawn);
        }
        Self::answer(&mut state);
    }

    /// A request that holds no thread is not waited for any more.
    fn end_waiting(self: &Arc<Self>, index: usize, ticket: u64, why: GivenUp) {
        let mut state = self.state.lock();
        self.expire(&mut state);
        self.end(&mut state, index, ticket, why);
        Self::answer(&mut state);
    }

    fn end(self: &Arc<Self>, state: &mut State, index: usize, ticket: u64, why: GivenUp) {
        // Taken out only after the ring is found, which goes through all that wait.
        let ring = Self::suspected_ring(state, index, ticket);
        let Some(waiter) = state.resources[index].waiters.remove(&ticket) else { return };
        let Waiter { wake: Wake::Answer(answered), since, lease, .. } = waiter else { return };
        let withdrawn = self.withdraw(state, index, ticket, since.elapsed(), ring.as_ref());
        let resource = Arc::clone(&state.resources[index].name);
        let outcome = withdrawn.and_then(|(ask, reason)| match why {
            _ if state.closed => Err(PitError::Stopped { member: MEMBER }),
            GivenUp::TimedOut => Ok(self.grant(&ask, resource, lease, Outcome::Deferred, reason)),
            GivenUp::Withdrawn => {
                Err(PitError::Interrupted { what: "resource", name: resource.to_string() })
            }
        });
        state.answers.push_back(Due { answered, outcome });
    }

    /// Gives the answers that are due, without the lock. What they free answers others in turn: one thread does it all,
    /// in a loop, so that a long line is no deep stack.
    pub(super) fn answer(state: &mut MutexGuard<'_, State>) {
        if state.answering {
            return;
        }
        state.answering = true;
        while let Some(Due { answered, outcome }) = state.answers.pop_front() {
            MutexGuard::unlocked(state, || {
                if catch_unwind(AssertUnwindSafe(|| answered(outcome))).is_err() {
                    tracing::error!("the answer to a request for a resource panicked");
                }
            });
        }
        state.answering = false;
        state.let_alarm_go();
    }

    /// From now on `alarm` is told when a lease is over for which nobody waits on a thread; [`Self::look_at_leases`] is
    /// wanted then.
    fn keep_time_by(&self, alarm: LeaseAlarm) {
        let mut state = self.state.lock();
        // What the one before had set is taken back.
        state.alarm = Some(alarm);
        state.keep_time(None);
    }

    /// Takes back what is on a lease that is over, and serves who waits for it.
    fn look_at_leases(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if let Some(alarm) = &mut state.alarm {
            alarm.has_rung();
        }
        self.expire(&mut state);
        state.keep_time(None);
        Self::answer(&mut state);
    }
}

impl State {
    /// A lease began that is over at `until`, or somebody came: those that wait hear of the first end in time.
    pub(super) fn keep_time(&mut self, until: Option<Instant>) {
        let Some((first, _)) = self.expiries.first().copied() else { return };
        if until.is_some_and(|until| until > first) {
            return;
        }
        let mut without_thread = false;
        for waiter in self.resources.iter().flat_map(|resource| resource.waiters.values()) {
            match &waiter.wake {
                // It sees when it has to look again.
                Wake::Bell(_) => waiter.wake.ring(),
                Wake::Answer(_) => without_thread = true,
            }
        }
        if let Some(alarm) = self.alarm.as_mut().filter(|_| without_thread) {
            alarm.ring_by(first);
        }
    }

    /// Takes the alarm back where nobody waits for it any more: it would stay as long as the lease.
    fn let_alarm_go(&mut self) {
        let Some(alarm) = self.alarm.as_mut().filter(|alarm| alarm.is_set()) else { return };
        let mut waiters = self.resources.iter().flat_map(|resource| resource.waiters.values());
        if !waiters.any(|waiter| matches!(waiter.wake, Wake::Answer(_))) {
            alarm.take_back();
        }
    }
}
