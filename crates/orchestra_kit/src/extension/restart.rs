//! When an extension that failed is started again, and when no more.
//!
//! Pure: the caller brings the time. Called by [`super::life`]. Invariant: more than `budget` failures within `window`
//! quarantine it, however they are spaced; what the system around it lacked is none of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, HEALTHY};

/// No restart waits longer.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Nor one that the system around it refused: nothing is known to be wrong with it, and it is waited for.
const LONGEST_REFUSED: Duration = Duration::from_secs(5);

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start it again after that time.
    After(Duration),
    /// Leave it.
    Quarantine,
}

/// One extension's failures.
#[derive(Debug)]
pub(super) struct Restarts {
    budget: usize,
    window: Duration,
    failures: VecDeque<Instant>,
    own: Backoff,
    /// Of ends that were not its own.
    strange: Backoff,
    noise: u64,
}

impl Restarts {
    /// `seed` spreads the delays of extensions that fail together.
    pub(super) fn new(budget: u32, window: Duration, seed: u64) -> Self {
        let budget = usize::try_from(budget).unwrap_or(usize::MAX);
        let (own, strange) = (Backoff::up_to(LONGEST_DELAY), Backoff::up_to(LONGEST_REFUSED));
        Self { budget, window, failures: VecDeque::new(), own, strange, noise: seed | 1 }
    }

    /// It failed now, after being ready for so long (None: it never was).
    pub(super) fn failed(&mut self, now: Instant, ready_for: Option<Duration>) -> Verdict {
        if ready_for.is_some_and(|ready| ready >= HEALTHY) {
            self.reset();
        }
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|failure| now - *failure > self.window) {
            self.failures.pop_front();
        }
        if self.failures.len() > self.budget {
            return Verdict::Quarantine;
        }
        let delay = self.own.after(ready_for);
        Verdict::After(self.spread(delay).min(LONGEST_DELAY))
    }

    /// The system around it ended it, or did not start it: it is started again for as long as that takes.
    pub(super) fn refused(&mut self, was_ready: bool) -> Verdict {
        if was_ready {
            self.strange.forget();
        }
        let delay = self.strange.after(None);
        Verdict::After(self.spread(delay).min(LONGEST_REFUSED))
    }

    /// How many failures count at present.
    pub(super) fn count(&self) -> usize {
        self.failures.len()
    }

    /// A person started it anew.
    pub(super) fn reset(&mut self) {
        self.failures.clear();
        self.own.forget();
        self.strange.forget();
    }

    /// Up to a quarter more or less.
    fn spread(&mut self, delay: Duration) -> Duration {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let permille = 750 + u32::try_from(self.noise % 501).unwrap_or(250);
        delay * permille / 1000
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Restarts, Verdict};
    use crate::backoff::HEALTHY;

    const WINDOW: Duration = Duration::from_secs(300);

    fn near(verdict: Verdict, milliseconds: u64) {
        let Verdict::After(delay) = verdict else { panic!("quarantined") };
        let wanted = Duration::from_millis(milliseconds);
        assert!(delay >= wanted * 3 / 4 && delay <= wanted * 5 / 4, "{delay:?}, not {wanted:?}");
    }

    #[test]
    fn the_first_restart_is_at_once_and_the_delays_double() {
        let mut restarts = Restarts::new(100, WINDOW, 7);
        let now = Instant::now();
        for wanted in [0, 100, 200, 400, 800] {
            near(restarts.failed(now, None), wanted);
        }
        for _ in 0..40 {
            let Verdict::After(delay) = restarts.failed(now, None) else { panic!("quarantined") };
            assert!(delay <= Duration::from_secs(30));
        }
    }

    #[test]
    fn the_failure_after_the_budget_quarantines_and_an_old_one_does_not_count() {
        let start = Instant::now();
        let mut restarts = Restarts::new(3, WINDOW, 7);
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            assert!(matches!(restarts.failed(now, None), Verdict::After(_)));
        }
        let later = start + WINDOW + Duration::from_secs(1);
        assert!(matches!(restarts.failed(later, None), Verdict::After(_)), "one is out of window");
        assert_eq!(restarts.failed(later, None), Verdict::Quarantine);
    }

    #[test]
    fn a_minute_of_health_forgets() {
        let now = Instant::now();
        let mut restarts = Restarts::new(1, WINDOW, 7);
        near(restarts.failed(now, Some(Duration::from_secs(1))), 0);
        near(restarts.failed(now, Some(HEALTHY)), 0);
        assert_eq!(restarts.failed(now, Some(Duration::from_secs(1))), Verdict::Quarantine);
    }

    #[test]
    fn what_the_system_refused_never_quarantines_and_is_tried_again_soon() {
        let mut restarts = Restarts::new(0, WINDOW, 7);
        for wanted in [0, 100, 200] {
            near(restarts.refused(false), wanted);
        }
        for _ in 0..100 {
            let Verdict::After(delay) = restarts.refused(false) else { panic!("quarantined") };
            assert!(delay <= Duration::from_secs(5), "{delay:?}");
        }
        near(restarts.refused(true), 0);
        assert_eq!(restarts.count(), 0);
    }

    #[test]
    fn no_budget_is_no_restart() {
        let mut restarts = Restarts::new(0, WINDOW, 7);
        assert_eq!(restarts.failed(Instant::now(), None), Verdict::Quarantine);
    }
}
