//! What a run knows of one component: whether it is up, what it still waits for, its attempts, and why it is not well.
//!
//! One record for each component of the plan, by its number, changed by the run's own thread alone. How a component
//! stands for everybody else is in the progress table, which any thread may read.

use std::time::{Duration, Instant};

use crate::run::options::Retry;

/// What a run knows of one component.
#[derive(Debug, Clone, Default)]
pub(crate) struct ComponentRecord {
    is_up: bool,
    open_needs: u32,
    attempts: u32,
    begun: Option<Instant>,
    /// Until when its start may be tried.
    due: Option<Instant>,
    reason: Option<String>,
}

impl ComponentRecord {
    /// Somebody that has to have an outcome before this one may begin.
    pub(crate) const fn add_need(&mut self) {
        self.open_needs += 1;
    }

    /// One of those has an outcome.
    pub(crate) const fn need_settled(&mut self) {
        self.open_needs -= 1;
    }

    /// Whether everything that it waits for has an outcome.
    pub(crate) const fn is_free(&self) -> bool {
        self.open_needs == 0
    }

    /// Its first attempt begins now.
    pub(crate) const fn begin(&mut self, now: Instant, due: Option<Instant>) {
        self.begun = Some(now);
        self.due = due;
        self.attempts = 1;
    }

    /// Another attempt begins; returns until when. Retries have no deadline of their own, so that a component cannot get more
    /// time by failing.
    pub(crate) const fn begin_again(&mut self) -> Option<Instant> {
        self.attempts += 1;
        self.due
    }

    /// How often its start was tried.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The pause before the next attempt, where the policy and its deadline leave one.
    pub(crate) fn pause_after_failure(&self, retry: &Retry, at: Instant) -> Option<Duration> {
        retry.after(self.attempts).filter(|pause| self.due.is_none_or(|due| at + *pause < due))
    }

    /// When its first attempt began.
    pub(crate) const fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// It is up from now on, well or not, and has to be stopped once; or its start ended without it.
    pub(crate) const fn set_up(&mut self, is_up: bool) {
        self.is_up = is_up;
    }

    /// Whether it is up.
    pub(crate) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Notes why it is not well; none when it is.
    pub(crate) fn set_reason(&mut self, reason: Option<String>) {
        self.reason = reason;
    }

    /// Why it is not well.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_ends_with_the_attempts_or_with_the_deadline() {
        let (pause, longest) = (Duration::from_millis(50), Duration::from_secs(1));
        let retry = Retry { attempts: 2, pause, longest };
        let now = Instant::now();
        let mut record = ComponentRecord::default();
        record.begin(now, Some(now + Duration::from_millis(60)));
        assert_eq!(record.pause_after_failure(&retry, now), Some(pause));
        assert_eq!(record.pause_after_failure(&retry, now + Duration::from_millis(10)), None);
        assert_eq!(record.begin_again(), Some(now + Duration::from_millis(60)));
        assert_eq!(record.pause_after_failure(&retry, now), None);
    }
}
