//! Who deals with the outcome of a step: the step table that waits for it, or the thread that tells it.

use std::sync::PoisonError;

use super::sync::Mutex;

/// What a step in flight and its step table agree on. It is told or abandoned, whichever comes first, and stays so.
pub(crate) struct OutcomeClaim(Mutex<Telling>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    Open,
    Told,
    Abandoned,
}

impl OutcomeClaim {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Telling::Open))
    }

    /// Sends an outcome to the step table. `false` when that has abandoned the step: nothing was sent, and whoever tells
    /// has to deal with the outcome.
    pub(crate) fn tell(&self, send: impl FnOnce()) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == Telling::Abandoned {
            return false;
        }
        *state = Telling::Told;
        // Sent under the lock: who finds the claim told finds the outcome in the channel. The receiver
        // outlives every claim that is not abandoned.
        send();
        true
    }

    /// Whether the outcome is in the channel, or was.
    pub(crate) fn told(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Telling::Told
    }

    /// Leaves the outcome to the one who tells it. `false` when it has been told: it is in the channel then.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == Telling::Told {
            return false;
        }
        *state = Telling::Abandoned;
        true
    }
}

/// Ends a step table: abandons what is in flight, then goes through what was told and heard by nobody. In this order, so
/// that nothing can be told behind the back of the second half.
pub(crate) fn close<'a, Message>(
    claims: impl IntoIterator<Item = &'a OutcomeClaim>,
    unheard: impl FnMut() -> Option<Message>,
    deal_with: impl FnMut(Message),
) {
    for claim in claims {
        claim.abandon();
    }
    std::iter::from_fn(unheard).for_each(deal_with);
}
