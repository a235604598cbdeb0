//! Which artifacts the unfinished runs hold: the stale manager asks before it deletes.
//!
//! Called by the tracker's steps and by sweeps. Invariants: a hold is taken before the step that needs it is written down, and
//! on an artifact that is being deleted it waits for the end of that; it is refused if the artifact is gone by then, whoever
//! deleted it; it is let go of once the end of its run is acknowledged. So no sweep deletes what a journal still says is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex};

use super::{RunId, Stored};
use crate::artifact_store::ArtifactId;
use crate::{PitError, PitResult};

/// What a node was completed with. An id is parsed: it may be written in more than one way, and is the same artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Held {
    Artifact(ArtifactId),
    /// A name that is no id, of something that the store does not know.
    Name(Arc<str>),
}

impl Held {
    fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(Arc::from(text)), Self::Artifact)
    }
}

#[derive(Default)]
pub(super) struct References {
    known: Mutex<Known>,
    /// A deletion has ended.
    ended: Condvar,
    /// Who is asked what was deleted. A tracker keeps no store alive.
    stored: OnceLock<Weak<dyn Stored>>,
}

impl std::fmt::Debug for References {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("References").field("known", &self.known).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Known {
    /// The runs that hold an artifact, one entry for each node that made it.
    holders: HashMap<Held, Vec<RunId>>,
    /// What is being deleted, and whether it is gone, which is said when that has ended.
    deleting: HashMap<Held, Arc<AtomicBool>>,
}

impl Known {
    /// The oldest run that holds it.
    fn holder(&self, held: &Held) -> Option<RunId> {
        self.holders.get(held)?.iter().min().copied()
    }
}

/// A deletion under way; it ends when this is dropped.
struct Deletion<'a> {
    references: &'a References,
    held: Held,
    is_gone: Arc<AtomicBool>,
}

impl Drop for Deletion<'_> {
    fn drop(&mut self) {
        self.references.known.lock().deleting.remove(&self.held);
        self.references.ended.notify_all();
    }
}

/// The holds of steps that are not written yet: let go of when this is dropped, unless they were.
#[must_use]
pub(super) struct Holds<'a> {
    references: &'a References,
    taken: Vec<Held>,
    run: RunId,
}

impl Holds<'_> {
    /// The steps are written.
    pub(super) fn keep(mut self) {
        self.taken.clear();
    }
}

impl Drop for Holds<'_> {
    fn drop(&mut self) {
        self.references.let_go(&self.taken, self.run);
    }
}

impl References {
    /// From now on a hold asks there what was deleted. The first one stays.
    pub(super) fn ask(&self, stored: Weak<dyn Stored>) {
        // Told twice of the same store, as each of two members that started tells the other.
        let _ = self.stored.set(stored);
    }

