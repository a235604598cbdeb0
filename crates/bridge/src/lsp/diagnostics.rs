//! Diagnostics that a server tells by itself, and who waits for them.
//!
//! Invariants: whoever asks after a change gets what the server found after it; each that waits is handed back once, to be
//! answered by whoever holds no lock.

use std::collections::HashMap;

use ipc::Value;

use crate::call::Call;

struct Waiting {
    call: Call,
    path: String,
    version: i64,
}

/// What was told, and who waits.
#[derive(Default)]
pub(super) struct Diagnostics {
    /// By path: the version that was looked at, and what was found.
    told: HashMap<String, (i64, Value)>,
    waiting: Vec<Waiting>,
}

impl Diagnostics {
    /// Keeps a call until that version was told of; one that is not to wait comes back with what was told.
    pub(super) fn wait(&mut self, call: Call, path: &str, version: i64) -> Option<(Call, Value)> {
        match self.told.get(path) {
            Some((seen, found)) if *seen >= version => Some((call, found.clone())),
            _ => {
                self.waiting.push(Waiting { call, path: path.to_owned(), version });
                None
            }
        }
    }

    /// The server tells what it found in a version of a document: the calls that waited for it.
    pub(super) fn tell(&mut self, path: &str, version: i64, found: &Value) -> Vec<Call> {
        self.told.insert(path.to_owned(), (version, found.clone()));
        let answered = |one: &Waiting| one.path == path && version >= one.version;
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(answered);
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        ready.into_iter().map(|one| one.call).collect()
    }

    /// Forgets what was told of documents that are closed: as many are remembered as are open.
    pub(super) fn retain(&mut self, is_open: impl Fn(&str) -> bool) {
        self.told.retain(|path, _| is_open(path));
    }

    /// The call that waits no more, where it waited.
    pub(super) fn give_up(&mut self, correlation: u64) -> Option<Call> {
        let position = self.waiting.iter().position(|one| one.call.correlation == correlation);
        position.map(|position| self.waiting.swap_remove(position).call)
    }
}
