//! A streamed result: items come as long as the reader gives credit, so that what waits here is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::call::CallId;
use super::turn::{Poll, Waited};
use super::waiter::{Delivery, Waiter};
use super::{Core, Lane};
use crate::error::CallError;
use crate::frame::{Header, Kind};
use crate::payload::Payload;

/// How many items may be on their way or wait here.
pub(super) const WINDOW: u32 = 64;

#[derive(Default)]
struct State {
    items: VecDeque<Payload>,
    ended: bool,
    error: Option<CallError>,
    /// Items taken since credit was last given.
    taken: u32,
    waiter: Option<Arc<Waiter>>,
}

/// The items of one call that wait to be taken.
#[derive(Default)]
pub(super) struct Stream(Mutex<State>);

impl Stream {
    /// Adds an item. False: the peer had no credit for it.
    pub(super) fn push(&self, item: Payload) -> bool {
        let mut state = self.0.lock();
        if state.items.len() >= WINDOW as usize {
            return false;
        }
        state.items.push_back(item);
        state.notify();
        true
    }

    pub(super) fn end(&self, error: Option<CallError>) {
        let mut state = self.0.lock();
        if !state.ended {
            state.ended = true;
            state.error = error;
            state.notify();
        }
    }
}

impl State {
    fn notify(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.deliver(Delivery::Look);
        }
    }
}

/// The items of a streamed result. Dropping it before the end cancels the call.
pub struct Items {
    lane: Lane,
    stream: Arc<Stream>,
    call: CallId,
    operation: String,
    since: Instant,
    deadline: Option<Instant>,
    over: bool,
}

impl Items {
    pub(super) fn new(
        lane: Lane,
        stream: Arc<Stream>,
        call: CallId,
        operation: &str,
        deadline: Option<Instant>,
    ) -> Self {
        let operation = operation.to_owned();
        Self { lane, stream, call, operation, since: Instant::now(), deadline, over: false }
    }

    /// The next item; `None` at the end. `poll` is as in [`Lane::request_polling`].
    ///
    /// # Errors
    /// [`CallError`] when the stream failed; it is over then. After [`CallError::Interrupted`] it is not.
    pub fn next_item(
        &mut self,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Option<Payload>, CallError> {
        let result = self.take_next(poll);
        self.over |= !matches!(result, Ok(Some(_)) | Err(CallError::Interrupted));
        result
    }

    fn take_next(&mut self, poll: Poll<'_>) -> Result<Option<Payload>, CallError> {
        if self.over {
            return Ok(None);
        }
        loop {
            let waiter = Arc::new(Waiter::default());
            let credit = {
                let mut state = self.stream.0.lock();
                if let Some(item) = state.items.pop_front() {
                    state.taken += 1;
                    let due = !state.ended && state.taken >= WINDOW / 2;
                    let credit = if due { std::mem::take(&mut state.taken) } else { 0 };
                    Some((item, credit))
                } else if state.ended {
                    let error = state.error.take();
                    let named = |error| Err(self.lane.0.named(error, &self.operation));
                    return error.map_or(Ok(None), named);
                } else {
                    state.waiter = Some(Arc::clone(&waiter));
                    None
                }
            };
            if let Some((item, credit)) = credit {
                if credit > 0 {
                    self.lane.0.send_credit(self.call, credit)?;
                }
                return Ok(Some(item));
            }
            match self.lane.0.wait(&waiter, self.deadline, poll) {
                Waited::Delivered(_) => {}
                Waited::Interrupted => return Err(CallError::Interrupted),
                Waited::TimedOut => {
                    self.lane.cancel(self.call);
                    return Err(CallError::TimedOut {
                        lane: self.lane.name().to_owned(),
                        operation: std::mem::take(&mut self.operation),
                        after: self.since.elapsed(),
                    });
                }
            }
        }
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
        if !self.over {
            self.lane.cancel(self.call);
        }
    }
}
