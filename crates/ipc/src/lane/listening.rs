//! How long a lane has been listened to: by this a peer is judged that says nothing.
//!
//! Asked about once a second by whoever watches the peer. Invariants: time in which nobody read the lane, or in which this
//! whole process was stopped, is nobody's silence; it never runs faster than the clock.

use std::time::{Duration, Instant};

/// Between two looks no more than this counts: whoever looks was kept from it as the readers were.
const LOOK: Duration = Duration::from_secs(2);

/// The time that was listened, as of the last look.
pub(super) struct Listening {
    heard: Duration,
    looked: Instant,
    /// The bytes that had been read by then.
    read: u64,
}

impl Default for Listening {
    fn default() -> Self {
        Self { heard: Duration::ZERO, looked: Instant::now(), read: 0 }
    }
}

/// A moment, by the clock and by what had been listened.
#[derive(Clone, Copy)]
pub(super) struct Since {
    at: Instant,
    heard: Duration,
}

impl Since {
    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    /// How long was listened since, where it is `heard` now.
    pub(super) fn listened(self, heard: Duration) -> Duration {
        heard.saturating_sub(self.heard).min(self.at.elapsed())
    }
}

impl Listening {
    /// A moment that is now.
    pub(super) fn now(&self) -> Since {
        Since { at: Instant::now(), heard: self.heard }
    }

    /// A look: how many bytes were read so far, and whether others wait. Says how long was listened in all, and whether
    /// nobody does at present.
    pub(super) fn look(&mut self, read: u64, waits: bool) -> (Duration, bool) {
        let now = Instant::now();
        let span = now.saturating_duration_since(self.looked).min(LOOK);
        self.looked = now;
        // What lies unread while nothing is read may be the very answer.
        let unheard = waits && read == self.read;
        self.read = read;
        if !unheard {
            self.heard = self.heard.saturating_add(span);
        }
        (self.heard, unheard)
    }
}