    /// Holds artifacts for a run. Waits for the end of a deletion of one of them.
    ///
    /// # Errors
    /// [`PitError::NotFound`] of one that is gone then; none is held.
    pub(super) fn hold<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a str>,
        run: RunId,
    ) -> PitResult<Holds<'_>> {
        let holds = self.hold_known(artifacts, run)?;
        // Now that they are held no sweep takes them away between the answer and the step.
        let Some(stored) = self.stored.get().and_then(Weak::upgrade) else { return Ok(holds) };
        for held in &holds.taken {
            if let Held::Artifact(id) = held
                && stored.is_deleted(id)
            {
                return Err(PitError::NotFound { kind: "artifact", name: id.to_string() });
            }
        }
        Ok(holds)
    }

    /// The same for what a journal says: whoever lacks one of them still has its run.
    ///
    /// # Errors
    /// [`PitError::NotFound`] of one that was being deleted.
    pub(super) fn hold_known<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a str>,
        run: RunId,
    ) -> PitResult<Holds<'_>> {
        let mut holds = Holds { references: self, taken: Vec::new(), run };
        for artifact in artifacts {
            let held = Held::of(artifact);
            let mut known = self.known.lock();
            while let Some(is_gone) = known.deleting.get(&held).map(Arc::clone) {
                let goes_on = |known: &mut Known| {
                    known.deleting.get(&held).is_some_and(|other| Arc::ptr_eq(other, &is_gone))
                };
                self.ended.wait_while(&mut known, goes_on);
                if is_gone.load(Ordering::Acquire) {
                    drop(known);
                    let name = artifact.to_owned();
                    return Err(PitError::NotFound { kind: "artifact", name });
                }
            }
            known.holders.entry(held.clone()).or_default().push(run);
            drop(known);
            holds.taken.push(held);
        }
        Ok(holds)
    }

    pub(super) fn release<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a Arc<str>>,
        run: RunId,
    ) {
        let held: Vec<_> = artifacts.into_iter().map(|artifact| Held::of(artifact)).collect();
        self.let_go(&held, run);
    }

    fn let_go(&self, artifacts: &[Held], run: RunId) {
        if artifacts.is_empty() {
            return;
        }
        let holders = &mut self.known.lock().holders;
        for held in artifacts {
            let Some(runs) = holders.get_mut(held) else { continue };
            if let Some(at) = runs.iter().position(|&holder| holder == run) {
                runs.swap_remove(at);
            }
            if runs.is_empty() {
                holders.remove(held);
            }
        }
    }

    /// The oldest run that holds it.
    pub(super) fn holder(&self, artifact: &str) -> Option<RunId> {
        self.known.lock().holder(&Held::of(artifact))
    }

    /// Deletes an artifact unless a run holds it, which is the answer; nobody comes to hold it meanwhile. `delete` says whether
    /// it is gone.
    pub(super) fn unless_held(
        &self,
        id: &ArtifactId,
        delete: &mut dyn FnMut() -> bool,
    ) -> Option<RunId> {
        let held = Held::Artifact(*id);
        let mut known = self.known.lock();
        // Of two deletions the first to end would lift the protection of the other.
        while known.deleting.contains_key(&held) {
            self.ended.wait(&mut known);
        }
        let holder = known.holder(&held);
        if holder.is_some() {
            return holder;
        }
        let is_gone = Arc::<AtomicBool>::default();
        known.deleting.insert(held.clone(), Arc::clone(&is_gone));
        drop(known);
        let deletion = Deletion { references: self, held, is_gone };
        deletion.is_gone.store(delete(), Ordering::Release);
        drop(deletion);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::References;
    use crate::PitError;
    use crate::artifact_store::ArtifactId;
    use crate::dag_tracker::RunId;

    fn hold(references: &References, artifact: &str, run: RunId) -> Result<(), PitError> {
        references.hold([artifact], run).map(super::Holds::keep)
    }

    #[test]
    fn an_id_is_held_and_released_however_it_is_written() {
        let references = References::default();
        let id = ArtifactId::of(b"x").to_string();
        let capitals: Arc<str> = Arc::from(id.to_uppercase());
        hold(&references, &capitals, RunId(1)).unwrap();
        assert_eq!(references.holder(&id), Some(RunId(1)));
        references.release([&Arc::from(id.as_str())], RunId(1));
        assert_eq!(references.holder(&capitals), None);
    }

    #[test]
    fn a_hold_waits_for_a_deletion_of_the_same_artifact_and_no_other_and_is_refused_if_it_is_gone()
    {
        let references = References::default();
        let (id, other) = (ArtifactId::of(b"x"), ArtifactId::of(b"y").to_string());
        for is_gone in [true, false] {
            let (told, tells) = mpsc::channel();
            thread::scope(|scope| {
                let holder = references.unless_held(&id, &mut || {
                    hold(&references, &other, RunId(1)).unwrap();
                    let (references, told) = (&references, told.clone());
                    scope.spawn(move || {
                        told.send(hold(references, &id.to_string(), RunId(2))).unwrap();
                    });
                    let early = tells.recv_timeout(Duration::from_millis(50));
                    assert!(early.is_err(), "it is held while it goes");
                    is_gone
                });
                assert_eq!(holder, None);
                let held = tells.recv_timeout(Duration::from_secs(60)).unwrap();
                assert_eq!(
                    matches!(held, Err(PitError::NotFound { kind: "artifact", .. })),
                    is_gone
                );
            });
        }
        let deleted = &mut || panic!("it is held");
        assert_eq!(references.unless_held(&id, deleted), Some(RunId(2)));
        assert_eq!(references.holder(&other), Some(RunId(1)));
    }

    #[test]
    fn holds_of_steps_that_were_not_written_are_let_go_of() {
        let references = References::default();
        let [first, second] = [b"x", b"y"].map(|data| ArtifactId::of(data).to_string());
        let both = || references.hold([first.as_str(), second.as_str()], RunId(1)).unwrap();
        drop(both());
        assert_eq!(references.holder(&first), None);
        both().keep();
        drop(both());
        assert_eq!(references.holder(&first), Some(RunId(1)));
        assert_eq!(references.holder(&second), Some(RunId(1)));
    }

    #[test]
    fn names_that_are_no_ids_are_told_apart_by_their_letters() {
        let references = References::default();
        hold(&references, "shared", RunId(1)).unwrap();
        assert_eq!(references.holder("Shared"), None);
        assert_eq!(references.holder("shared"), Some(RunId(1)));
    }
}
