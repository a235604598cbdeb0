//! What a run says of time: how often a node is tried again, how long one may take, when the run must have ended.
//!
//! Callers: whoever submits a run, and the tracker, which holds each run against it whenever somebody looks. Times are read
//! by the tracker; here is only arithmetic.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The pause before another attempt doubles up to this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

/// The policy of one run. Nodes are named by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPolicy {
    /// How often a node that failed is tried again, where `retries_of` does not say it.
    pub retries: u32,
    /// The same for single nodes.
    pub retries_of: BTreeMap<u32, u32>,
    /// The pause before the second attempt; it doubles with each further one, to five minutes at most.
    pub back_off: Duration,
    /// How long a node may be started without having ended, where `timeout_of` does not say it; none: for ever.
    pub timeout: Option<Duration>,
    /// The same for single nodes.
    pub timeout_of: BTreeMap<u32, Duration>,
    /// When everything must have ended, in milliseconds of the epoch: it holds across restarts.
    pub deadline: Option<u64>,
}

impl RunPolicy {
    /// Sets the deadline so far from now; beyond the clock is none.
    #[must_use]
    pub fn ending_in(mut self, span: Option<Duration>) -> Self {
        let end = span.and_then(|span| epoch_now().checked_add(span));
        self.deadline = end.and_then(|end| u64::try_from(end.as_millis()).ok());
        self
    }

    /// Whether the clock can move a node of this run.
    pub(super) fn is_timed(&self) -> bool {
        self.deadline.is_some()
            || self.timeout.is_some()
            || !self.timeout_of.is_empty()
            || self.retries > 0
            || !self.retries_of.is_empty()
    }

    pub(super) fn retries(&self, node: u32) -> u32 {
        self.retries_of.get(&node).copied().unwrap_or(self.retries)
    }

    pub(super) fn timeout(&self, node: u32) -> Option<Duration> {
        self.timeout_of.get(&node).copied().or(self.timeout)
    }

    /// The pause after that many failed attempts.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let doubled = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.back_off.saturating_mul(doubled).min(LONGEST_BACK_OFF)
    }

    /// How long it is until the deadline; zero when it has passed.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|end| Duration::from_millis(end).saturating_sub(epoch_now()))
    }
}

fn epoch_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RunPolicy;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let policy = RunPolicy { back_off: Duration::from_millis(100), ..RunPolicy::default() };
        let pauses: Vec<_> = [1, 2, 3].map(|attempts| policy.pause(attempts).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400]);
        assert_eq!(policy.pause(u32::MAX), Duration::from_secs(300));
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_none() {
        assert_eq!(RunPolicy::default().ending_in(Some(Duration::MAX)).deadline, None);
        let past = RunPolicy { deadline: Some(1), ..RunPolicy::default() };
        assert_eq!(past.left(), Some(Duration::ZERO));
    }
}
