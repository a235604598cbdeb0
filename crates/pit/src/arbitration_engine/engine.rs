//! The engine: resources by name, waiting with a deadline, the audit. The decisions are the arbiters'.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::wait::wait_once;
use crate::{PitError, PitResult};

use super::arbiter::{Arbiter, Ask};
use super::audit::Ring;
use super::{AuditEntry, Decision, Grant, Outcome, Reason, Strategy};

const MEMBER: &str = "arbitration-engine";
/// How many decisions the audit keeps where nothing else is said.
const AUDIT_ENTRIES: usize = 10_000;

/// Somebody wants an amount of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Of what.
    pub resource: &'a str,
    /// For whom.
    pub owner: &'a str,
    /// How much; at least 1.
    pub amount: u64,
    /// Larger is served first, where the strategy looks at it.
    pub priority: i64,
    /// How long to wait; zero decides at once, none waits for ever.
    pub timeout: Option<Duration>,
}

/// Where a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceStatus {
    /// Its name.
    pub resource: Arc<str>,
    /// The word of its strategy.
    pub strategy: &'static str,
    /// How much there is.
    pub capacity: u64,
    /// How much is granted.
    pub used: u64,
    /// Who holds how much, by name.
    pub holders: Vec<(Arc<str>, u64)>,
    /// How many wait.
    pub waiting: usize,
}

#[derive(Debug)]
struct Waiter {
    bell: Arc<Condvar>,
    since: Instant,
    granted: Option<Reason>,
}

#[derive(Debug)]
struct Resource {
    name: Arc<str>,
    arbiter: Arbiter,
    waiters: HashMap<u64, Waiter>,
}

#[derive(Debug)]
struct State {
    resources: Vec<Resource>,
    by_name: HashMap<Arc<str>, usize>,
    audit: Ring,
    ticket: u64,
    closed: bool,
}

/// Decides who gets what is scarce.
#[derive(Debug)]
pub struct ArbitrationEngine {
    state: Mutex<State>,
    began: Instant,
}

impl ArbitrationEngine {
    /// An engine without resources; its audit keeps the last 10,000 decisions.
    pub fn new() -> Arc<Self> {
        Self::with_audit(AUDIT_ENTRIES)
    }

