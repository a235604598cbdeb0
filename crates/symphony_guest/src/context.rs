//! What an operation can do besides returning: call the host, publish, stream items, see that it was cancelled.

use std::time::Instant;

use ipc::{Blocks, CallOptions, InboundRequest, Lane, Payload, Resume, Value};
use parking_lot::Mutex;

use crate::error::GuestError;

/// Who serves others while an operation waits for the reader of its stream.
pub(crate) trait StandIn: Sync {
    /// The operation waits: requests are taken, and operations run, in its place.
    fn leave(&self);

    /// It wants to go on, and waits for its turn.
    fn come_back(&self);
}

/// One running operation.
pub struct Context<'a> {
    lane: &'a Lane,
    correlation: u64,
    deadline: Option<Instant>,
    priority: i32,
    blocks: Option<Blocks>,
    stand_in: &'a dyn StandIn,
    /// How many threads of the operation wait for its reader; together they have one turn.
    waiting: Mutex<usize>,
    /// Held by the thread that gives an item: the lane tells one of a stream's threads that there is room, and no more.
    sending: Mutex<()>,
    /// Where items go when the caller takes one result only.
    collected: Option<Mutex<Vec<Payload>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        lane: &'a Lane,
        request: &InboundRequest,
        blocks: Option<Blocks>,
        stand_in: &'a dyn StandIn,
    ) -> Self {
        Self {
            lane,
            correlation: request.correlation,
            deadline: request.deadline,
            priority: request.priority,
            blocks,
            stand_in,
            waiting: Mutex::new(0),
            sending: Mutex::new(()),
            collected: (!request.stream).then(Mutex::default),
        }
    }

    /// Calls an operation of a Pit member or of another extension, as far as the manifest grants it. It ends when the
    /// deadline of the running operation passes, and when its caller gives it up.
    ///
    /// # Errors
    /// [`GuestError::Call`] when there is no result.
    pub fn call(&self, operation: &str, inputs: impl Into<Value>) -> Result<Value, GuestError> {
        let inputs = Payload::from_value(&inputs.into())?;
        let (deadline, priority) = (self.deadline, self.priority);
        let options = CallOptions { deadline, priority, ..CallOptions::default() };
        let (served, blocks) = (self.correlation, self.blocks);
        let result = self.lane.request_under(served, operation, &inputs, &options, blocks, None);
        Ok(result?.value()?)
    }

    /// Publishes a value on a topic of the bus.
    ///
    /// # Errors
    /// [`GuestError::Call`] when the lane is closed or the value does not fit a frame.
    pub fn publish(&self, topic: &str, value: impl Into<Value>) -> Result<(), GuestError> {
        self.lane.publish(topic, &Payload::from_value(&value.into())?)?;
        Ok(())
    }

    /// Gives one item of a streamed result; waits while the caller has no room for it. Other operations of this guest
    /// run meanwhile, so hold no lock across it that they need.
    ///
    /// # Errors
    /// [`GuestError::Call`] with `Cancelled` when the caller wants no more.
    pub fn item(&self, value: impl Into<Value>) -> Result<(), GuestError> {
        let item = Payload::from_value(&value.into())?;
        if let Some(items) = &self.collected {
            items.lock().push(item);
            return Ok(());
        }
        let sending = self.sending.lock();
        if self.lane.has_room(self.correlation, Resume::Hook(Box::new(|| ())))? {
            self.lane.item(self.correlation, &item, None)?;
        } else {
            let left = Left::of(self);
            let sent = self.lane.item(self.correlation, &item, None);
            drop(left);
            sent?;
        }
        drop(sending);
        Ok(())
    }

    /// Whether the caller no longer wants the result, or its deadline has passed.
    pub fn cancelled(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || self.lane.is_cancelled(self.correlation)
    }

    /// When the caller stops waiting.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How urgent the call is.
    pub const fn priority(&self) -> i32 {
        self.priority
    }

    /// The items as one list, for a caller that takes one result; `None` for one that took them as they came.
    pub(crate) fn into_list(self) -> Result<Option<Payload>, GuestError> {
        let Some(items) = self.collected else { return Ok(None) };
        let items = items.into_inner();
        Ok(Some(Payload::list(&items.iter().collect::<Vec<_>>())?))
    }
}

/// A wait for the reader; the first of an operation's leaves its turn to others, the last takes it again.
struct Left<'a, 'b>(&'b Context<'a>);

impl<'a, 'b> Left<'a, 'b> {
    fn of(context: &'b Context<'a>) -> Self {
        let mut waiting = context.waiting.lock();
        if *waiting == 0 {
            context.stand_in.leave();
        }
        *waiting += 1;
        Self(context)
    }
}

impl Drop for Left<'_, '_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        *waiting -= 1;
        if *waiting == 0 {
            self.0.stand_in.come_back();
        }
    }
}
