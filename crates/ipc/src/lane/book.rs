//! What is pending on a lane, in both directions, and where its handshake stands.
//!
//! Invariant: after `close` nothing enters, so that everything is answered exactly once. A call that its caller gave up
//! keeps its place until the peer answers: what the peer still works on counts against its queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asked::{Asked, HeldUp, coarse_now};
use super::call::Done;
use super::credit::Credit;
use super::inbound::InboundRequest;
use super::listening::Since;
use super::stream::Stream;
use super::waiter::{Delivery, Waiter};
use super::work::Work;
use crate::error::{CallError, Closed};
use crate::hooks::Hook;

/// Where the handshake stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was said.
    New,
    /// The guest's greeting is being answered.
    Greeting,
    /// The guest was welcomed.
    Welcomed,
    /// The guest said that it is ready.
    Open,
}

/// Who gets a call's answer.
pub(super) enum End {
    Waiter(Arc<Waiter>),
    Done {
        done: Done,
        operation: String,
        since: Instant,
    },
    Stream(Arc<Stream>),
    /// Nobody any more.
    Abandoned {
        since: Since,
    },
}

struct Call {
    deadline: Option<Instant>,
    end: End,
    asked: Asked,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    call: Option<Call>,
}

/// A request of the peer that is not answered yet.
#[derive(Default)]
pub(super) struct Serving {
    pub(super) cancelled: bool,
    /// When its caller stops waiting.
    pub(super) deadline: Option<Instant>,
    /// What it holds here.
    pub(super) bytes: usize,
    /// Which items the peer still takes.
    pub(super) credit: Credit,
    /// Who waits for credit.
    pub(super) wanting: Wanting,
}

/// Who is to hear that a streamed request of the peer may go on, or is given up.
#[derive(Default)]
pub(super) enum Wanting {
    #[default]
    Nobody,
    /// A thread that waits for just that.
    Waiter(Arc<Waiter>),
    /// Whoever takes the next request.
    Server,
    Hook(Hook),
}

pub(super) struct Book {
    pub(super) phase: Phase,
    pub(super) closed: Option<Closed>,
    pub(super) queue: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    pending: usize,
    /// Calls entered so far.
    entered: u64,
    /// When the peer answered one of those that it takes one at a time, or gave an item.
    progress: Duration,
    /// The operations of the peer that hold up nobody.
    pub(super) beside: Vec<String>,
    pub(super) serving: HashMap<u64, Serving>,
    /// What all of them hold here.
    serving_bytes: usize,
    /// The last requests that were answered after they had been given up.
    given_up: VecDeque<u64>,
    pub(super) requests: VecDeque<InboundRequest>,
    pub(super) servers: VecDeque<Arc<Waiter>>,
    /// Streams that the thread which takes requests may go on with.
    pub(super) resumed: VecDeque<u64>,
    pub(super) greeter: Option<Arc<Waiter>>,
    /// Since when this guest is to stop.
    pub(super) stopping: Option<Instant>,
    /// When the oldest ping without a pong was sent.
    pub(super) pinged: Option<Since>,
}

/// Everything that a closing lane has to answer.
pub(super) struct Ended {
    calls: Vec<End>,
    waiters: Vec<Arc<Waiter>>,
    hooks: Vec<Hook>,
}

impl Ended {
    pub(super) fn deliver(self, error: impl Fn() -> CallError, work: &mut Vec<Work>) {
        for end in self.calls {
            match end {
                End::Waiter(waiter) => waiter.deliver(Delivery::Answer(Err(error()))),
                End::Done { done, .. } => work.push(Work::Done(done, Err(error()))),
                End::Stream(stream) => work.push(Work::Wake(stream.end(Some(error())))),
                End::Abandoned { .. } => {}
            }
        }
        for waiter in self.waiters {
            waiter.deliver(Delivery::Closed(error()));
        }
        work.push(Work::Wake(self.hooks));
    }
}

/// How many of them are known: what is asked for their sake looks every 50 ms.
const GIVEN_UP: usize = 1024;

fn split(correlation: u64) -> (usize, u32) {
    ((correlation & 0xffff_ffff) as usize, (correlation >> 32) as u32)
}

