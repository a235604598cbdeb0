//! The tracker: the table of runs, their locks, and the order of journal and memory.
//!
//! Locks are taken in this order and no other: run table, run, journal. A move is written to the journal under the
//! run's lock and before memory changes; the wait for the disk (if any) comes after all locks are free.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use component::Health;
use parking_lot::{Mutex, RwLock};

use crate::artifact_store::ArtifactId;
use crate::state_guard::UntilClosed;
use crate::{Durability, PitError, PitResult, RecoveryProgress, StateGuard};

use super::ledger::Ledger;
use super::queue::Queue;
use super::record::About;
use super::references::References;
use super::run::Run;
use super::{
    NodeStatus, RunId, RunState, RunStatus, Shape, Step, Stored, SubmitOptions, TrackerStats,
};

/// The table, oldest run first.
pub(super) type Runs = BTreeMap<RunId, Arc<Mutex<Run>>>;

/// The running workflows of a system.
#[derive(Debug)]
pub struct DagTracker {
    pub(super) runs: RwLock<Runs>,
    pub(super) next: AtomicU64,
    pub(super) ledger: Option<Ledger>,
    pub(super) rewriting: Mutex<()>,
    references: References,
    pub(super) queue: Queue,
    resumed: u64,
    submitted: AtomicU64,
    steps: AtomicU64,
    /// Set under the run table's lock; whoever moves a run looks under the run's, and `close` takes each of those after.
    pub(super) closed: AtomicBool,
    pub(super) guard: UntilClosed,
}

impl DagTracker {
    /// A tracker with a journal in the folder. Runs that an earlier process did not finish are there again: what was
    /// completed stays completed, what was running is ready.
    ///
    /// # Errors
    /// The folder cannot be used, or its journal is damaged or of another version.
    pub fn open(folder: &Path, durability: Durability) -> PitResult<Arc<Self>> {
        let (guard, progress) = (StateGuard::default(), RecoveryProgress::default());
        Self::open_guarded(folder, durability, guard, &progress)
    }

    /// The same under the lock of the state that it is part of, which is kept until the tracker is closed. `progress` is
    /// told how far the opening is.
    ///
    /// # Errors
    /// As [`Self::open`]; the guard is let go of.
    pub fn open_guarded(
        folder: &Path,
        durability: Durability,
        guard: StateGuard,
        progress: &RecoveryProgress,
    ) -> PitResult<Arc<Self>> {
        let (ledger, recovered) = Ledger::open(folder, durability, progress)?;
        let references = References::default();
        for run in recovered.runs.values() {
            references.hold_known(run.artifacts().map(AsRef::as_ref), run.id)?.keep();
        }
        let runs: BTreeMap<_, _> =
            recovered.runs.into_iter().map(|(id, run)| (id, Arc::new(Mutex::new(run)))).collect();
        let queue = Queue::default();
        for run in runs.values() {
            requeue(&queue, &run.lock());
        }
        Ok(Arc::new(Self {
            queue,
            resumed: runs.len() as u64,
            runs: RwLock::new(runs),
            next: AtomicU64::new(recovered.next),
            ledger: Some(ledger),
            rewriting: Mutex::new(()),
            references,
            submitted: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            guard: UntilClosed::new(guard),
        }))
    }

