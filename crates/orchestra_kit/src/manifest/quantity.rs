//! Spans of time and sizes as people write them: `200ms`, `5min`, `30d`, `50MiB`.

use std::time::Duration;

/// Reads a span of time: a number and `us`, `µs`, `ms`, `s`, `min` or `h`. Zero and more than a year are refused.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    } * number;
    let longest = 366.0 * 24.0 * 3600.0;
    let span = if seconds <= longest { component::span(seconds)? } else { return None };
    (!span.is_zero()).then_some(span)
}

/// Reads how long something is kept: as [`duration`], and in `d` and `w`. Zero and more than a hundred years are refused.
pub fn age(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let days = match unit {
        "d" => 1.0,
        "w" => 7.0,
        _ => return duration(text),
    } * number;
    let seconds = days * 24.0 * 3600.0;
    // What is longer would be shortened without a word.
    if seconds > component::LONGEST.as_secs_f64() {
        return None;
    }
    component::span(seconds).filter(|span| !span.is_zero())
}

/// Reads a size in bytes: a number and `B`, `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB` or `GB`. Zero is refused.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    } * number;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked in the same line"
    )]
    (1.0..=1e18).contains(&bytes).then_some(bytes.round() as u64)
}

/// Cuts `1.5 s` into its number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{age, duration, size};

    #[test]
    fn ages_read_in_days_and_weeks_too() {
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
        for (text, span) in [
            ("30d", days(30)),
            ("2 w", days(14)),
            ("0.5d", Some(Duration::from_secs(12 * 3600))),
            ("12h", Some(Duration::from_secs(12 * 3600))),
            ("36500d", days(36_500)),
            ("36501d", None),
            ("0d", None),
            ("-1d", None),
            ("30", None),
            ("30D", None),
            ("99999999999999999999999d", None),
        ] {
            assert_eq!(age(text), span, "{text}");
        }
    }

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, span) in [
            ("2s", Some(Duration::from_secs(2))),
            ("200ms", Some(Duration::from_millis(200))),
            ("1.5 s", Some(Duration::from_millis(1500))),
            ("5min", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("50µs", Some(Duration::from_micros(50))),
            ("2", None),
            ("s", None),
            ("0s", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("9999999999999h", None),
            ("2 seconds", None),
            ("", None),
        ] {
            assert_eq!(duration(text), span, "{text}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("50MiB", Some(50 << 20)),
            ("1.5KiB", Some(1536)),
            ("2GB", Some(2_000_000_000)),
            ("10 B", Some(10)),
            ("0MiB", None),
            ("50", None),
            ("50M", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