impl Book {
    pub(super) fn new(queue: u32) -> Self {
        Self {
            phase: Phase::New,
            closed: None,
            queue: queue.max(1),
            slots: Vec::new(),
            free: Vec::new(),
            pending: 0,
            entered: 0,
            progress: Duration::ZERO,
            beside: Vec::new(),
            serving: HashMap::new(),
            serving_bytes: 0,
            given_up: VecDeque::new(),
            requests: VecDeque::new(),
            servers: VecDeque::new(),
            resumed: VecDeque::new(),
            greeter: None,
            stopping: None,
            pinged: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open && self.closed.is_none()
    }

    pub(super) fn depth(&self) -> (usize, usize) {
        (self.pending, self.serving.len())
    }

    /// The handshake is agreed; from here on that many calls may be pending each way.
    pub(super) fn welcomed(&mut self, queue: u32) {
        self.phase = Phase::Welcomed;
        self.queue = queue.max(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending >= self.queue as usize
    }

    /// Takes a request of the peer in. False: with it they would hold more than may be held. One alone is always taken.
    pub(super) fn serve(&mut self, correlation: u64, serving: Serving, limit: usize) -> bool {
        if self.serving_bytes > 0 && self.serving_bytes + serving.bytes > limit {
            return false;
        }
        self.serving_bytes += serving.bytes;
        self.serving.insert(correlation, serving);
        true
    }

    /// Takes a request of the peer out. False: it is not pending.
    pub(super) fn served(&mut self, correlation: u64) -> bool {
        let Some(served) = self.serving.remove(&correlation) else { return false };
        self.serving_bytes -= served.bytes;
        if served.cancelled {
            self.given_up.truncate(GIVEN_UP - 1);
            self.given_up.push_front(correlation);
        }
        true
    }

    /// Whether the peer gave that request up, answered meanwhile or not.
    pub(super) fn is_given_up(&self, correlation: u64) -> bool {
        let pending = self.serving.get(&correlation).is_some_and(|serving| serving.cancelled);
        pending || self.given_up.contains(&correlation)
    }

    /// Enters a call and gives it its correlation id. The caller has looked at `closed` and `is_full`.
    pub(super) fn enter(
        &mut self,
        deadline: Option<Instant>,
        end: End,
        operation: &str,
        stream: bool,
    ) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        // Never 0 as a whole: generations begin at 1.
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        slot.call =
            Some(Call { deadline, end, asked: Asked::new(operation, stream, self.entered) });
        self.entered += 1;
        self.pending += 1;
        (u64::from(slot.generation) << 32) | u64::from(index)
    }

    fn slot(&mut self, correlation: u64) -> Option<&mut Slot> {
        let (index, generation) = split(correlation);
        self.slots.get_mut(index).filter(|slot| slot.generation == generation)
    }

    fn take(&mut self, correlation: u64) -> Option<Call> {
        let call = self.slot(correlation)?.call.take()?;
        self.free.push((correlation & 0xffff_ffff) as u32);
        self.pending -= 1;
        Some(call)
    }

    /// Takes a call out for good for which the peer did nothing: it was never sent, or is ended from here.
    pub(super) fn leave(&mut self, correlation: u64) -> Option<End> {
        Some(self.take(correlation)?.end)
    }

    /// Takes a call out for good that the peer answered.
    pub(super) fn answered(&mut self, correlation: u64) -> Option<End> {
        let call = self.take(correlation)?;
        self.goes_on(&call.asked);
        Some(call.end)
    }

    /// Whether the peer takes calls of that operation beside others.
    pub(super) fn takes_beside(&self, operation: &str) -> bool {
        self.beside.iter().any(|beside| beside == operation)
    }

    fn runs_beside(&self, asked: &Asked) -> bool {
        self.beside.iter().any(|operation| asked.is_of(operation))
    }

    /// The peer did something for that call.
    fn goes_on(&mut self, asked: &Asked) {
        if !self.runs_beside(asked) {
            self.progress = coarse_now();
        }
    }

    /// The operation for which others have waited that long.
    pub(super) fn held_up(&self, limit: Duration) -> Option<HeldUp> {
        let asked = self.slots.iter().filter_map(|slot| Some(slot.call.as_ref()?.asked));
        let (streams, mut calls): (Vec<_>, Vec<_>) =
            asked.filter(|asked| !self.runs_beside(asked)).partition(|asked| asked.stream);
        calls.sort_unstable_by_key(|asked| asked.order);
        let (first, behind) = calls.split_first()?;
        let since = coarse_now().saturating_sub(first.at.max(self.progress));
        let before = streams.iter().filter(|stream| stream.order < first.order);
        (since >= limit && !behind.is_empty()).then(|| HeldUp {
            operation: first.operation(),
            since,
            behind: behind.len(),
            streams: before.map(Asked::operation).collect(),
        })
    }

    /// The stream of a call, where it is one.
    pub(super) fn stream(&mut self, correlation: u64) -> Option<Arc<Stream>> {
        let call = self.slot(correlation)?.call.as_ref()?;
        let End::Stream(stream) = &call.end else { return None };
        let (stream, asked) = (Arc::clone(stream), call.asked);
        self.goes_on(&asked);
        Some(stream)
    }

    /// Whether somebody waits for one answer to that call, not for a stream.
    pub(super) fn is_plain(&mut self, correlation: u64) -> bool {
        let end = self.slot(correlation).and_then(|slot| Some(&slot.call.as_ref()?.end));
        matches!(end, Some(End::Waiter(_) | End::Done { .. }))
    }

    /// Whether a call is still entered, given up or not.
    pub(super) fn knows(&mut self, correlation: u64) -> bool {
        self.slot(correlation).is_some_and(|slot| slot.call.is_some())
    }

    /// Gives a call up: its place stays taken until the peer answers. `None` if it is already answered or given up.
    pub(super) fn abandon(&mut self, correlation: u64, since: Since) -> Option<End> {
        let call = self.slot(correlation)?.call.as_mut()?;
        if matches!(call.end, End::Abandoned { .. }) {
            return None;
        }
        call.deadline = None;
        Some(std::mem::replace(&mut call.end, End::Abandoned { since }))
    }

    /// Whoever waits to go on with a streamed request of the peer is woken. The hook is to be called.
    #[must_use]
    pub(super) fn resume(&mut self, correlation: u64) -> Option<Hook> {
        match std::mem::take(&mut self.serving.get_mut(&correlation)?.wanting) {
            Wanting::Nobody => None,
            Wanting::Waiter(waiter) => {
                waiter.deliver(Delivery::Look);
                None
            }
            Wanting::Server => {
                self.resumed.push_back(correlation);
                if let Some(server) = self.servers.pop_front() {
                    server.deliver(Delivery::Look);
                }
                None
            }
            Wanting::Hook(hook) => Some(hook),
        }
    }

    /// The submitted calls and streams whose time is over, and when the next of the others' is.
    pub(super) fn expired(&self, now: Instant) -> (Vec<u64>, Option<Instant>) {
        let mut late = Vec::new();
        let mut next: Option<Instant> = None;
        for (index, slot) in self.slots.iter().enumerate() {
            let limit = match &slot.call {
                Some(Call { deadline, end: End::Done { .. }, .. }) => *deadline,
                Some(Call { end: End::Stream(stream), .. }) => stream.limit(),
                _ => None,
            };
            let Some(limit) = limit else { continue };
            if limit <= now {
                late.push((u64::from(slot.generation) << 32) | index as u64);
            } else {
                next = next.into_iter().chain([limit]).min();
            }
        }
        (late, next)
    }

    /// Since when the peer owes an answer to a call that was given up; the oldest.
    pub(super) fn overdue(&self) -> Option<Since> {
        let since = |slot: &Slot| match slot.call.as_ref()?.end {
            End::Abandoned { since } => Some(since),
            _ => None,
        };
        self.slots.iter().filter_map(since).min_by_key(Since::at)
    }

    /// Closes the book, once.
    pub(super) fn close(&mut self, reason: Closed) -> Option<Ended> {
        if self.closed.is_some() {
            return None;
        }
        self.closed = Some(reason);
        let calls = self.slots.iter_mut().filter_map(|slot| slot.call.take()).map(|call| call.end);
        let calls = calls.collect();
        self.pending = 0;
        self.requests.clear();
        let mut waiters: Vec<_> = self.servers.drain(..).chain(self.greeter.take()).collect();
        let mut hooks = Vec::new();
        self.serving_bytes = 0;
        for (_, serving) in self.serving.drain() {
            match serving.wanting {
                Wanting::Waiter(waiter) => waiters.push(waiter),
                Wanting::Hook(hook) => hooks.push(hook),
                // It hears of the end as a server.
                Wanting::Server | Wanting::Nobody => {}
            }
        }
        self.resumed.clear();
        Some(Ended { calls, waiters, hooks })
    }
}
