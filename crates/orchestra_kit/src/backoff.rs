//! How long is waited before something that failed is started again: an extension, or the supervisor.
//!
//! Pure: the caller brings the time. Called by [`crate::extension`] and [`crate::supervisor`]. Invariant: there is always a
//! next attempt, and whether it is made is the caller's to say.

use std::time::Duration;

/// The second attempt waits so long, each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// So long without a failure, and the past is forgotten.
pub(crate) const HEALTHY: Duration = Duration::from_secs(60);

/// The attempts that came to nothing, or to little.
#[derive(Debug)]
pub(crate) struct Backoff {
    longest: Duration,
    in_a_row: u32,
}

impl Backoff {
    /// No pause is longer than that.
    pub(crate) const fn up_to(longest: Duration) -> Self {
        Self { longest, in_a_row: 0 }
    }

    /// It failed, after having been well for so long (None: it never was).
    pub(crate) fn after(&mut self, well_for: Option<Duration>) -> Duration {
        if well_for.is_some_and(|well| well >= HEALTHY) {
            self.forget();
        }
        let pause = match self.in_a_row {
            0 => Duration::ZERO,
            count => FIRST.saturating_mul(1 << (count - 1).min(16)).min(self.longest),
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }

    /// The next attempt is at once.
    pub(crate) const fn forget(&mut self) {
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, HEALTHY};

    const LONGEST: Duration = Duration::from_secs(10);

    #[test]
    fn the_first_is_at_once_then_the_pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::up_to(LONGEST);
        let pauses: Vec<u128> = (0..5).map(|_| backoff.after(None).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800]);
        assert_eq!((0..100).map(|_| backoff.after(None)).max(), Some(LONGEST));
    }

    #[test]
    fn only_a_minute_of_life_forgets() {
        let mut backoff = Backoff::up_to(LONGEST);
        backoff.after(None);
        assert_ne!(backoff.after(Some(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(backoff.after(Some(HEALTHY)), Duration::ZERO);
    }
}
