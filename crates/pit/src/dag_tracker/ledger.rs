//! The tracker's journal: what is written, what is read back, when it is written anew.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use component::Health;
use parking_lot::{Mutex, MutexGuard};

use crate::journal::{Journal, Written};
use crate::{Durability, PitError, PitResult, RecoveryProgress};

use super::record::{self, Record};
use super::run::{EXPIRED, Run};
use super::{NodeState, RunId, RunState, Shape, Step};

/// A journal shorter than this is not worth writing anew. Reading one back costs about a microsecond for each 40 bytes,
/// at a boot that follows a crash.
const WORTH_REWRITING: u64 = 2 << 20;

/// The open journal of a tracker.
#[derive(Debug)]
pub(super) struct Ledger {
    journal: Journal,
    /// Digests of the graphs that the journal holds. Locked only while the run table is.
    shapes: Mutex<HashSet<blake3::Hash>>,
    rewrite_at: AtomicU64,
}

/// What a journal held at open.
pub(super) struct Recovered {
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) next: u64,
}

impl Ledger {
    /// Opens `dag.journal` in the folder and reads back the runs that were not completed, cancelled or forgotten.
    pub(super) fn open(
        folder: &Path,
        durability: Durability,
        progress: &RecoveryProgress,
    ) -> PitResult<(Self, Recovered)> {
        crate::disk::make_folder(folder).map_err(PitError::io("create the folder", folder))?;
        let path: PathBuf = folder.join("dag.journal");
        let mut shapes: HashMap<blake3::Hash, Arc<Shape>> = HashMap::new();
        let now = Instant::now();
        let mut recovered = Recovered { runs: BTreeMap::new(), next: 1 };
        let opening = Journal::begin_kept(&path, record::FORMAT, durability)?.telling(progress);
        opening.refuse_cut(None)?;
        let journal =
            opening.replay(None, |mark, bytes| {
                replay(&mut shapes, &mut recovered, now, bytes).map_err(|reason| {
                    PitError::Corrupt { path: path.clone(), offset: mark.offset, reason }
                })
            })?;
        recovered.runs.retain(|_, run| matches!(run.state(), RunState::Active | RunState::Failed));
        let ledger = Self {
            journal,
            shapes: Mutex::new(shapes.into_keys().collect()),
            rewrite_at: AtomicU64::new(WORTH_REWRITING),
        };
        Ok((ledger, recovered))
    }

    /// Writes a submission, and its graph if the journal does not have it. The caller holds the run table's lock.
    pub(super) fn submit(&self, run: &Run) -> PitResult<Written> {
        let mut shapes = self.shapes.lock();
        let mut graph = Vec::new();
        if !shapes.contains(run.shape.digest()) {
            record::write_shape(&mut graph, &run.shape);
        }
        let mut submit = Vec::with_capacity(64 + run.label.len());
        record::write_submit(&mut submit, run.id, run.priority, &run.shape, &run.label, &run.about);
        let written = if graph.is_empty() {
            self.journal.write_all([submit.as_slice()])?
        } else {
            self.journal.write_all([graph.as_slice(), submit.as_slice()])?
        };
        shapes.insert(*run.shape.digest());
        Ok(written)
    }

