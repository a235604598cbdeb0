//! Seconds as people and JSON read them.

use std::time::Duration;

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
    use super::Seconds;

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
