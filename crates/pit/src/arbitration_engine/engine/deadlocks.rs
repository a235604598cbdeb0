//! Owners and threads that wait for each other: what the engine holds, as [`deadlock`] wants to see it.
//!
//! Called when somebody begins to wait, and again at the end of a wait that was suspected. Invariant: a wait is refused only
//! where its ring is one of threads, which is sure; a ring of owners is told, and the wait goes on.

use std::sync::Arc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::super::ask::Ask;
use super::super::deadlock::{self, Holding, Party, Waiting};
use super::super::{Decision, Reason};
use super::{ArbitrationEngine, Request, Resource, State};
use crate::PitResult;

impl ArbitrationEngine {
    /// Looks for a ring that the wait closes which just began. One that is sure ends it, and is returned.
    pub(super) fn look_for_ring(
        self: &Arc<Self>,
        state: &mut State,
        index: usize,
        ask: &Ask,
        request: &Request<'_>,
    ) -> PitResult<Option<Reason>> {
        // Only one that holds something closes a ring.
        let holds = |resource: &Resource| resource.arbiter.holders.contains_key(request.owner);
        if !state.resources.iter().any(holds) {
            return Ok(None);
        }
        let ticket = ask.ticket;
        if request.thread.is_some() {
            // A thread that waits for what it holds itself may have a timeout that ends that.
            let ends = request.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let at_least = if ends.is_none() { 1 } else { 2 };
            if let Some(reason) = Self::deadlock(state, index, ticket, true, at_least) {
                state.resources[index].waiters.remove(&ticket);
                self.withdraw(state, index, ticket, Duration::ZERO, Some(&reason))?;
                return Ok(Some(reason));
            }
        }
        if let Some(reason) = Self::deadlock(state, index, ticket, false, 2) {
            if let Some(waiter) = state.resources[index].waiters.get_mut(&ticket) {
                waiter.suspected = true;
            }
            tracing::warn!(resource = request.resource, owner = request.owner, %reason, "owners wait for each other");
            self.note(state, index, ask, Decision::Deadlock, &reason, Duration::ZERO);
        }
        Ok(None)
    }

    /// The ring of owners of one that waits, where it was suspected to be in one and still is.
    pub(super) fn suspected_ring(state: &State, index: usize, ticket: u64) -> Option<Reason> {
        let suspected = state.resources[index].waiters.get(&ticket)?.suspected;
        suspected.then(|| Self::deadlock(state, index, ticket, false, 2)).flatten()
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
}
