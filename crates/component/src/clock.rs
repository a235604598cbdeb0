//! Seconds as people and JSON read them, and as they give them.

use std::time::Duration;

/// The longest span there is: a hundred years. What is given as more stands for no limit, and is this, so that a moment
/// of the clock can be reckoned from it: a later one may not exist, and asking for it panics.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A span that somebody gave as a number of seconds: never more than [`LONGEST`], which infinity is too. None for what is
/// no span, a negative number or NaN.
#[expect(clippy::disallowed_methods, reason = "this is the home of the conversion")]
pub fn span(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    // What is too much for the type is too much for the clock.
    Some(Duration::try_from_secs_f64(seconds).map_or(LONGEST, |span| span.min(LONGEST)))
}

/// A span of time that prints as a person would say it: `850 µs`, `12 ms`, `2 s`, `1.5 s`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

impl From<Duration> for Seconds {
    fn from(span: Duration) -> Self {
        Self(span.as_secs_f64())
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (value, unit) = match self.0 {
            span if span < 0.000_999_5 => (span * 1e6, "µs"),
            span if span < 0.999_5 => (span * 1e3, "ms"),
            span => (span, "s"),
        };
        let digits = usize::from(value < 9.95) + usize::from(value < 0.995 && value > 0.0);
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        write!(out, "{text} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Seconds, span};
    use std::time::{Duration, Instant};

    #[test]
    fn a_span_is_a_span_and_never_beyond_the_clock() {
        assert_eq!(span(0.0), Some(Duration::ZERO));
        assert_eq!(span(-0.0), Some(Duration::ZERO));
        assert_eq!(span(1.5), Some(Duration::from_millis(1500)));
        for endless in [f64::INFINITY, f64::MAX, 1e19, 1e18, 1e10] {
            assert_eq!(span(endless), Some(LONGEST), "{endless}");
        }
        for nonsense in [f64::NAN, -f64::MIN_POSITIVE, -0.5, -1e19, f64::NEG_INFINITY] {
            assert_eq!(span(nonsense), None, "{nonsense}");
        }
        assert!(Instant::now().checked_add(LONGEST).is_some());
    }

    #[test]
    fn a_span_prints_with_the_unit_that_fits() {
        for (span, text) in [
            (0.0, "0 µs"),
            (0.000_85, "850 µs"),
            (0.012, "12 ms"),
            (0.0123, "12 ms"),
            (0.0015, "1.5 ms"),
            (0.25, "250 ms"),
            (1.0, "1 s"),
            (2.0, "2 s"),
            (1.5, "1.5 s"),
            (60.0, "60 s"),
        ] {
            assert_eq!(Seconds(span).to_string(), text);
        }
    }
}