    /// The same with room for another number of decisions.
    pub fn with_audit(entries: usize) -> Arc<Self> {
        let state = State {
            resources: Vec::new(),
            by_name: HashMap::new(),
            audit: Ring::new(entries),
            ticket: 0,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), began: Instant::now() })
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// There is one of that name, its capacity is 0, or the engine was closed.
    pub fn define(&self, resource: &str, capacity: u64, strategy: Strategy) -> PitResult<()> {
        at_least_one("capacity", capacity)?;
        let mut state = self.open()?;
        if state.by_name.contains_key(resource) {
            return Err(PitError::Duplicate { kind: "resource", name: resource.to_owned() });
        }
        let name: Arc<str> = Arc::from(resource);
        let index = state.resources.len();
        state.by_name.insert(Arc::clone(&name), index);
        let arbiter = Arbiter::new(capacity, strategy);
        state.resources.push(Resource { name, arbiter, waiters: HashMap::new() });
        Ok(())
    }

    /// Asks for an amount, waiting at most the timeout. Being denied or deferred is an answer, not an error.
    ///
    /// # Errors
    /// There is no such resource, the amount is 0, or the engine was closed.
    pub fn request(self: &Arc<Self>, request: Request<'_>) -> PitResult<Grant> {
        self.request_polling(request, None)
    }

    /// The same, asking `interrupted` every 50 ms of the wait, outside the lock, whether to give it up. The place in the
    /// line is kept meanwhile.
    ///
    /// # Errors
    /// As [`Self::request`]; or the wait was interrupted.
    pub fn request_polling(
        self: &Arc<Self>,
        request: Request<'_>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Grant> {
        at_least_one("amount", request.amount)?;
        let mut state = self.open()?;
        let index = find(&state, request.resource)?;
        let owner: Arc<str> = Arc::from(request.owner);
        let grant = |outcome, reason| Grant {
            engine: Arc::clone(self),
            resource: index,
            owner: Arc::clone(&owner),
            amount: request.amount,
            priority: request.priority,
            outcome,
            reason,
            released: AtomicBool::new(false),
        };
        state.ticket += 1;
        let ticket = state.ticket;
        let ask = |turn| Ask {
            ticket,
            owner: Arc::clone(&owner),
            amount: request.amount,
            priority: request.priority,
            turn,
        };
        let arbiter = &mut state.resources[index].arbiter;
        if request.amount > arbiter.capacity {
            let capacity = arbiter.capacity;
            let reason = Reason::AboveCapacity { amount: request.amount, capacity };
            self.note(&mut state, index, &ask(0), Decision::Denied, &reason, Duration::ZERO);
            return Ok(grant(Outcome::Denied, reason));
        }
        let free = arbiter.free();
        let mut served = arbiter.grant_at_once(&owner, request.amount);
        if !served {
            arbiter.ask(ticket, &owner, request.amount, request.priority);
            // Everyone who waits was offered what is free before: only this ask can be served now.
            served = arbiter.serve().is_some();
        }
        if served {
            let reason = Reason::Free { amount: request.amount, free };
            self.note(&mut state, index, &ask(0), Decision::Granted, &reason, Duration::ZERO);
            return Ok(grant(Outcome::Granted, reason));
        }
        if request.timeout == Some(Duration::ZERO) {
            let reason = self.give_up(&mut state, index, ticket, Duration::ZERO)?;
            return Ok(grant(Outcome::Deferred, reason));
        }
        let (outcome, reason) = self.wait(state, index, ticket, request.timeout, interrupted)?;
        Ok(grant(outcome, reason))
    }

    /// Where every resource stands, in the order of definition.
    pub fn status(&self) -> Vec<ResourceStatus> {
        let state = self.state.lock();
        let status = |resource: &Resource| ResourceStatus {
            resource: Arc::clone(&resource.name),
            strategy: resource.arbiter.strategy,
            capacity: resource.arbiter.capacity,
            used: resource.arbiter.used,
            holders: resource
                .arbiter
                .holders
                .iter()
                .map(|(owner, amount)| (Arc::clone(owner), *amount))
                .collect(),
            waiting: resource.arbiter.waiting(),
        };
        state.resources.iter().map(status).collect()
    }

    /// The last decisions, oldest first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.state.lock().audit.entries()
    }

    /// Ends every wait; what is granted can still be given back.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for waiter in state.resources.iter().flat_map(|resource| resource.waiters.values()) {
            waiter.bell.notify_one();
        }
    }

    pub(super) fn release(&self, grant: &Grant) {
        let mut state = self.state.lock();
        let resource = &mut state.resources[grant.resource];
        resource.arbiter.release(&grant.owner, grant.amount);
        let ask = Ask {
            ticket: 0,
            owner: Arc::clone(&grant.owner),
            amount: grant.amount,
            priority: grant.priority,
            turn: 0,
        };
        let none = Duration::ZERO;
        self.note(&mut state, grant.resource, &ask, Decision::Released, &Reason::Released, none);
        self.serve(&mut state, grant.resource);
    }

    /// Waits until the ask is served or its time is over.
    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        index: usize,
        ticket: u64,
        timeout: Option<Duration>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<(Outcome, Reason)> {
        let since = Instant::now();
        let deadline = timeout.and_then(|timeout| since.checked_add(timeout));
        let bell = Arc::new(Condvar::new());
        let waiter = Waiter { bell: Arc::clone(&bell), since, granted: None };
        state.resources[index].waiters.insert(ticket, waiter);
        let mut given_up = false;
        loop {
            let waiters = &mut state.resources[index].waiters;
            let granted = waiters.get_mut(&ticket).and_then(|waiter| waiter.granted.take());
            if let Some(reason) = granted {
                waiters.remove(&ticket);
                return Ok((Outcome::Granted, reason));
            }
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if over || given_up || state.closed {
                state.resources[index].waiters.remove(&ticket);
                let reason = self.give_up(&mut state, index, ticket, since.elapsed())?;
                if state.closed {
                    return Err(PitError::Stopped { member: MEMBER });
                }
                if given_up {
                    let name = state.resources[index].name.to_string();
                    return Err(PitError::Interrupted { what: "resource", name });
                }
                return Ok((Outcome::Deferred, reason));
            }
            wait_once(&bell, &mut state, deadline, interrupted.is_some());
            let served = state.resources[index].waiters.get(&ticket);
            let served = served.is_some_and(|waiter| waiter.granted.is_some());
            given_up =
                !served && interrupted.is_some_and(|ask| MutexGuard::unlocked(&mut state, ask));
        }
    }

    /// Takes an ask out of the line, notes why, and serves who stood behind it.
    fn give_up(
        &self,
        state: &mut State,
        index: usize,
        ticket: u64,
        waited: Duration,
    ) -> PitResult<Reason> {
        let withdrawn = state.resources[index].arbiter.withdraw(ticket);
        let (ask, reason) = withdrawn.ok_or_else(|| PitError::Internal {
            member: MEMBER,
            reason: format!("ask {ticket} waits in no line"),
        })?;
        self.note(state, index, &ask, Decision::Deferred, &reason, waited);
        self.serve(state, index);
        Ok(reason)
    }

    /// Grants to those who wait, while there is enough, and wakes them.
    fn serve(&self, state: &mut State, index: usize) {
        while let Some((ask, reason)) = state.resources[index].arbiter.serve() {
            let mut waited = Duration::ZERO;
            if let Some(waiter) = state.resources[index].waiters.get_mut(&ask.ticket) {
                waiter.granted = Some(reason.clone());
                waiter.bell.notify_one();
                waited = waiter.since.elapsed();
            }
            self.note(state, index, &ask, Decision::Granted, &reason, waited);
        }
    }

    fn note(
        &self,
        state: &mut State,
        index: usize,
        ask: &Ask,
        decision: Decision,
        reason: &Reason,
        waited: Duration,
    ) {
        let resource = Arc::clone(&state.resources[index].name);
        state.audit.push(AuditEntry {
            sequence: 0,
            at: self.began.elapsed(),
            resource,
            owner: Arc::clone(&ask.owner),
            amount: ask.amount,
            priority: ask.priority,
            decision,
            reason: reason.clone(),
            waited,
        });
    }

    fn open(&self) -> PitResult<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.closed { Err(PitError::Stopped { member: MEMBER }) } else { Ok(state) }
    }
}

fn find(state: &State, resource: &str) -> PitResult<usize> {
    let found = state.by_name.get(resource).copied();
    found.ok_or_else(|| PitError::NotFound { kind: "resource", name: resource.to_owned() })
}

fn at_least_one(what: &'static str, value: u64) -> PitResult<()> {
    if value > 0 {
        return Ok(());
    }
    Err(PitError::Invalid { what, value: "0".to_owned(), expected: "at least 1" })
}