    /// A tracker that forgets everything with the process.
    pub fn in_memory() -> Arc<Self> {
        Arc::new(Self {
            runs: RwLock::default(),
            next: AtomicU64::new(1),
            ledger: None,
            rewriting: Mutex::new(()),
            references: References::default(),
            queue: Queue::default(),
            resumed: 0,
            submitted: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            guard: UntilClosed::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn journal(&self) -> &crate::journal::Journal {
        self.ledger.as_ref().map(Ledger::journal).expect("a journal")
    }

    /// From now on no node is completed with what that store knows to be deleted, as long as it is there.
    pub fn ask_stored(&self, stored: Weak<dyn Stored>) {
        self.references.ask(stored);
    }

    /// Starts a run of a shape that was validated before.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn submit_shape(&self, shape: &Arc<Shape>, priority: i64) -> PitResult<RunId> {
        self.submit_with(shape, &SubmitOptions { priority, ..SubmitOptions::default() })
    }

    /// Starts a run of a shape, with all that can be said about it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn submit_with(&self, shape: &Arc<Shape>, options: &SubmitOptions) -> PitResult<RunId> {
        self.mend()?;
        let id = RunId(self.next.fetch_add(1, Ordering::Relaxed));
        let mut run = Run::new(id, shape, options.priority, Arc::from(options.label.as_str()));
        run.journaled = options.journaled && self.ledger.is_some();
        let about = About { queued: options.queued, policy: options.policy.clone() };
        run.begin(about, Instant::now());
        let mut written = None;
        {
            // Under the table's lock: a rewrite of the journal must see either both, record and run, or neither.
            let mut runs = self.runs.write();
            self.check_open()?;
            if let Some(ledger) = self.ledger.as_ref().filter(|_| run.journaled) {
                written = Some(ledger.submit(&run)?);
            }
            requeue(&self.queue, &run);
            runs.insert(id, Arc::new(Mutex::new(run)));
        }
        self.submitted.fetch_add(1, Ordering::Relaxed);
        self.settle(written)?;
        Ok(id)
    }

    /// The ready nodes of a run by index, in the same order; `ready` is cleared first.
    ///
    /// # Errors
    /// There is no such run.
    pub fn ready_indices(&self, run: RunId, ready: &mut Vec<u32>) -> PitResult<()> {
        ready.clear();
        self.with(run, |run| {
            ready.extend(run.ready());
            Ok(())
        })
    }

    /// Says that a ready node runs: it is not listed as ready any more. Not journaled, after a crash it is ready again.
    ///
    /// # Errors
    /// There is no such run or node, or the node is not ready.
    pub fn start(&self, run: RunId, node: u32) -> PitResult<()> {
        self.with(run, |run| {
            run.check(node)?;
            if !run.may_start(node) {
                return Err(run.refusal("start", node));
            }
            run.start(node, Instant::now());
            Ok(())
        })
    }

    /// Completes a node by index; `newly_ready` is cleared and then holds the nodes that became ready.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn complete_index(
        &self,
        run: RunId,
        node: u32,
        artifact: Option<&str>,
        newly_ready: &mut Vec<u32>,
    ) -> PitResult<RunState> {
        newly_ready.clear();
        self.apply(run, &[Step::Complete { node, artifact }], newly_ready, &mut Vec::new())
    }

