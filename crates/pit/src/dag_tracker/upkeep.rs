//! What the tracker does with its journal beside moves: waits for the disk, writes it anew, closes it.
//!
//! Called by the tracker's moves under no lock. Invariant: a move that was acknowledged stays so, whatever becomes of this.

use std::sync::atomic::Ordering;

use crate::PitResult;
use crate::journal::Written;

use super::RunState;
use super::ledger::Ledger;
use super::tracker::{DagTracker, Runs};

impl DagTracker {
    /// Flushes the journal to the disk; with nothing left to resume it is emptied, so that the next start reads little.
    /// Nothing is acknowledged afterwards: calls on runs are refused.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn close(&self) -> PitResult<()> {
        {
            let _runs = self.runs.write();
            self.closed.store(true, Ordering::Release);
        }
        self.queue.close();
        // Also after a panic: nobody works there any more.
        let _closing = self.guard.closing();
        self.finish()
    }

    fn finish(&self) -> PitResult<()> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        // This takes each run's lock: a move that was under way is written down before the journal is flushed.
        let idle = self
            .runs()
            .iter()
            .all(|(_, state)| matches!(state, RunState::Completed | RunState::Cancelled));
        let is_broken = ledger.is_broken();
        let mut mended = Ok(());
        if is_broken || (idle && ledger.length() > 4096) {
            // One that began before this is waited for: whoever touches the files holds the state's lock.
            let _only_one = self.rewriting.lock();
            mended = self.replace_journal(ledger, &self.runs.read());
        }
        if let Err(error) = &mended
            && !is_broken
        {
            tracing::warn!(%error, "the journal of the DAG tracker was not shortened; it is tried again at the next stop");
            mended = Ok(());
        }
        // Also where it could not be mended: whoever comes next has the file.
        let closed = ledger.close();
        mended.and(closed)
    }

    /// Waits for the acknowledgement; called without any lock. Whoever finds the journal long writes it anew.
    pub(super) fn settle(&self, written: Option<Written>) -> PitResult<()> {
        let (Some(ledger), Some(written)) = (&self.ledger, written) else { return Ok(()) };
        let long = ledger.is_long(&written);
        ledger.settle(written)?;
        if let Err(error) = if long { self.rewrite(ledger) } else { Ok(()) } {
            // The caller's move is acknowledged and stays so: the old journal is whole.
            tracing::warn!(%error, "the journal of the DAG tracker could not be written anew");
            ledger.put_off();
        }
        Ok(())
    }

    /// A journal in which a write or a flush failed is written anew from memory before anything follows. Called
    /// without any lock.
    pub(super) fn mend(&self) -> PitResult<()> {
        match &self.ledger {
            Some(ledger) if ledger.is_broken() => self.rewrite(ledger),
            _ => Ok(()),
        }
    }

    pub(super) fn rewrite(&self, ledger: &Ledger) -> PitResult<()> {
        let Some(_only_one) = self.rewriting.try_lock() else { return Ok(()) };
        // Held until the new journal stands: the tracker is not closed meanwhile.
        let runs = self.runs.read();
        self.check_open()?;
        self.replace_journal(ledger, &runs)
    }

    /// Locks every run of the table, oldest first: nothing moves until the new journal stands.
    pub(super) fn replace_journal(&self, ledger: &Ledger, runs: &Runs) -> PitResult<()> {
        let guards: Vec<_> = runs.values().map(|run| run.lock()).collect();
        ledger.rewrite(&guards, self.next.load(Ordering::Relaxed))
    }
}
