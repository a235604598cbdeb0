//! Deadlines as they travel: nanoseconds of `CLOCK_MONOTONIC`, which all processes of one machine share.
//!
//! `Instant` is the same clock but hides its number, so a deadline is carried over as its distance from now.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// A deadline as a frame carries it; 0 stands for none.
pub(crate) fn to_wire(deadline: Option<Instant>) -> u64 {
    let Some(deadline) = deadline else { return 0 };
    let left = deadline.saturating_duration_since(Instant::now());
    now().saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)).max(1)
}

/// A deadline out of a frame. One too far away to be said is none.
pub(crate) fn from_wire(deadline: u64) -> Option<Instant> {
    if deadline == 0 {
        return None;
    }
    let left = Duration::from_nanos(deadline.saturating_sub(now()));
    Instant::now().checked_add(left)
}

/// The moment of which another process of this machine speaks, in seconds of its monotonic clock. None for what is no
/// moment.
#[expect(
    clippy::disallowed_methods,
    reason = "a point in time, which has no longest, and not a span"
)]
pub fn moment(seconds: f64) -> Option<Instant> {
    let nanoseconds = Duration::try_from_secs_f64(seconds).ok()?.as_nanos();
    let nanoseconds = u64::try_from(nanoseconds).ok()?;
    let (clock, here) = (now(), Instant::now());
    let apart = Duration::from_nanos(clock.abs_diff(nanoseconds));
    if nanoseconds <= clock { here.checked_sub(apart) } else { here.checked_add(apart) }
}

/// A moment in seconds of the monotonic clock, as another process of this machine reads it.
pub fn monotonic_seconds(moment: Instant) -> f64 {
    let (clock, here) = (now(), Instant::now());
    let ahead = moment.saturating_duration_since(here).as_secs_f64();
    Duration::from_nanos(clock).as_secs_f64() + ahead
        - here.saturating_duration_since(moment).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::{from_wire, moment, monotonic_seconds, to_wire};
    use std::time::{Duration, Instant};

    #[test]
    fn a_deadline_survives_the_journey() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let back = from_wire(to_wire(Some(deadline))).unwrap();
        let apart = back.max(deadline) - back.min(deadline);
        assert!(apart < Duration::from_millis(100), "{apart:?}");
    }

    #[test]
    fn a_moment_is_the_same_for_another_process_and_nonsense_is_none() {
        for told in [Instant::now(), Instant::now() + Duration::from_secs(3)] {
            let back = moment(monotonic_seconds(told)).unwrap();
            let apart = back.max(told) - back.min(told);
            assert!(apart < Duration::from_millis(50), "{apart:?}");
        }
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(moment(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn none_and_the_far_future_are_none_and_the_past_is_now() {
        assert_eq!(to_wire(None), 0);
        assert_eq!(from_wire(0), None);
        assert!(from_wire(1).is_some_and(|past| past <= Instant::now()));
        // Nothing a peer writes here may panic.
        let _ = from_wire(u64::MAX);
    }
}
