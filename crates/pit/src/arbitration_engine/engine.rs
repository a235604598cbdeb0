//! The engine: resources by name, waiting with a deadline, the audit. The decisions are the arbiters'.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::wait::wait_once;
use crate::{PitError, PitResult};

use super::arbiter::{Arbiter, Ask};
use super::audit::Ring;
use super::deadlock::{self, Holding, Party, Waiting};
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
    /// How long it is held until it is taken back, unless it is renewed; none: until it is released.
    pub lease: Option<Duration>,
    /// The thread that waits and releases, where that is one and the same; by it a deadlock is sure.
    pub thread: Option<ThreadId>,
}

impl<'a> Request<'a> {
    /// One of a resource, with normal priority, decided at once, held until it is released by whatever thread.
    pub const fn new(resource: &'a str, owner: &'a str) -> Self {
        Self {
            resource,
            owner,
            amount: 1,
            priority: 0,
            timeout: Some(Duration::ZERO),
            lease: None,
            thread: None,
        }
    }
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
    lease: Option<Duration>,
    thread: Option<ThreadId>,
}

/// Something that was granted and not given back.
#[derive(Debug)]
struct Held {
    resource: usize,
    owner: Arc<str>,
    amount: u64,
    priority: i64,
    thread: Option<ThreadId>,
    lease: Option<Duration>,
    expires: Option<Instant>,
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
    /// What is held, by its ticket.
    held: HashMap<u64, Held>,
    /// When what is on lease is taken back.
    expiries: BTreeSet<(Instant, u64)>,
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
            held: HashMap::new(),
            expiries: BTreeSet::new(),
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
        self.expire(&mut state);
        let index = find(&state, request.resource)?;
        let resource = Arc::clone(&state.resources[index].name);
        let owner: Arc<str> = Arc::from(request.owner);
        state.ticket += 1;
        let ticket = state.ticket;
        let grant = |outcome, reason| Grant {
            engine: Arc::clone(self),
            ticket,
            resource: Arc::clone(&resource),
            owner: Arc::clone(&owner),
            amount: request.amount,
            lease: request.lease,
            outcome,
            reason,
            released: AtomicBool::new(false),
        };
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
            state.hold(index, &ask(0), request.lease, request.thread);
            self.note(&mut state, index, &ask(0), Decision::Granted, &reason, Duration::ZERO);
            return Ok(grant(Outcome::Granted, reason));
        }
        if request.timeout == Some(Duration::ZERO) {
            let reason = self.withdraw(&mut state, index, ticket, Duration::ZERO, None)?;
            return Ok(grant(Outcome::Deferred, reason));
        }
        let (outcome, reason) = self.wait(state, index, ticket, &request, interrupted)?;
        Ok(grant(outcome, reason))
    }

    /// Where every resource stands, in the order of definition.
    pub fn status(&self) -> Vec<ResourceStatus> {
        let mut state = self.state.lock();
        self.expire(&mut state);
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
        let mut state = self.state.lock();
        self.expire(&mut state);
        state.audit.entries()
    }

    /// Gives back all that an owner holds; how many grants that were. Its waits go on.
    pub fn release_owner(&self, owner: &str) -> usize {
        let mut state = self.state.lock();
        let of_it = |(ticket, held): (&u64, &Held)| (*held.owner == *owner).then_some(*ticket);
        let mut tickets: Vec<u64> = state.held.iter().filter_map(of_it).collect();
        tickets.sort_unstable();
        for ticket in &tickets {
            self.give_back(&mut state, *ticket, Decision::Released, &Reason::OwnerEnded);
        }
        tickets.len()
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
        self.give_back(&mut state, grant.ticket, Decision::Released, &Reason::Released);
    }

    pub(super) fn holds(&self, ticket: u64) -> bool {
        let mut state = self.state.lock();
        self.expire(&mut state);
        state.held.contains_key(&ticket)
    }

    pub(super) fn renew(&self, grant: &Grant, lease: Option<Duration>) -> PitResult<()> {
        let mut state = self.open()?;
        self.expire(&mut state);
        let State { held, expiries, .. } = &mut *state;
        let held = held.get_mut(&grant.ticket).ok_or_else(|| PitError::WrongState {
            doing: "renew",
            kind: "the grant of",
            name: grant.resource.to_string(),
            state: "not held any more".to_owned(),
        })?;
        if let Some(before) = held.expires.take() {
            expiries.remove(&(before, grant.ticket));
        }
        held.lease = lease;
        held.expires = lease.and_then(|lease| Instant::now().checked_add(lease));
        expiries.extend(held.expires.map(|at| (at, grant.ticket)));
        Ok(())
    }

    /// Gives back what a ticket holds, once, and serves who waits for it.
    fn give_back(&self, state: &mut State, ticket: u64, decision: Decision, reason: &Reason) {
        let Some(held) = state.held.remove(&ticket) else { return };
        if let Some(at) = held.expires {
            state.expiries.remove(&(at, ticket));
        }
        state.resources[held.resource].arbiter.release(&held.owner, held.amount);
        let Held { resource, owner, amount, priority, .. } = held;
        let ask = Ask { ticket, owner, amount, priority, turn: 0 };
        self.note(state, resource, &ask, decision, reason, Duration::ZERO);
        self.serve(state, resource);
    }

    /// Takes back what is on a lease that is over.
    fn expire(&self, state: &mut State) {
        if state.expiries.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((_, ticket)) = state.expiries.first().copied().filter(|(at, _)| *at <= now) {
            let lease = state.held.get(&ticket).and_then(|held| held.lease).unwrap_or_default();
            self.give_back(state, ticket, Decision::Expired, &Reason::LeaseOver { lease });
        }
    }

    /// Why a wait that began just now never ends, as a ring of at least so many parties.
    fn deadlock(
        state: &State,
        index: usize,
        ticket: u64,
        by_thread: bool,
        at_least: usize,
    ) -> Option<Reason> {
        let party = |thread: Option<ThreadId>, owner: &Arc<str>, ticket: u64| match thread {
            Some(thread) if by_thread => Party::Thread(thread),
            None if by_thread => Party::Unknown(ticket),
            _ => Party::Owner(Arc::clone(owner)),
        };
        let lines: Vec<_> = state
            .resources
            .iter()
            .map(|resource| deadlock::Line {
                free: resource.arbiter.free(),
                waiting: (resource.arbiter.line().into_iter())
                    .map(|ask| Waiting {
                        ticket: ask.ticket,
                        amount: ask.amount,
                        party: party(
                            resource.waiters.get(&ask.ticket).and_then(|waiter| waiter.thread),
                            &ask.owner,
                            ask.ticket,
                        ),
                        owner: Arc::clone(&ask.owner),
                    })
                    .collect(),
            })
            .collect();
        let holdings = state.held.iter().map(|(ticket, held)| {
            let mut of = party(held.thread, &held.owner, *ticket);
            // What is on lease comes back by itself; and an owner that waits for more of what it holds has other threads,
            // as long as it is not known which.
            let waits_there = || {
                let mut line = lines[held.resource].waiting.iter();
                line.any(|waiting| *waiting.owner == *held.owner)
            };
            if held.lease.is_some() || (!by_thread && waits_there()) {
                of = Party::Unknown(*ticket);
            }
            (*ticket, Holding { resource: held.resource, amount: held.amount, party: of })
        });
        let mut holdings: Vec<_> = holdings.collect();
        // The same state tells the same ring.
        holdings.sort_unstable_by_key(|(ticket, _)| *ticket);
        let holdings = holdings.into_iter().map(|(_, holding)| holding).collect();
        let ring = deadlock::ring(lines, holdings, index, ticket)?;
        let told = ring.into_iter().map(|waits| {
            let resource = Arc::clone(&state.resources[waits.resource].name);
            (waits.owner, resource, waits.is_held)
        });
        let ring: Vec<_> = told.collect();
        (ring.len() >= at_least).then_some(Reason::Deadlock { ring })
    }

    /// Waits until the ask is served or its time is over.
    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        index: usize,
        ticket: u64,
        request: &Request<'_>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<(Outcome, Reason)> {
        let since = Instant::now();
        let deadline = request.timeout.and_then(|timeout| since.checked_add(timeout));
        let bell = Arc::new(Condvar::new());
        let (lease, thread) = (request.lease, request.thread);
        let waiter = Waiter { bell: Arc::clone(&bell), since, granted: None, lease, thread };
        state.resources[index].waiters.insert(ticket, waiter);
        // Only one that holds something closes a ring.
        let holds = |resource: &Resource| resource.arbiter.holders.contains_key(request.owner);
        let mut suspected = false;
        if state.resources.iter().any(holds) {
            // A thread that waits for what it holds itself may have a timeout that ends that.
            let at_least = if deadline.is_none() { 1 } else { 2 };
            let sure = thread.is_some();
            let ring = Self::deadlock(&state, index, ticket, true, at_least).filter(|_| sure);
            if let Some(reason) = ring {
                state.resources[index].waiters.remove(&ticket);
                self.withdraw(&mut state, index, ticket, Duration::ZERO, Some(&reason))?;
                return Ok((Outcome::Deferred, reason));
            }
            if let Some(reason) = Self::deadlock(&state, index, ticket, false, 2) {
                suspected = true;
                tracing::warn!(resource = request.resource, owner = request.owner, %reason, "owners wait for each other");
                let Request { owner, amount, priority, .. } = *request;
                let ask = Ask { ticket, owner: Arc::from(owner), amount, priority, turn: 0 };
                self.note(&mut state, index, &ask, Decision::Deadlock, &reason, Duration::ZERO);
            }
        }
        let mut given_up = false;
        loop {
            self.expire(&mut state);
            let waiters = &mut state.resources[index].waiters;
            let granted = waiters.get_mut(&ticket).and_then(|waiter| waiter.granted.take());
            if let Some(reason) = granted {
                waiters.remove(&ticket);
                return Ok((Outcome::Granted, reason));
            }
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if over || given_up || state.closed {
                let ring = suspected.then(|| Self::deadlock(&state, index, ticket, false, 2));
                state.resources[index].waiters.remove(&ticket);
                let ring = ring.flatten();
                let reason =
                    self.withdraw(&mut state, index, ticket, since.elapsed(), ring.as_ref())?;
                if state.closed {
                    return Err(PitError::Stopped { member: MEMBER });
                }
                if given_up {
                    let name = state.resources[index].name.to_string();
                    return Err(PitError::Interrupted { what: "resource", name });
                }
                return Ok((Outcome::Deferred, reason));
            }
            let expiry = state.expiries.first().map(|(at, _)| *at);
            let until = [deadline, expiry].into_iter().flatten().min();
            wait_once(&bell, &mut state, until, interrupted.is_some());
            let served = state.resources[index].waiters.get(&ticket);
            let served = served.is_some_and(|waiter| waiter.granted.is_some());
            given_up =
                !served && interrupted.is_some_and(|ask| MutexGuard::unlocked(&mut state, ask));
        }
    }

    /// Takes an ask out of the line, notes why (where that is not told, what stands before it), and serves who stood
    /// behind it.
    fn withdraw(
        &self,
        state: &mut State,
        index: usize,
        ticket: u64,
        waited: Duration,
        because: Option<&Reason>,
    ) -> PitResult<Reason> {
        let withdrawn = state.resources[index].arbiter.withdraw(ticket);
        let (ask, reason) = withdrawn.ok_or_else(|| PitError::Internal {
            member: MEMBER,
            reason: format!("ask {ticket} waits in no line"),
        })?;
        let reason = because.cloned().unwrap_or(reason);
        self.note(state, index, &ask, Decision::Deferred, &reason, waited);
        self.serve(state, index);
        Ok(reason)
    }

    /// Grants to those who wait, while there is enough, and wakes them.
    fn serve(&self, state: &mut State, index: usize) {
        while let Some((ask, reason)) = state.resources[index].arbiter.serve() {
            let (mut waited, mut lease, mut thread) = (Duration::ZERO, None, None);
            if let Some(waiter) = state.resources[index].waiters.get_mut(&ask.ticket) {
                waiter.granted = Some(reason.clone());
                waiter.bell.notify_one();
                waited = waiter.since.elapsed();
                (lease, thread) = (waiter.lease, waiter.thread);
            }
            state.hold(index, &ask, lease, thread);
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

impl State {
    /// Notes what was granted.
    fn hold(&mut self, index: usize, ask: &Ask, lease: Option<Duration>, thread: Option<ThreadId>) {
        let expires = lease.and_then(|lease| Instant::now().checked_add(lease));
        self.expiries.extend(expires.map(|at| (at, ask.ticket)));
        let held = Held {
            resource: index,
            owner: Arc::clone(&ask.owner),
            amount: ask.amount,
            priority: ask.priority,
            thread,
            lease,
            expires,
        };
        self.held.insert(ask.ticket, held);
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
