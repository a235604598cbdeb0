//! A streamed result: items come as long as the reader gives credit, so that what waits here is bounded in items and bytes.
//!
//! A reader waits on its thread (`next_item`) or is told when to look (`try_next`, `watch`). Invariants: whoever closes a
//! stream never waits for whoever reads it; a stream that nobody reads for its time is ended and its reader told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::call::CallId;
use super::credit::Unread;
use super::turn::{Poll, Waited};
use super::waiter::{Delivery, Waiter};
use super::{Core, Lane};
use crate::error::CallError;
use crate::frame::{Header, Kind};
use crate::hooks::{self, Hook, Hooks};
use crate::payload::Payload;

#[derive(Default)]
struct State {
    items: VecDeque<Payload>,
    /// Nothing more comes.
    ended: bool,
    /// The reader wants no more.
    closed: bool,
    error: Option<CallError>,
    credit: Unread,
    /// Since when items wait without one being taken.
    unread: Option<Instant>,
    waiters: Vec<Arc<Waiter>>,
    hooks: Hooks,
}

/// The items of one call that wait to be taken.
pub(super) struct Stream {
    operation: String,
    since: Instant,
    deadline: Option<Instant>,
    /// How long items may wait without one being taken.
    patience: Duration,
    state: Mutex<State>,
}

/// What became of an item.
pub(super) enum Pushed {
    /// It waits; these are to be called.
    Taken(Vec<Hook>),
    /// It is the first that waits: its time has to be kept.
    First(Vec<Hook>, Option<Instant>),
    /// The peer had no credit for it.
    NoCredit,
}

impl Stream {
    pub(super) fn new(operation: &str, deadline: Option<Instant>, patience: Duration) -> Self {
        let (operation, since) = (operation.to_owned(), Instant::now());
        Self { operation, since, deadline, patience, state: Mutex::default() }
    }

    /// Adds an item.
    pub(super) fn push(&self, item: Payload) -> Pushed {
        let mut state = self.state.lock();
        if state.closed {
            return Pushed::Taken(Vec::new());
        }
        if !state.credit.comes(item.size()) {
            return Pushed::NoCredit;
        }
        state.items.push_back(item);
        if state.unread.is_some() {
            return Pushed::Taken(state.notify());
        }
        let now = Instant::now();
        state.unread = Some(now);
        Pushed::First(state.notify(), now.checked_add(self.patience))
    }

    /// Nothing more comes, and why; the first word counts. The hooks are to be called.
    #[must_use]
    pub(super) fn end(&self, error: Option<CallError>) -> Vec<Hook> {
        let mut state = self.state.lock();
        if state.ended {
            return Vec::new();
        }
        state.ended = true;
        state.error = error;
        state.notify()
    }

    /// When it is to be ended, unless something is read or comes before.
    pub(super) fn limit(&self) -> Option<Instant> {
        let state = self.state.lock();
        let unread = state.unread.and_then(|since| since.checked_add(self.patience));
        unread.into_iter().chain(self.deadline).min()
    }

    /// Why it is ended from here when its time is over.
    pub(super) fn late(&self, lane: &str) -> CallError {
        let (lane, operation) = (lane.to_owned(), self.operation.clone());
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return CallError::TimedOut { lane, operation, after: self.since.elapsed() };
        }
        CallError::Unread { lane, operation, after: self.patience }
    }

    /// What a reader can have now; nothing where it has to wait. The number is the credit that is due.
    fn take(
        &self,
        core: &Core,
        state: &mut State,
    ) -> Option<Result<Option<(Payload, u32)>, CallError>> {
        if state.closed {
            return Some(Ok(None));
        }
        if let Some(item) = state.items.pop_front() {
            state.unread = (!state.items.is_empty()).then(Instant::now);
            let due = state.credit.take(item.size());
            let credit = if state.ended { 0 } else { due };
            return Some(Ok(Some((item, credit))));
        }
        if !state.ended {
            return None;
        }
        state.closed = true;
        let error = state.error.take();
        Some(error.map_or(Ok(None), |error| Err(core.named(error, &self.operation))))
    }
}

