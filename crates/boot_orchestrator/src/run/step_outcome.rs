//! Who deals with the outcome of a step: the desk that waits for it, or the thread that tells it.

use std::sync::PoisonError;

use super::sync::Mutex;

/// What a step in flight and its desk agree on. It is told or abandoned, whichever comes first, and stays so.
pub(crate) struct Ticket(Mutex<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Told,
    Abandoned,
}

impl Ticket {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Open))
    }

    /// Sends an outcome to the desk. `false` when the desk has abandoned the step: nothing was sent, and whoever tells
    /// has to deal with the outcome.
    pub(crate) fn tell(&self, send: impl FnOnce()) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Abandoned {
            return false;
        }
        *state = State::Told;
        // Sent under the lock: who finds the ticket told finds the outcome in the channel. The receiver
        // outlives every ticket that is not abandoned.
        send();
        true
    }

    /// Whether the outcome is in the channel, or was.
    pub(crate) fn told(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == State::Told
    }

    /// Leaves the outcome to the one who tells it. `false` when it has been told: it is in the channel then.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Told {
            return false;
        }
        *state = State::Abandoned;
        true
    }
}

/// Ends a desk: abandons what is in flight, then goes through what was told and heard by nobody. In this order, so
/// that nothing can be told behind the back of the second half.
pub(crate) fn close<'a, Message>(
    tickets: impl IntoIterator<Item = &'a Ticket>,
    unheard: impl FnMut() -> Option<Message>,
    deal_with: impl FnMut(Message),
) {
    for ticket in tickets {
        ticket.abandon();
    }
    std::iter::from_fn(unheard).for_each(deal_with);
}