    /// Fails a node by index; `blocked` is cleared and then holds the nodes that are blocked by it.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn fail_index(
        &self,
        run: RunId,
        node: u32,
        reason: &str,
        blocked: &mut Vec<u32>,
    ) -> PitResult<RunState> {
        blocked.clear();
        self.apply(run, &[Step::Fail { node, reason }], &mut Vec::new(), blocked)
    }

    /// Skips a node by index; `newly_ready` is cleared and then holds the nodes that became ready.
    ///
    /// # Errors
    /// As [`Self::skip`].
    pub fn skip_index(
        &self,
        run: RunId,
        node: u32,
        reason: Option<&str>,
        newly_ready: &mut Vec<u32>,
    ) -> PitResult<RunState> {
        newly_ready.clear();
        self.apply(run, &[Step::Skip { node, reason }], newly_ready, &mut Vec::new())
    }

    /// The same by index.
    ///
    /// # Errors
    /// As [`Self::retry`].
    pub fn retry_index(&self, run: RunId, node: u32) -> PitResult<RunState> {
        self.apply(run, &[Step::Retry { node }], &mut Vec::new(), &mut Vec::new())
    }

    /// Makes several moves of one run with one write, all or none. What becomes ready (or blocked) is appended.
    ///
    /// # Errors
    /// There is no such run or node, a move is not allowed, a node stands twice, an artifact was deleted, or
    /// the journal cannot be written; nothing has moved then. With [`Durability::Power`] an error of the disk's flush comes after the move.
    pub fn apply(
        &self,
        run: RunId,
        steps: &[Step<'_>],
        newly_ready: &mut Vec<u32>,
        blocked: &mut Vec<u32>,
    ) -> PitResult<RunState> {
        self.mend()?;
        let (state, written, released) = self.with(run, |run| {
            for (at, step) in steps.iter().enumerate() {
                run.check(step.node())?;
                let twice = || steps[..at].iter().any(|before| before.node() == step.node());
                if !run.accepts(*step) || twice() {
                    return Err(run.refusal(step.doing(), step.node()));
                }
            }
            // Before anything is written: what is gone, or goes now, cannot be what a node made.
            let holds = self.references.hold(steps.iter().filter_map(Step::artifact), run.id)?;
            let written = match &self.ledger {
                Some(ledger) if run.journaled => Some(ledger.steps(run.id, steps)?),
                _ => None,
            };
            holds.keep();
            let now = Instant::now();
            for step in steps {
                run.perform(*step, now, newly_ready, blocked);
            }
            let state = run.state();
            let released = if state == RunState::Completed { run.held() } else { Vec::new() };
            Ok((state, written, released))
        })?;
        self.steps.fetch_add(steps.len() as u64, Ordering::Relaxed);
        self.settle(written)?;
        self.references.release(&released, run);
        Ok(state)
    }

    /// Cancels a run: nodes that are not done never become ready. Cancelling twice is once.
    ///
    /// # Errors
    /// There is no such run, it is completed, or the journal cannot be written.
    pub fn cancel(&self, run: RunId) -> PitResult<()> {
        self.mend()?;
        let (written, released) = self.with(run, |run| {
            if run.cancelled {
                return Ok((None, Vec::new()));
            }
            if run.state() == RunState::Completed {
                return Err(run.wrong_state("cancel"));
            }
            let written = match &self.ledger {
                Some(ledger) if run.journaled => Some(ledger.cancel(run.id)?),
                _ => None,
            };
            run.cancel();
            Ok((written, run.held()))
        })?;
        self.settle(written)?;
        self.references.release(&released, run);
        Ok(())
    }

    /// Drops a finished run from memory and from the journal's next rewrite.
    ///
    /// # Errors
    /// There is no such run, it is still active, or the journal cannot be written.
    pub fn forget(&self, run: RunId) -> PitResult<()> {
        self.mend()?;
        let (mut written, mut released) = (None, Vec::new());
        {
            let mut runs = self.runs.write();
            self.check_open()?;
            let entry = runs.get(&run).ok_or_else(|| unknown_run(run))?;
            let mut entry = entry.lock();
            let state = entry.state();
            if !state.is_finished() {
                return Err(entry.wrong_state("forget"));
            }
            if let Some(ledger) = self.ledger.as_ref().filter(|_| entry.journaled) {
                written = Some(ledger.forget(run)?);
            }
            entry.forgotten = true;
            if state == RunState::Failed {
                released = entry.held();
            }
            self.queue.leave(run);
            self.queue.set_timer(run, None);
            drop(entry);
            runs.remove(&run);
        }
        self.settle(written)?;
        self.references.release(&released, run);
        Ok(())
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// There is no such run.
    pub fn state(&self, run: RunId) -> PitResult<RunState> {
        self.with(run, |run| Ok(run.state()))
    }

    /// All that is known of a run.
    ///
    /// # Errors
    /// There is no such run.
    pub fn status(&self, run: RunId) -> PitResult<RunStatus> {
        self.with(run, |run| {
            let nodes = run.shape.names().iter().zip(0u32..).map(|(name, node)| NodeStatus {
                name: Arc::clone(name),
                state: run.node_state(node),
                artifact: run.artifact(node).cloned(),
                reason: run.reason(node).cloned(),
                attempts: run.attempts(node),
            });
            Ok(RunStatus {
                run: run.id,
                state: run.state(),
                priority: run.priority,
                label: Arc::clone(&run.label),
                resumed: run.resumed,
                nodes: nodes.collect(),
                counts: run.counts(),
            })
        })
    }

    /// The shape of a run.
    ///
    /// # Errors
    /// There is no such run.
    pub fn shape(&self, run: RunId) -> PitResult<Arc<Shape>> {
        self.with(run, |run| Ok(Arc::clone(&run.shape)))
    }

    /// Every run in memory with its state, oldest first.
    pub fn runs(&self) -> Vec<(RunId, RunState)> {
        self.wake_due();
        self.all().into_iter().map(|(id, run)| (id, run.lock().state())).collect()
    }

    /// Whether a run that may still go on holds that artifact.
    pub fn uses(&self, artifact: &str) -> bool {
        self.user_of(artifact).is_some()
    }

    /// The oldest run that holds that artifact and may still go on.
    pub fn user_of(&self, artifact: &str) -> Option<RunId> {
        self.references.holder(artifact)
    }

    /// Deletes an artifact unless an unfinished run made it, which is the answer; none comes to hold it meanwhile. `delete` says
    /// whether it is gone.
    pub(crate) fn unless_held(
        &self,
        id: &ArtifactId,
        delete: &mut dyn FnMut() -> bool,
    ) -> Option<RunId> {
        self.references.unless_held(id, delete)
    }

    /// Totals since the tracker was opened.
    pub fn stats(&self) -> TrackerStats {
        TrackerStats {
            runs: self.runs.read().len(),
            resumed: self.resumed,
            submitted: self.submitted.load(Ordering::Relaxed),
            steps: self.steps.load(Ordering::Relaxed),
            journal_bytes: self.ledger.as_ref().map_or(0, Ledger::length),
        }
    }

    /// Whether moves are acknowledged, and if not, why.
    pub fn health(&self) -> Health {
        self.ledger.as_ref().map_or(Health::Healthy, Ledger::health)
    }

    pub(super) fn check_open(&self) -> PitResult<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(PitError::Stopped { member: "dag-tracker" });
        }
        Ok(())
    }

    pub(super) fn with<T>(
        &self,
        run: RunId,
        body: impl FnOnce(&mut Run) -> PitResult<T>,
    ) -> PitResult<T> {
        let entry = self.runs.read().get(&run).cloned().ok_or_else(|| unknown_run(run))?;
        let mut entry = entry.lock();
        self.check_open()?;
        if entry.forgotten {
            return Err(unknown_run(run));
        }
        if entry.about.policy.is_timed() {
            self.catch_up(&mut entry, Instant::now())?;
        }
        let outcome = body(&mut entry);
        if entry.about.queued || entry.about.policy.is_timed() {
            requeue(&self.queue, &entry);
        }
        outcome
    }

    /// Does what the clock has done to a run: pauses that are over, nodes whose time is over, the deadline. The caller
    /// holds the run's lock. What is written here need not be waited for: the clock does it again.
    fn catch_up(&self, run: &mut Run, now: Instant) -> PitResult<()> {
        let ledger = self.ledger.as_ref().filter(|_| run.journaled);
        if run.must_expire(now) {
            if let Some(ledger) = ledger {
                ledger.expire(run.id).map(drop)?;
            }
            run.expire();
            return Ok(());
        }
        run.wake(now);
        while let Some(node) = run.overdue(now) {
            let timeout = run.about.policy.timeout(node).unwrap_or_default();
            let reason = format!("it had not ended after {timeout:?}");
            let step = Step::Fail { node, reason: &reason };
            if let Some(ledger) = ledger {
                ledger.steps(run.id, &[step]).map(drop)?;
            }
            run.perform(step, now, &mut Vec::new(), &mut Vec::new());
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn all(&self) -> Vec<(RunId, Arc<Mutex<Run>>)> {
        self.runs.read().iter().map(|(id, run)| (*id, Arc::clone(run))).collect()
    }
}

/// Keeps a run's place in the queue and its timer true. The caller holds the run's lock.
pub(super) fn requeue(queue: &Queue, run: &Run) {
    if run.about.queued {
        if !run.forgotten && run.ready().next().is_some() {
            queue.enter(run.id, run.priority);
        } else {
            queue.leave(run.id);
        }
    }
    if run.about.policy.is_timed() {
        queue.set_timer(run.id, run.next_moment().filter(|_| !run.forgotten));
    }
}

impl Run {
    pub(super) fn name(&self, node: u32) -> String {
        self.shape.name(node).map_or_else(|| node.to_string(), ToString::to_string)
    }

    pub(super) fn check(&self, node: u32) -> PitResult<()> {
        if node < self.shape.len() { Ok(()) } else { Err(unknown_node(self.id, &node.to_string())) }
    }

    pub(super) fn refusal(&self, doing: &'static str, node: u32) -> PitError {
        PitError::WrongState {
            doing,
            kind: "node",
            name: self.name(node),
            state: self.node_state(node).as_str().to_owned(),
        }
    }

    fn wrong_state(&self, doing: &'static str) -> PitError {
        PitError::WrongState {
            doing,
            kind: "run",
            name: self.id.to_string(),
            state: self.state().as_str().to_owned(),
        }
    }
}

fn unknown_run(run: RunId) -> PitError {
    PitError::NotFound { kind: "run", name: run.to_string() }
}

pub(super) fn unknown_node(run: RunId, node: &str) -> PitError {
    PitError::NotFound { kind: "node", name: format!("{node}` of run `{run}") }
}

#[cfg(test)]
mod tests;
