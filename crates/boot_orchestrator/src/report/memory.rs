//! What the kernel knows of this process: its peak memory, and when it was started.
//!
//! On systems without `/proc` both are unknown: the rise is 0, the start none.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The peak of the process's resident memory (`VmHWM`) in bytes; 0 where it is not known.
pub fn peak() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|text| peak_in(&text)).unwrap_or(0)
}

/// The moment at which the kernel started this process, to its clock tick (10 ms).
pub fn process_start() -> Option<Instant> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = start_ticks_in(&stat)?;
    let per_second = rustix::param::clock_ticks_per_second();
    let now = clock_gettime(ClockId::Boottime);
    let since_boot =
        Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
    let started = component::span(ticks as f64 / per_second as f64)?;
    Instant::now().checked_sub(since_boot.checked_sub(started)?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The 22nd field. The second is the name of the program in parentheses, which may hold anything.
fn start_ticks_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_its_line() {
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"), Some(1234 * 1024));
        assert_eq!(peak_in("Name:\tx\n"), None);
    }

    #[test]
    fn the_start_is_read_past_a_name_with_parentheses() {
        let fields: Vec<String> = (4..=30).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b (c)) S {}", fields.join(" "));
        assert_eq!(start_ticks_in(&stat), Some(22));
    }

    #[test]
    fn this_process_has_a_peak_and_started_before_now() {
        assert!(peak() > 100_000);
        let age = process_start().unwrap().elapsed();
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }
}
