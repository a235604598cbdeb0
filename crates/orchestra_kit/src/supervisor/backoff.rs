//! How long is waited before the supervisor is started again.
//!
//! Pure: the caller brings the time. Called by [`super::client`]. Invariant: there is always a next attempt.

use std::time::Duration;

/// The second attempt waits so long, each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// No attempt waits longer: whatever kept it down may be over, and an attempt costs one process.
const LONGEST: Duration = Duration::from_secs(10);
/// So long up, and the past is forgotten.
const HEALTHY: Duration = Duration::from_secs(60);

/// The attempts that came to nothing, or to little.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    in_a_row: u32,
}

impl Backoff {
    /// It is not up, after having been so for so long (None: the attempt failed).
    pub(super) fn next(&mut self, up_for: Option<Duration>) -> Duration {
        if up_for.is_some_and(|up| up >= HEALTHY) {
            self.in_a_row = 0;
        }
        let pause = match self.in_a_row {
            0 => Duration::ZERO,
            count => FIRST.saturating_mul(1 << (count - 1).min(16)).min(LONGEST),
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, HEALTHY, LONGEST};

    #[test]
    fn the_first_is_at_once_then_the_pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..5).map(|_| backoff.next(None).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800]);
        assert_eq!((0..100).map(|_| backoff.next(None)).max(), Some(LONGEST));
    }

    #[test]
    fn only_a_minute_of_life_forgets() {
        let mut backoff = Backoff::default();
        backoff.next(None);
        assert_ne!(backoff.next(Some(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(backoff.next(Some(HEALTHY)), Duration::ZERO);
    }
}
