//! Calls that wait for their turn on the socket: each caller has a line of its own, and the lines take turns by bytes.
//!
//! Used by `output`, under its lock. Invariants: calls of one caller keep their order, but those which the peer takes beside
//! others have a line of their own, since they may be what the others wait for; a caller gives way after so many
//! bytes as it is given each round (deficit round robin), so that nobody waits for more than one long call of another;
//! of what a peer takes one at a time, a caller has at most one long call there, or a few shorter ones, and the rest wait
//! here, where others pass them; what waits is bounded in bytes, and whoever fills the room leaves a part of it to others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

/// What a caller may send each round.
const QUANTUM: usize = 16 * 1024;
/// Inputs from here on are long; shorter ones cost others nothing that could be seen.
const LONG: usize = 16 * 1024;
/// So many bytes of long calls may a caller have with the peer; one alone is always sent.
const WINDOW: usize = 1024 * 1024;
/// Whoever has something waiting may have so many times as much as is left for others.
const SHARE: usize = 3;

/// Who calls, by which a call gets its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerId(u64);

static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: CallerId = CallerId::new();
}

impl CallerId {
    /// One that nobody else has.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The one of this thread: whoever does not say who calls is told by it.
    pub(super) fn of_thread() -> Self {
        // A thread that ends calls for somebody else.
        THREAD.try_with(|caller| *caller).unwrap_or_else(|_| Self::new())
    }
}

/// A call on its way to the socket.
pub(super) struct Outgoing {
    pub(super) caller: CallerId,
    pub(super) correlation: u64,
    /// Header, operation and priority.
    pub(super) head: Vec<u8>,
    /// The inputs.
    pub(super) body: Bytes,
    /// Whether the peer takes it beside others, not after the one before.
    pub(super) beside: bool,
}

impl Outgoing {
    pub(super) fn length(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether it is counted until it is answered: it is long, and the peer takes one after the other.
    fn is_counted(&self) -> bool {
        !self.beside && self.body.len() >= LONG
    }

    const fn place(&self) -> Place {
        (self.caller, self.beside)
    }
}

/// Whose line it is, and whether of calls that the peer takes beside others.
type Place = (CallerId, bool);

/// The calls of one caller.
#[derive(Default)]
struct Line {
    calls: VecDeque<Outgoing>,
    /// What they hold.
    bytes: usize,
    /// What of its rounds it has not used.
    deficit: usize,
    /// Bytes of its long calls that the peer has not answered.
    unanswered: usize,
    /// Whether it stands in the ring.
    is_ready: bool,
}

impl Line {
    /// Whether the peer may have this one too.
    fn admits(&self, call: &Outgoing) -> bool {
        !call.is_counted() || self.unanswered == 0 || self.unanswered + call.length() <= WINDOW
    }
}

#[derive(Default)]
pub(super) struct RoundRobin {
    lines: HashMap<Place, Line>,
    /// The lines whose first call may be sent, in the order of their turns.
    ring: VecDeque<Place>,
    /// What waits.
    bytes: usize,
    /// The long calls that the peer has.
    unanswered: HashMap<u64, (Place, usize)>,
    /// How many they are: whoever brings an answer looks here without the lock.
    counted: Arc<AtomicUsize>,
}

impl RoundRobin {
    /// How many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many calls are counted until they are answered; for whoever has no lock.
    pub(super) fn counted(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.counted)
    }

    /// Whether a call may be sent now.
    pub(super) fn has_turn(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Whether a call may be sent at once, where the socket takes it: nothing of its caller waits before it.
    pub(super) fn passes(&self, call: &Outgoing) -> bool {
        self.lines.get(&call.place()).is_none_or(|line| line.calls.is_empty() && line.admits(call))
    }

    /// A call is about to be given to the socket: its answer may come before the write is back.
    pub(super) fn sent(&mut self, call: &Outgoing) {
        if call.is_counted() {
            self.lines.entry(call.place()).or_default().unanswered += call.length();
            self.unanswered.insert(call.correlation, (call.place(), call.length()));
            self.counted.store(self.unanswered.len(), Ordering::Release);
        }
    }

    /// Has a call wait for its turn. False: there is no room for it; `free` is what is left of the room for all.
    pub(super) fn put(&mut self, call: Outgoing, free: usize) -> bool {
        let length = call.length();
        let own = self.lines.get(&call.place()).map_or(0, |line| line.bytes);
        let Some(left) = free.checked_sub(length) else { return false };
        if own > 0 && own + length > left.saturating_mul(SHARE) {
            return false;
        }
        let place = call.place();
        let line = self.lines.entry(place).or_default();
        line.bytes += length;
        line.calls.push_back(call);
        self.bytes += length;
        self.settle(place);
        true
    }

    /// The call whose turn it is.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        loop {
            let place = *self.ring.front()?;
            let alone = self.ring.len() == 1;
            let line = self.lines.get_mut(&place)?;
            let length = line.calls.front()?.length();
            if !alone && line.deficit < length {
                line.deficit += QUANTUM;
                self.ring.rotate_left(1);
                continue;
            }
            line.deficit = line.deficit.saturating_sub(length);
            let call = line.calls.pop_front()?;
            line.bytes -= length;
            self.bytes -= length;
            self.sent(&call);
            self.settle(place);
            return Some(call);
        }
    }

    /// A call is answered, or gives its items; what waits behind it has its turn.
    pub(super) fn answered(&mut self, correlation: u64) {
        let Some((place, length)) = self.unanswered.remove(&correlation) else { return };
        self.counted.store(self.unanswered.len(), Ordering::Release);
        if let Some(line) = self.lines.get_mut(&place) {
            line.unanswered -= length;
        }
        self.settle(place);
    }

    /// Takes a call back that was not sent. False: it was, or there is none.
    pub(super) fn take_back(&mut self, correlation: u64) -> bool {
        let found = self.lines.iter().find_map(|(place, line)| {
            let index = line.calls.iter().position(|call| call.correlation == correlation)?;
            Some((*place, index))
        });
        let Some((place, index)) = found else { return false };
        if let Some(line) = self.lines.get_mut(&place)
            && let Some(call) = line.calls.remove(index)
        {
            line.bytes -= call.length();
            self.bytes -= call.length();
        }
        self.settle(place);
        true
    }

    /// Takes all that wait, each line's in its order: what follows has to come after all of them.
    pub(super) fn drain(&mut self) -> Vec<Outgoing> {
        self.ring.clear();
        self.unanswered.clear();
        self.counted.store(0, Ordering::Release);
        self.bytes = 0;
        self.lines.drain().flat_map(|(_, line)| line.calls).collect()
    }

    /// A line stands in the ring while its first call may be sent, and is forgotten when nothing of it is left.
    fn settle(&mut self, place: Place) {
        let Some(line) = self.lines.get_mut(&place) else { return };
        let ready = line.calls.front().is_some_and(|call| line.admits(call));
        if ready == line.is_ready {
            // As it was.
        } else if ready {
            self.ring.push_back(place);
        } else {
            line.deficit = 0;
            self.ring.retain(|other| *other != place);
        }
        line.is_ready = ready;
        if line.calls.is_empty() && line.unanswered == 0 {
            self.lines.remove(&place);
        }
    }
}

#[cfg(test)]
#[path = "round_robin_tests.rs"]
mod tests;
