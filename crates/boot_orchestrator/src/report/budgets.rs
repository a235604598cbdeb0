//! What a boot should take, and what it took beyond that.
//!
//! A budget fails nothing: a machine that is busy once must not keep a system down. Going over one is told as an event and
//! in the report, where a command or a test can make a failure of it.

use std::time::Duration;

use serde::Serialize;

/// The budgets of the whole system.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budgets {
    /// `ready_seconds`.
    pub ready: Option<Duration>,
    /// `overhead_seconds`.
    pub overhead: Option<Duration>,
    /// `memory_mb`, in MiB.
    pub memory: Option<f64>,
}

impl Budgets {
    /// Those that a boot with these figures exceeded.
    pub(crate) fn exceeded(
        &self,
        ready: Option<f64>,
        overhead: f64,
        memory: f64,
    ) -> Vec<BudgetViolation> {
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        [
            ("ready", seconds(self.ready), ready),
            ("overhead", seconds(self.overhead), Some(overhead)),
            ("memory", self.memory, Some(memory)),
        ]
        .into_iter()
        .filter_map(|(name, limit, actual)| {
            let (limit, actual) = (limit?, actual?);
            (actual > limit).then(|| BudgetViolation { name: name.to_owned(), limit, actual })
        })
        .collect()
    }
}

/// A budget that was exceeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetViolation {
    /// `ready`, `overhead`, `memory`, or `phases.<name>`.
    pub name: String,
    /// The budget: seconds, for `memory` MiB.
    pub limit: f64,
    /// What it was.
    pub actual: f64,
}