    /// Writes the moves of one call. The caller holds the run's lock.
    pub(super) fn steps(&self, run: RunId, steps: &[Step<'_>]) -> PitResult<Written> {
        if let [step] = steps {
            let mut bytes = Vec::with_capacity(96);
            record::write_move(&mut bytes, run, *step);
            return self.journal.write_all([bytes.as_slice()]);
        }
        let mut bytes = Vec::with_capacity(96 * steps.len());
        let mut ends = Vec::with_capacity(steps.len());
        for step in steps {
            record::write_move(&mut bytes, run, *step);
            ends.push(bytes.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        self.journal.write_all(starts.zip(&ends).map(|(from, &to)| &bytes[from..to]))
    }

    /// Writes that a run was cancelled. The caller holds the run's lock.
    pub(super) fn cancel(&self, run: RunId) -> PitResult<Written> {
        let mut bytes = Vec::with_capacity(9);
        record::write_cancel(&mut bytes, run);
        self.journal.write_all([bytes.as_slice()])
    }

    /// Writes that the deadline of a run has passed. The caller holds the run's lock.
    pub(super) fn expire(&self, run: RunId) -> PitResult<Written> {
        let mut bytes = Vec::with_capacity(9);
        record::write_expire(&mut bytes, run);
        self.journal.write_all([bytes.as_slice()])
    }

    /// Writes that a run was forgotten. The caller holds the run table's lock.
    pub(super) fn forget(&self, run: RunId) -> PitResult<Written> {
        let mut bytes = Vec::with_capacity(9);
        record::write_forget(&mut bytes, run);
        self.journal.write_all([bytes.as_slice()])
    }

    /// Waits until what was written is acknowledged.
    pub(super) fn settle(&self, written: Written) -> PitResult<()> {
        self.journal.settle(written)
    }

    /// Flushes everything to the disk and lets go of the file, at the end of its use.
    pub(super) fn close(&self) -> PitResult<()> {
        self.journal.close()
    }

    /// Whether the journal takes nothing more until it is written anew.
    pub(super) fn is_broken(&self) -> bool {
        self.journal.is_broken()
    }

    /// Whether moves are acknowledged, and if not, why.
    pub(super) fn health(&self) -> Health {
        self.journal.health()
    }

    #[cfg(test)]
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether the journal has grown enough to be written anew.
    pub(super) fn is_long(&self, written: &Written) -> bool {
        written.mark.offset >= self.rewrite_at.load(Ordering::Relaxed)
    }

    /// After a rewrite that failed: the next attempt comes when the journal is twice as long.
    pub(super) fn put_off(&self) {
        self.rewrite_at.store(self.length().saturating_mul(2), Ordering::Relaxed);
    }

    /// Bytes in the journal.
    pub(super) fn length(&self) -> u64 {
        self.journal.mark().offset
    }

    /// Writes the journal anew with only what is still needed. The caller holds the locks of the run table and of every
    /// run in it, so nothing can be written meanwhile.
    pub(super) fn rewrite(&self, runs: &[MutexGuard<'_, Run>], next: u64) -> PitResult<()> {
        let open = |run: &Run| matches!(run.state(), RunState::Active | RunState::Failed);
        let live = || runs.iter().filter(|run| run.journaled && open(run));
        let mut digests = HashSet::new();
        let graphs: Vec<&Arc<Shape>> =
            live().map(|run| &run.shape).filter(|shape| digests.insert(*shape.digest())).collect();
        let mut head = Vec::new();
        record::write_next(&mut head, next);
        let graphs = graphs.into_iter().map(|shape| {
            let mut bytes = Vec::new();
            record::write_shape(&mut bytes, shape);
            bytes
        });
        let records =
            std::iter::once(head).chain(graphs).chain(live().flat_map(|run| snapshot(run)));
        let mark = self.journal.rewrite(records)?;
        *self.shapes.lock() = digests;
        self.rewrite_at
            .store(WORTH_REWRITING.max(mark.offset.saturating_mul(4)), Ordering::Relaxed);
        Ok(())
    }
}

/// The records that lead to where a run stands: what is done first, then what failed, so that reading them back blocks
/// exactly what is blocked now.
fn snapshot(run: &Run) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut submit = Vec::new();
    record::write_submit(&mut submit, run.id, run.priority, &run.shape, &run.label, &run.about);
    let done = (0..run.shape.len()).filter_map(|node| match run.node_state(node) {
        NodeState::Completed => {
            Some(Step::Complete { node, artifact: run.artifact(node).map(AsRef::as_ref) })
        }
        NodeState::Skipped => {
            Some(Step::Skip { node, reason: run.reason(node).map(AsRef::as_ref) })
        }
        _ => None,
    });
    // One that the deadline failed before its attempts were over fails by that again.
    let by_itself =
        |node: &u32| !run.expired || run.reason(*node).is_none_or(|reason| **reason != *EXPIRED);
    let failed = (0..run.shape.len())
        .filter(|&node| run.node_state(node) == NodeState::Failed)
        .filter(by_itself)
        .map(|node| Step::Fail {
            node,
            reason: run.reason(node).map(AsRef::as_ref).unwrap_or_default(),
        });
    let moved = |step| {
        let mut bytes = Vec::new();
        record::write_move(&mut bytes, run.id, step);
        bytes
    };
    let attempts = |failed: bool| {
        (0..run.shape.len()).filter_map(move |node| {
            let (attempts, state) = (run.attempts(node), run.node_state(node));
            if attempts == 0 || (state == NodeState::Failed) != failed {
                return None;
            }
            // The failure itself is read after it, and must not be followed by another attempt.
            let allowed = run.about.policy.retries(node);
            let attempts = if failed { allowed.max(attempts - 1) } else { attempts };
            let mut bytes = Vec::new();
            let waiting = state == NodeState::Waiting;
            record::write_attempts(&mut bytes, run.id, node, attempts, waiting);
            Some(bytes)
        })
    };
    let expired = run.expired.then(|| {
        let mut bytes = Vec::new();
        record::write_expire(&mut bytes, run.id);
        bytes
    });
    std::iter::once(submit)
        .chain(done.map(moved))
        .chain(attempts(true))
        .chain(failed.map(moved))
        .chain(attempts(false))
        .chain(expired)
}

fn replay(
    shapes: &mut HashMap<blake3::Hash, Arc<Shape>>,
    recovered: &mut Recovered,
    now: Instant,
    bytes: &[u8],
) -> Result<(), &'static str> {
    match record::read(bytes)? {
        Record::Shape(digest, shape) => {
            shapes.insert(digest, shape);
        }
        Record::Submit { run: id, priority, shape, label, about } => {
            let shape = shapes.get(&shape).ok_or("a run of a graph that was never written")?;
            let mut run = Run::new(id, shape, priority, Arc::from(label));
            run.resumed = true;
            run.begin(about, now);
            recovered.runs.insert(id, run);
            recovered.next = recovered.next.max(id.0.saturating_add(1));
        }
        Record::Move { run, step } => {
            let run = recovered.runs.get_mut(&run).ok_or("a move in a run that is not known")?;
            if step.node() >= run.shape.len() {
                return Err("a move of a node beyond its graph");
            }
            if !run.accepts_at_replay(step) {
                return Err("a move that its node's state does not allow");
            }
            run.perform(step, now, &mut Vec::new(), &mut Vec::new());
        }
        Record::Attempts { run, node, attempts, waiting } => {
            let run = recovered.runs.get_mut(&run).ok_or("a node of a run that is not known")?;
            if node >= run.shape.len() {
                return Err("a node beyond its graph");
            }
            run.restore(node, attempts, waiting, now);
        }
        Record::Expire(run) => {
            recovered.runs.get_mut(&run).ok_or("the end of a run that is not known")?.expire();
        }
        Record::Cancel(run) => {
            recovered.runs.get_mut(&run).ok_or("a cancel of a run that is not known")?.cancel();
        }
        Record::Forget(run) => {
            // A finished run may be gone from the journal before it is forgotten.
            recovered.runs.remove(&run);
        }
        Record::Next(next) => recovered.next = recovered.next.max(next),
    }
    Ok(())
}