impl State {
    fn notify(&mut self) -> Vec<Hook> {
        for waiter in self.waiters.drain(..) {
            waiter.deliver(Delivery::Look);
        }
        self.hooks.take()
    }
}

/// The items of a streamed result. Dropping it before the end cancels the call.
pub struct Items {
    lane: Lane,
    stream: Arc<Stream>,
    call: CallId,
}

impl Items {
    pub(super) const fn new(lane: Lane, stream: Arc<Stream>, call: CallId) -> Self {
        Self { lane, stream, call }
    }

    /// The next item; `None` at the end. `poll` is as in [`Lane::request_polling`]. While it waits, [`Items::close`] ends
    /// it.
    ///
    /// # Errors
    /// [`CallError`] when the stream failed; it is over then. After [`CallError::Interrupted`] it is not.
    pub fn next_item(&self, poll: Option<&dyn Fn() -> bool>) -> Result<Option<Payload>, CallError> {
        loop {
            let waiter = Arc::new(Waiter::default());
            {
                let mut state = self.stream.state.lock();
                if let Some(next) = self.stream.take(&self.lane.0, &mut state) {
                    drop(state);
                    return self.given(next);
                }
                state.waiters.push(Arc::clone(&waiter));
            }
            let outcome = self.wait(&waiter, poll);
            self.stream.state.lock().waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
            outcome?;
        }
    }

    fn wait(&self, waiter: &Arc<Waiter>, poll: Poll<'_>) -> Result<(), CallError> {
        match self.lane.0.wait(waiter, self.stream.deadline, poll) {
            Waited::Delivered(_) => Ok(()),
            Waited::Interrupted => Err(CallError::Interrupted),
            Waited::TimedOut => {
                let error = self.stream.late(self.lane.name());
                // Its reader hears it here, and nothing more of it later.
                self.close();
                Err(error)
            }
        }
    }

    /// The next item where it is there already, as [`Items::next_item`] gives it; `None` where it has to be outcome for.
    pub fn try_next(&self) -> Option<Result<Option<Payload>, CallError>> {
        let next = {
            let mut state = self.stream.state.lock();
            self.stream.take(&self.lane.0, &mut state)?
        };
        Some(self.given(next))
    }

    /// Gives the credit that is due for an item, outside of the lock.
    fn given(
        &self,
        next: Result<Option<(Payload, u32)>, CallError>,
    ) -> Result<Option<Payload>, CallError> {
        let Some((item, credit)) = next? else { return Ok(None) };
        if credit > 0 {
            self.lane.0.send_credit(self.call, credit)?;
        }
        Ok(Some(item))
    }

    /// Has `hook` called once, when [`Items::try_next`] has something. False: it has something now, and `hook` is not
    /// kept.
    pub fn watch(&self, key: u64, hook: Hook) -> bool {
        let watched = {
            let mut state = self.stream.state.lock();
            let empty = state.items.is_empty() && !state.ended && !state.closed;
            if empty {
                state.hooks.put(key, hook);
            }
            empty
        };
        if watched {
            // Nobody waits on this lane for it.
            self.lane.0.ensure_read();
        }
        watched
    }

    /// Takes a hook back.
    pub fn unwatch(&self, key: u64) {
        self.stream.state.lock().hooks.remove(key);
    }

    /// Ends it from the reader's side: the call is cancelled, and whoever waits for the next item hears of the end.
    pub fn close(&self) {
        let (hooks, ended) = {
            let mut state = self.stream.state.lock();
            if std::mem::replace(&mut state.closed, true) {
                return;
            }
            state.items.clear();
            state.unread = None;
            (state.notify(), state.ended)
        };
        if !ended {
            self.lane.cancel(self.call);
        }
        hooks::call(hooks);
    }
}

impl Core {
    fn send_credit(self: &Arc<Self>, call: CallId, credit: u32) -> Result<(), CallError> {
        let body = Payload::serialize(&credit)?;
        if let Err(error) = self.send_reply(Header::new(Kind::Credit, call.number()), &body) {
            self.violate(error);
        }
        Ok(())
    }
}

impl Iterator for Items {
    type Item = Result<Payload, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_item(None).transpose()
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.close();
    }
}
