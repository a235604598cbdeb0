//! What came of an extension's calls, counted as they end: for whoever watches a system that runs.
//!
//! Written by [`super::call`], read through [`super::ExtensionHandle::figures`]. Invariants: counting takes no lock and no
//! memory; a quantile is too high by at most a fourth.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Each octave of microseconds is counted in so many parts.
const PARTS: usize = 4;
/// From 1 µs to 134 s; what is longer counts as that.
const OCTAVES: usize = 28;

/// An extension's figures at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// How often it was started again.
    pub restarts: u64,
    /// Calls that have no outcome yet.
    pub pending: usize,
    /// Calls that have ended, whichever way.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// What half of them took at most; None: there were none.
    pub p50: Option<Duration>,
    /// What 99 of 100 took at most.
    pub p99: Option<Duration>,
    /// Why it is not ready, or how it crashed last.
    pub fault: Option<String>,
}

/// The counters.
pub(super) struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    by_time: [AtomicU32; PARTS * OCTAVES],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            by_time: [const { AtomicU32::new(0) }; PARTS * OCTAVES],
        }
    }
}

impl Counters {
    /// A call that began then has ended.
    pub(super) fn count(&self, begun: Instant, is_well: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !is_well {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.by_time[place(begun.elapsed())].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted, without what the extension's life knows.
    pub(super) fn read(&self) -> Figures {
        let counts: Vec<u64> =
            self.by_time.iter().map(|count| count.load(Ordering::Relaxed).into()).collect();
        Figures {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            p50: quantile(&counts, 50),
            p99: quantile(&counts, 99),
            ..Figures::default()
        }
    }
}

/// The counter of a time.
fn place(time: Duration) -> usize {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = microseconds.ilog2();
    // The two bits after the first say in which quarter of the octave.
    let part =
        if octave >= 2 { microseconds >> (octave - 2) } else { microseconds << (2 - octave) };
    let part = usize::try_from(part).unwrap_or(usize::MAX) & (PARTS - 1);
    let place = octave as usize * PARTS + part;
    place.min(PARTS * OCTAVES - 1)
}

/// The longest time of a counter.
fn longest(place: usize) -> Duration {
    let (octave, part) = (place / PARTS, place % PARTS);
    let quarters = (PARTS + part + 1) as u64;
    Duration::from_nanos((quarters << octave) * 1000 / PARTS as u64)
}

/// The time that so many of a hundred took at most.
fn quantile(counts: &[u64], percent: u64) -> Option<Duration> {
    let total: u64 = counts.iter().sum();
    let rank = (total * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    found.map(longest)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Counters, OCTAVES, PARTS, longest, place};

    #[test]
    fn every_time_has_a_place_that_is_off_by_at_most_a_fourth() {
        for microseconds in (1..5000).chain([1_000_000, 100_000_000]) {
            let time = Duration::from_micros(microseconds);
            let told = longest(place(time));
            assert!(told >= time, "{time:?} is told as {told:?}");
            assert!(
                told <= time * 5 / 4 + Duration::from_micros(1),
                "{time:?} is told as {told:?}"
            );
        }
        assert_eq!(place(Duration::ZERO), 0);
        assert_eq!(place(Duration::MAX), PARTS * OCTAVES - 1);
    }

    #[test]
    fn calls_and_errors_are_counted_and_the_quantiles_are_of_all() {
        let counters = Counters::default();
        assert_eq!((counters.read().calls, counters.read().p50), (0, None));
        let now = Instant::now();
        for number in 0..100 {
            let time = Duration::from_millis(if number < 98 { 10 } else { 1000 });
            if let Some(begun) = now.checked_sub(time) {
                counters.count(begun, number % 10 != 0);
            }
        }
        let figures = counters.read();
        assert_eq!((figures.calls, figures.errors), (100, 10));
        assert!(figures.p50.unwrap() >= Duration::from_millis(10));
        assert!(figures.p50.unwrap() < Duration::from_millis(500));
        assert!(figures.p99.unwrap() >= Duration::from_secs(1));
    }
}
