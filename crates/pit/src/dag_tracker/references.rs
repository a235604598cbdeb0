//! Which artifacts the unfinished runs hold: the stale manager asks before it deletes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::RunId;

/// The runs that hold an artifact, one entry for each node that made it.
#[derive(Debug, Default)]
pub(super) struct References(Mutex<HashMap<Arc<str>, Vec<RunId>>>);

impl References {
    pub(super) fn hold(&self, artifact: &Arc<str>, run: RunId) {
        self.0.lock().entry(Arc::clone(artifact)).or_default().push(run);
    }

    pub(super) fn release<'a>(&self, artifacts: impl Iterator<Item = &'a Arc<str>>, run: RunId) {
        let mut holders = self.0.lock();
        for artifact in artifacts {
            let Some(runs) = holders.get_mut(artifact) else { continue };
            if let Some(at) = runs.iter().position(|&holder| holder == run) {
                runs.swap_remove(at);
            }
            if runs.is_empty() {
                holders.remove(artifact);
            }
        }
    }

    /// The oldest run that holds it.
    pub(super) fn holder(&self, artifact: &str) -> Option<RunId> {
        self.0.lock().get(artifact)?.iter().min().copied()
    }
}
