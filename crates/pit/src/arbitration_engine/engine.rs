//! The engine: resources by name, waiting with a deadline, the audit. The decisions are the arbiters'.

mod deadlocks;
pub(super) mod later;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::wait::wait_once;
use crate::{PitError, PitResult};

use super::arbiter::Arbiter;
use super::ask::Ask;
use super::audit::Ring;
use super::grant::{Due, Wake};
use super::lease_alarm::LeaseAlarm;
use super::{AuditEntry, Decision, Grant, Outcome, Reason, Strategy};

const MEMBER: &str = "arbitration-engine";
/// The longest name of a resource or an owner, in bytes: the audit keeps ten thousand of them.
const NAME: usize = 1024;
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
    wake: Wake,
    since: Instant,
    granted: Option<Reason>,
    lease: Option<Duration>,
    thread: Option<ThreadId>,
    /// It may be one of a ring of owners.
    suspected: bool,
}

impl Waiter {
    fn new(wake: Wake, request: &Request<'_>) -> Self {
        let (lease, thread) = (request.lease, request.thread);
        Self { wake, since: Instant::now(), granted: None, lease, thread, suspected: false }
    }
}

/// What became of a request when it was made.
enum Decided {
    Now(Outcome, Reason),
    Later,
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
    /// Answers to requests that hold no thread, on their way: they are given without the lock.
    answers: VecDeque<Due>,
    /// Somebody is giving them, and will give those that come meanwhile.
    answering: bool,
    /// Who keeps the time of leases for those that wait without a thread.
    alarm: Option<LeaseAlarm>,
}

