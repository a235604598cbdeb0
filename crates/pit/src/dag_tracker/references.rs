//! Which artifacts the unfinished runs hold: the stale manager asks before it deletes.
//!
//! Called by the tracker's steps and by sweeps. Invariant: a hold on an artifact that is being deleted waits for the end of
//! that, so none is acknowledged on what then goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::RunId;
use crate::artifact_store::ArtifactId;

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

#[derive(Debug, Default)]
pub(super) struct References {
    known: Mutex<Known>,
    /// A deletion has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    /// The runs that hold an artifact, one entry for each node that made it.
    holders: HashMap<Held, Vec<RunId>>,
    deleting: HashSet<Held>,
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
}

impl Drop for Deletion<'_> {
    fn drop(&mut self) {
        self.references.known.lock().deleting.remove(&self.held);
        self.references.ended.notify_all();
    }
}

impl References {
    pub(super) fn hold(&self, artifact: &str, run: RunId) {
        let held = Held::of(artifact);
        let mut known = self.known.lock();
        while known.deleting.contains(&held) {
            self.ended.wait(&mut known);
        }
        known.holders.entry(held).or_default().push(run);
    }

    pub(super) fn release<'a>(&self, artifacts: impl Iterator<Item = &'a Arc<str>>, run: RunId) {
        let holders = &mut self.known.lock().holders;
        for artifact in artifacts {
            let held = Held::of(artifact);
            let Some(runs) = holders.get_mut(&held) else { continue };
            if let Some(at) = runs.iter().position(|&holder| holder == run) {
                runs.swap_remove(at);
            }
            if runs.is_empty() {
                holders.remove(&held);
            }
        }
    }

    /// The oldest run that holds it.
    pub(super) fn holder(&self, artifact: &str) -> Option<RunId> {
        self.known.lock().holder(&Held::of(artifact))
    }

    /// Deletes an artifact unless a run holds it, which is the answer; nobody comes to hold it meanwhile.
    pub(super) fn unless_held(&self, id: &ArtifactId, delete: &mut dyn FnMut()) -> Option<RunId> {
        let held = Held::Artifact(*id);
        let mut known = self.known.lock();
        // Of two deletions the first to end would lift the protection of the other.
        while known.deleting.contains(&held) {
            self.ended.wait(&mut known);
        }
        let holder = known.holder(&held);
        if holder.is_some() {
            return holder;
        }
        known.deleting.insert(held.clone());
        drop(known);
        let deletion = Deletion { references: self, held };
        delete();
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
    use crate::artifact_store::ArtifactId;
    use crate::dag_tracker::RunId;

    #[test]
    fn an_id_is_held_and_released_however_it_is_written() {
        let references = References::default();
        let id = ArtifactId::of(b"x").to_string();
        let capitals: Arc<str> = Arc::from(id.to_uppercase());
        references.hold(&capitals, RunId(1));
        assert_eq!(references.holder(&id), Some(RunId(1)));
        references.release([&Arc::from(id.as_str())].into_iter(), RunId(1));
        assert_eq!(references.holder(&capitals), None);
    }

    #[test]
    fn a_hold_waits_for_a_deletion_of_the_same_artifact_and_no_other() {
        let references = References::default();
        let (id, other) = (ArtifactId::of(b"x"), ArtifactId::of(b"y").to_string());
        let (told, tells) = mpsc::channel();
        thread::scope(|scope| {
            let holder = references.unless_held(&id, &mut || {
                references.hold(&other, RunId(1));
                let (references, told) = (&references, told.clone());
                scope.spawn(move || {
                    references.hold(&id.to_string(), RunId(2));
                    told.send(()).unwrap();
                });
                let early = tells.recv_timeout(Duration::from_millis(50));
                assert!(early.is_err(), "it is held while it goes");
            });
            assert_eq!(holder, None);
            tells.recv_timeout(Duration::from_secs(60)).unwrap();
        });
        let deleted = &mut || panic!("it is held");
        assert_eq!(references.unless_held(&id, deleted), Some(RunId(2)));
        assert_eq!(references.holder(&other), Some(RunId(1)));
    }

    #[test]
    fn names_that_are_no_ids_are_told_apart_by_their_letters() {
        let references = References::default();
        references.hold("shared", RunId(1));
        assert_eq!(references.holder("Shared"), None);
        assert_eq!(references.holder("shared"), Some(RunId(1)));
    }
}
