//! Stopping extensions side by side, more firmly step by step.
//!
//! Called by the kit at shutdown and by a restart. Invariant: it returns by its deadline, whatever the extensions do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Extension;
use crate::host::Stop;

/// How long an extension may take after it was asked to stop.
const ASKED: Duration = Duration::from_millis(500);
/// How long after SIGTERM.
const TERMINATED: Duration = Duration::from_millis(1500);

/// What a stop of several extensions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Those that did not stop when asked and had to be terminated.
    pub terminated: Vec<String>,
    /// Those that did not heed that either and were killed.
    pub killed: Vec<String>,
    /// Those that were not seen to end by the deadline, though they were killed.
    pub unfinished: Vec<String>,
}

/// Stops them all: asks, sends SIGTERM, then SIGKILL, and returns by `deadline`.
pub(crate) fn stop_all(
    extensions: &[Arc<Extension>],
    deadline: Instant,
    again: bool,
) -> StopReport {
    for extension in extensions {
        extension.begin_stop(again);
    }
    let mut report = StopReport::default();
    // However short the time is, the kill has its share of it.
    let reserve = Duration::from_millis(200);
    let last = deadline.checked_sub(reserve).unwrap_or(deadline);
    let asked = (Instant::now() + ASKED).min(last);
    let mut left = wait(extensions, asked);
    for extension in &left {
        report.terminated.push(extension.name().to_owned());
        extension.press(Stop::Terminate);
    }
    left = wait(&left, (Instant::now() + TERMINATED).min(last));
    for extension in &left {
        report.killed.push(extension.name().to_owned());
        extension.press(Stop::Kill);
    }
    for extension in wait(&left, deadline) {
        report.unfinished.push(extension.name().to_owned());
    }
    report
}

/// Those that have not stopped by then.
fn wait(extensions: &[Arc<Extension>], until: Instant) -> Vec<Arc<Extension>> {
    extensions.iter().filter(|extension| !extension.wait_stopped(until)).cloned().collect()
}