/// An ask, and of what.
struct Asked {
    index: usize,
    resource: Arc<str>,
    ask: Ask,
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
            answers: VecDeque::new(),
            answering: false,
            alarm: None,
        };
        Arc::new(Self { state: Mutex::new(state), began: Instant::now() })
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// There is one of that name, its capacity is 0, or the engine was closed.
    pub fn define(&self, resource: &str, capacity: u64, strategy: Strategy) -> PitResult<()> {
        at_least_one("capacity", capacity)?;
        short("name of a resource", resource)?;
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
        let (mut state, asked) = self.line_for(&request)?;
        let (outcome, reason) = match self.decide(&mut state, &asked, &request)? {
            Decided::Now(outcome, reason) => {
                Self::answer(&mut state);
                (outcome, reason)
            }
            Decided::Later => self.wait(state, &asked, &request, interrupted)?,
        };
        Ok(self.grant(&asked.ask, asked.resource, request.lease, outcome, reason))
    }

    /// The resource that is asked for, and the ask with a ticket of its own.
    fn line_for(&self, request: &Request<'_>) -> PitResult<(MutexGuard<'_, State>, Asked)> {
        at_least_one("amount", request.amount)?;
        short("name of an owner", request.owner)?;
        let mut state = self.open()?;
        let index = find(&state, request.resource)?;
        state.ticket += 1;
        let ask = Ask {
            ticket: state.ticket,
            owner: Arc::from(request.owner),
            amount: request.amount,
            priority: request.priority,
            turn: 0,
        };
        let resource = Arc::clone(&state.resources[index].name);
        Ok((state, Asked { index, resource, ask }))
    }

    fn grant(
        self: &Arc<Self>,
        ask: &Ask,
        resource: Arc<str>,
        lease: Option<Duration>,
        outcome: Outcome,
        reason: Reason,
    ) -> Grant {
        Grant {
            engine: Arc::clone(self),
            ticket: ask.ticket,
            resource,
            owner: Arc::clone(&ask.owner),
            amount: ask.amount,
            lease,
            outcome,
            reason,
            released: AtomicBool::new(false),
        }
    }

    /// Decides at once, where that can be, else the ask stands in its line.
    fn decide(
        self: &Arc<Self>,
        state: &mut State,
        Asked { index, ask, .. }: &Asked,
        request: &Request<'_>,
    ) -> PitResult<Decided> {
        self.expire(state);
        let index = *index;
        let arbiter = &mut state.resources[index].arbiter;
        if ask.amount > arbiter.capacity {
            let reason = Reason::AboveCapacity { amount: ask.amount, capacity: arbiter.capacity };
            self.note(state, index, ask, Decision::Denied, &reason, Duration::ZERO);
            return Ok(Decided::Now(Outcome::Denied, reason));
        }
        let free = arbiter.free();
        let mut served = arbiter.grant_at_once(&ask.owner, ask.amount);
        if !served {
            arbiter.ask(ask.ticket, &ask.owner, ask.amount, ask.priority);
            // Everyone who waits was offered what is free before: only this ask can be served now.
            served = arbiter.serve().is_some();
        }
        if served {
            let reason = Reason::Free { amount: ask.amount, free };
            state.hold(index, ask, request.lease, request.thread);
            self.note(state, index, ask, Decision::Granted, &reason, Duration::ZERO);
            return Ok(Decided::Now(Outcome::Granted, reason));
        }
        if request.timeout == Some(Duration::ZERO) {
            let reason = self.withdraw(state, index, ask.ticket, Duration::ZERO, None)?.1;
            return Ok(Decided::Now(Outcome::Deferred, reason));
        }
        Ok(Decided::Later)
    }

    /// Where every resource stands, in the order of definition.
    pub fn status(self: &Arc<Self>) -> Vec<ResourceStatus> {
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
        let told = state.resources.iter().map(status).collect();
        Self::answer(&mut state);
        told
    }

    /// The last decisions, oldest first.
    pub fn audit(self: &Arc<Self>) -> Vec<AuditEntry> {
        let mut state = self.state.lock();
        self.expire(&mut state);
        Self::answer(&mut state);
        state.audit.entries()
    }

    /// Gives back all that an owner holds; how many grants that were. Its waits go on.
    pub fn release_owner(self: &Arc<Self>, owner: &str) -> usize {
        let mut state = self.state.lock();
        let of_it = |(ticket, held): (&u64, &Held)| (*held.owner == *owner).then_some(*ticket);
        let mut tickets: Vec<u64> = state.held.iter().filter_map(of_it).collect();
        tickets.sort_unstable();
        for ticket in &tickets {
            self.give_back(&mut state, *ticket, Decision::Released, &Reason::OwnerEnded);
        }
        Self::answer(&mut state);
        tickets.len()
    }

    pub(super) fn release(self: &Arc<Self>, grant: &Grant) {
        let mut state = self.state.lock();
        self.give_back(&mut state, grant.ticket, Decision::Released, &Reason::Released);
        Self::answer(&mut state);
    }

    pub(super) fn holds(self: &Arc<Self>, ticket: u64) -> bool {
        let mut state = self.state.lock();
        self.expire(&mut state);
        Self::answer(&mut state);
        state.held.contains_key(&ticket)
    }

    pub(super) fn renew(self: &Arc<Self>, grant: &Grant, lease: Option<Duration>) -> PitResult<()> {
        let mut state = self.open()?;
        self.expire(&mut state);
        Self::answer(&mut state);
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
        let until = held.expires;
        expiries.extend(until.map(|at| (at, grant.ticket)));
        if until.is_some() {
            state.keep_time(until);
        }
        Ok(())
    }

    /// Gives back what a ticket holds, once, and serves who waits for it.
    fn give_back(
        self: &Arc<Self>,
        state: &mut State,
        ticket: u64,
        decision: Decision,
        reason: &Reason,
    ) {
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
    fn expire(self: &Arc<Self>, state: &mut State) {
        if state.expiries.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((_, ticket)) = state.expiries.first().copied().filter(|(at, _)| *at <= now) {
            let lease = state.held.get(&ticket).and_then(|held| held.lease).unwrap_or_default();
            self.give_back(state, ticket, Decision::Expired, &Reason::LeaseOver { lease });
        }
    }

    /// Waits until the ask is served or its time is over.
    fn wait(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        Asked { index, ask, .. }: &Asked,
        request: &Request<'_>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<(Outcome, Reason)> {
        let (index, ticket) = (*index, ask.ticket);
        let bell = Arc::new(Condvar::new());
        let waiter = Waiter::new(Wake::Bell(Arc::clone(&bell)), request);
        let since = waiter.since;
        let deadline = request.timeout.and_then(|timeout| since.checked_add(timeout));
        state.resources[index].waiters.insert(ticket, waiter);
        if let Some(reason) = self.look_for_ring(&mut state, index, ask, request)? {
            Self::answer(&mut state);
            return Ok((Outcome::Deferred, reason));
        }
        let mut given_up = false;
        loop {
            self.expire(&mut state);
            let waiters = &mut state.resources[index].waiters;
            let granted = waiters.get_mut(&ticket).and_then(|waiter| waiter.granted.take());
            if let Some(reason) = granted {
                waiters.remove(&ticket);
                Self::answer(&mut state);
                return Ok((Outcome::Granted, reason));
            }
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if over || given_up || state.closed {
                let ring = Self::suspected_ring(&state, index, ticket);
                state.resources[index].waiters.remove(&ticket);
                let (_, reason) =
                    self.withdraw(&mut state, index, ticket, since.elapsed(), ring.as_ref())?;
                let outcome = if state.closed {
                    Err(PitError::Stopped { member: MEMBER })
                } else if given_up {
                    let name = request.resource.to_owned();
                    Err(PitError::Interrupted { what: "resource", name })
                } else {
                    Ok((Outcome::Deferred, reason))
                };
                Self::answer(&mut state);
                return outcome;
            }
            // Nobody else gives them while this thread sleeps; what comes meanwhile is seen before it does.
            if !state.answers.is_empty() && !state.answering {
                Self::answer(&mut state);
                continue;
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
        self: &Arc<Self>,
        state: &mut State,
        index: usize,
        ticket: u64,
        waited: Duration,
        because: Option<&Reason>,
    ) -> PitResult<(Ask, Reason)> {
        let withdrawn = state.resources[index].arbiter.withdraw(ticket);
        let (ask, reason) = withdrawn.ok_or_else(|| PitError::Internal {
            member: MEMBER,
            reason: format!("ask {ticket} waits in no line"),
        })?;
        let reason = because.cloned().unwrap_or(reason);
        self.note(state, index, &ask, Decision::Deferred, &reason, waited);
        self.serve(state, index);
        Ok((ask, reason))
    }

    /// Grants to those who wait, while there is enough, and wakes them.
    fn serve(self: &Arc<Self>, state: &mut State, index: usize) {
        while let Some((ask, reason)) = state.resources[index].arbiter.serve() {
            let (mut since, mut lease, mut thread) = (None, None, None);
            if let Some(waiter) = state.resources[index].waiters.get(&ask.ticket) {
                since = Some(waiter.since);
                (lease, thread) = (waiter.lease, waiter.thread);
            }
            state.hold(index, &ask, lease, thread);
            let after = since.map(|since: Instant| since.elapsed()).unwrap_or_default();
            self.note(state, index, &ask, Decision::Granted, &reason, after);
            let waiters = &mut state.resources[index].waiters;
            match waiters.remove(&ask.ticket) {
                Some(Waiter { wake: Wake::Answer(answered), .. }) => {
                    let resource = Arc::clone(&state.resources[index].name);
                    let grant = self.grant(&ask, resource, lease, Outcome::Granted, reason);
                    state.answers.push_back(Due { answered, outcome: Ok(grant) });
                }
                Some(mut waiter) => {
                    waiter.wake.ring();
                    waiter.granted = Some(reason);
                    waiters.insert(ask.ticket, waiter);
                }
                None => {}
            }
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
        if let Some(at) = expires {
            self.expiries.insert((at, ask.ticket));
            self.keep_time(expires);
        }
    }
}

fn find(state: &State, resource: &str) -> PitResult<usize> {
    let found = state.by_name.get(resource).copied();
    found.ok_or_else(|| PitError::NotFound { kind: "resource", name: resource.to_owned() })
}

fn short(what: &'static str, name: &str) -> PitResult<()> {
    if name.len() <= NAME {
        return Ok(());
    }
    let value = format!("a text of {} bytes", name.len());
    Err(PitError::Invalid { what, value, expected: "at most 1,024 bytes" })
}

fn at_least_one(what: &'static str, value: u64) -> PitResult<()> {
    if value > 0 {
        return Ok(());
    }
    Err(PitError::Invalid { what, value: "0".to_owned(), expected: "at least 1" })
}
