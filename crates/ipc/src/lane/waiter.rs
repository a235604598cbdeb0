//! A thread that waits for something of a lane: where its delivery is put and how it is woken.

use super::inbound::InboundRequest;
use crate::error::CallError;
use crate::handshake::{Refused, Welcome};
use crate::payload::Payload;
use crate::sync::{Condvar, Mutex};

/// What a waiting thread gets.
pub(super) enum Delivery {
    /// The answer to its call.
    Answer(Result<Payload, CallError>),
    /// A request to serve.
    Request(InboundRequest),
    /// The host's answer to its greeting.
    Greeting(Result<Welcome, Refused>),
    /// Something changed; look again.
    Look,
    /// The lane closed.
    Closed(CallError),
}

#[derive(Default)]
pub(super) struct State {
    /// This thread was given the reading of the lane.
    pub(super) leading: bool,
    pub(super) delivery: Option<Delivery>,
}

#[derive(Default)]
pub(super) struct Waiter {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
}

impl Waiter {
    /// Puts a delivery, unless there is one that has not been taken, and wakes the thread.
    pub(super) fn deliver(&self, delivery: Delivery) {
        let mut state = self.state.lock();
        if state.delivery.is_none() || matches!(state.delivery, Some(Delivery::Look)) {
            state.delivery = Some(delivery);
            self.wake.notify_one();
        }
    }

    pub(super) fn take(&self) -> Option<Delivery> {
        self.state.lock().delivery.take()
    }

    pub(super) fn has_delivery(&self) -> bool {
        self.state.lock().delivery.is_some()
    }
}
