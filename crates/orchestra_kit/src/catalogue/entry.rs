//! The catalogue itself: entries by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use component::Diagnostic;

use super::{Known, Operations};
use crate::manifest::ExtensionManifest;

/// One extension of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its manifest.
    pub manifest: Arc<ExtensionManifest>,
    /// Its operations, as far as they are known before it starts.
    pub operations: Known,
    /// The Python file of its entry, where it was found.
    pub source: Option<PathBuf>,
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.manifest.folder
    }
}

/// Every extension of a system, sorted by name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    pub(super) entries: Vec<Entry>,
    pub(super) notes: Vec<Diagnostic>,
    /// The lock file of the user's trust, for versions that come later.
    pub(super) lock: Option<PathBuf>,
}

impl Catalogue {
    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.name().cmp(name)).ok()?;
        self.entries.get(index)
    }

    /// What is worth knowing and no error: warnings and notes.
    pub fn notes(&self) -> &[Diagnostic] {
        &self.notes
    }
}

impl Operations for Catalogue {
    fn target(&self, name: &str) -> Option<&Known> {
        self.get(name).map(|entry| &entry.operations)
    }

    fn targets(&self) -> Vec<&str> {
        self.entries.iter().map(Entry::name).collect()
    }
}
