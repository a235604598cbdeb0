//! Which artifacts the unfinished runs hold: the stale manager asks before it deletes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::RunId;
use crate::artifact_store::ArtifactId;

/// What a node was completed with. An id is parsed: it may be written in more than one way, and is the same artifact.
#[derive(Debug, PartialEq, Eq, Hash)]
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

/// The runs that hold an artifact, one entry for each node that made it.
#[derive(Debug, Default)]
pub(super) struct References(Mutex<HashMap<Held, Vec<RunId>>>);

impl References {
    pub(super) fn hold(&self, artifact: &str, run: RunId) {
        self.0.lock().entry(Held::of(artifact)).or_default().push(run);
    }

    pub(super) fn release<'a>(&self, artifacts: impl Iterator<Item = &'a Arc<str>>, run: RunId) {
        let mut holders = self.0.lock();
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
        self.0.lock().get(&Held::of(artifact))?.iter().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
    fn names_that_are_no_ids_are_told_apart_by_their_letters() {
        let references = References::default();
        references.hold("shared", RunId(1));
        assert_eq!(references.holder("Shared"), None);
        assert_eq!(references.holder("shared"), Some(RunId(1)));
    }
}
