//! Giving out the next node of any run: to workers that serve whatever is most urgent.
//!
//! Runs are served by priority and by how long they have waited ([`super::AGEING`]). Only those are that were submitted for
//! it; the nodes of a Melody are given out by its engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{PitError, PitResult};

use super::{DagTracker, RunId};

/// After a disk that failed, the clock is asked again so much later.
const AGAIN: Duration = Duration::from_secs(1);

impl DagTracker {
    /// Starts the next nodes of all runs, at most `limit`, each given to one caller; waits at most the timeout until
    /// there is one. None as timeout: for ever. An empty answer: there was none in time.
    ///
    /// # Errors
    /// The tracker was closed.
    pub fn take(
        &self,
        limit: usize,
        timeout: Option<Duration>,
    ) -> PitResult<Vec<(RunId, Arc<str>)>> {
        self.take_polling(limit, timeout, None)
    }

    /// The same, asking `interrupted` from time to time whether to give the wait up.
    ///
    /// # Errors
    /// As [`Self::take`]; or the wait was interrupted.
    pub fn take_polling(
        &self,
        limit: usize,
        timeout: Option<Duration>,
        interrupted: Option<&dyn Fn() -> bool>,
    ) -> PitResult<Vec<(RunId, Arc<str>)>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.check_open()?;
            self.wake_due();
            let taken = self.take_ready(limit);
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if !taken.is_empty() || over || limit == 0 {
                return Ok(taken);
            }
            self.queue.wait(deadline, interrupted.is_some());
            if interrupted.is_some_and(|ask| ask()) {
                let (what, name) = ("a node of", "any run".to_owned());
                return Err(PitError::Interrupted { what, name });
            }
        }
    }

    fn take_ready(&self, limit: usize) -> Vec<(RunId, Arc<str>)> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(run) = self.queue.pop() else { break };
            // It may have been cancelled, forgotten or served by name meanwhile; it stands in the queue again if it has
            // more.
            if let Ok(Some(node)) = self.start_next(run, None) {
                taken.push((run, node));
            }
        }
        taken
    }

    /// Lets the clock do what is due in any run.
    pub(super) fn wake_due(&self) {
        let now = Instant::now();
        while let Some(run) = self.queue.pop_due(now) {
            // A run that is gone, or a journal that cannot be written: whoever calls it is told.
            if let Err(error) = self.with(run, |_| Ok(())) {
                tracing::debug!(%error, %run, "a run could not be brought up to the clock");
                if !matches!(error, PitError::NotFound { .. } | PitError::Stopped { .. }) {
                    self.queue.set_timer(run, now.checked_add(AGAIN));
                }
            }
        }
    }
}
