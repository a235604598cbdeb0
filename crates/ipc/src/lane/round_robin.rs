//! Calls that wait for their turn on the socket: each caller has a line of its own, and the lines take turns by bytes.
//!
//! Used by `output`, under its lock. Invariants: calls of one caller keep their order; a caller gives way after so many
//! bytes as it is given each round (deficit round robin), so that nobody waits for more than one long call of another;
//! of what a peer takes one at a time, a caller has at most one long call there, or a few shorter ones, and the rest wait
//! here, where others pass them; what waits is bounded in bytes, and whoever fills the room leaves a part of it to others.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// What a caller may send each round.
const QUANTUM: usize = 16 * 1024;
/// Inputs from here on are long; shorter ones cost others nothing that could be seen.
pub(super) const LONG: usize = 16 * 1024;
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
    /// Whether it is counted until it is answered: it is long, and the peer takes it after the one before, not beside.
    pub(super) counted: bool,
}

impl Outgoing {
    pub(super) fn length(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

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
        !call.counted || self.unanswered == 0 || self.unanswered + call.length() <= WINDOW
    }
}

#[derive(Default)]
pub(super) struct RoundRobin {
    lines: HashMap<CallerId, Line>,
    /// The callers whose first call may be sent, in the order of their turns.
    ring: VecDeque<CallerId>,
    /// What waits.
    bytes: usize,
    /// The long calls that the peer has.
    unanswered: HashMap<u64, (CallerId, usize)>,
}

impl RoundRobin {
    /// How many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many calls are counted.
    pub(super) fn counted(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether a call may be sent at once, where the socket takes it: nothing of its caller waits before it.
    pub(super) fn passes(&self, call: &Outgoing) -> bool {
        self.lines.get(&call.caller).is_none_or(|line| line.calls.is_empty() && line.admits(call))
    }

    /// A call is given to the socket.
    pub(super) fn sent(&mut self, call: &Outgoing) {
        if call.counted {
            self.lines.entry(call.caller).or_default().unanswered += call.length();
            self.unanswered.insert(call.correlation, (call.caller, call.length()));
        }
    }

    /// Has a call wait for its turn. False: there is no room for it; `free` is what is left of the room for all.
    pub(super) fn put(&mut self, call: Outgoing, free: usize) -> bool {
        let length = call.length();
        let own = self.lines.get(&call.caller).map_or(0, |line| line.bytes);
        let Some(left) = free.checked_sub(length) else { return false };
        if own > 0 && own + length > left.saturating_mul(SHARE) {
            return false;
        }
        let caller = call.caller;
        let line = self.lines.entry(caller).or_default();
        line.bytes += length;
        line.calls.push_back(call);
        self.bytes += length;
        self.settle(caller);
        true
    }

    /// The call whose turn it is.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        loop {
            let caller = *self.ring.front()?;
            let alone = self.ring.len() == 1;
            let line = self.lines.get_mut(&caller)?;
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
            self.settle(caller);
            return Some(call);
        }
    }

    /// A call is answered, or gives its items. True: others may be sent now.
    pub(super) fn answered(&mut self, correlation: u64) -> bool {
        let Some((caller, length)) = self.unanswered.remove(&correlation) else { return false };
        if let Some(line) = self.lines.get_mut(&caller) {
            line.unanswered -= length;
        }
        self.settle(caller);
        !self.ring.is_empty()
    }

    /// Takes a call back that was not sent. False: it was, or there is none.
    pub(super) fn take_back(&mut self, correlation: u64) -> bool {
        let found = self.lines.iter().find_map(|(caller, line)| {
            let place = line.calls.iter().position(|call| call.correlation == correlation)?;
            Some((*caller, place))
        });
        let Some((caller, place)) = found else { return false };
        if let Some(line) = self.lines.get_mut(&caller)
            && let Some(call) = line.calls.remove(place)
        {
            line.bytes -= call.length();
            self.bytes -= call.length();
        }
        self.settle(caller);
        true
    }

    /// Takes all that wait, each caller's in its order: what follows has to come after all of them.
    pub(super) fn drain(&mut self) -> Vec<Outgoing> {
        self.ring.clear();
        self.bytes = 0;
        self.lines.drain().flat_map(|(_, line)| line.calls).collect()
    }

    /// A caller stands in the ring while its first call may be sent, and is forgotten when nothing of it is left.
    fn settle(&mut self, caller: CallerId) {
        let Some(line) = self.lines.get_mut(&caller) else { return };
        let ready = line.calls.front().is_some_and(|call| line.admits(call));
        if ready == line.is_ready {
            // As it was.
        } else if ready {
            self.ring.push_back(caller);
        } else {
            line.deficit = 0;
            self.ring.retain(|other| *other != caller);
        }
        line.is_ready = ready;
        if line.calls.is_empty() && line.unanswered == 0 {
            self.lines.remove(&caller);
        }
    }
}

#[cfg(test)]
#[path = "round_robin_tests.rs"]
mod tests;
