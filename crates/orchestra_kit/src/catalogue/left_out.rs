//! A catalogue that a boot goes on with though some of its extensions are left out, or none starts at boot.
//!
//! Called by the wiring of a system, for its safe mode and for what its caller leaves out. Invariant: what is left out is
//! there under its name, is never started, and says why; so does whatever the boot would have started on top of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Catalogue, Entry};
use crate::manifest::Activation;

impl Catalogue {
    /// This catalogue without the extensions that are named, each with the reason, and without the eager ones that require
    /// one of those. Gives the names of all of them, too.
    #[must_use]
    pub fn without(&self, left_out: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let mut reasons: BTreeMap<String, String> = left_out.clone();
        let mut changed = true;
        while changed {
            changed = false;
            for entry in self.entries.iter().filter(|entry| is_eager(entry)) {
                let missing =
                    entry.manifest.requires.iter().find(|name| reasons.contains_key(&name.value));
                if let Some(missing) = missing.filter(|_| !reasons.contains_key(entry.name())) {
                    let why = format!("it requires `{missing}`, which is left out");
                    reasons.insert(entry.name().to_owned(), why);
                    changed = true;
                }
            }
        }
        let mut read = self.clone();
        let mut names = Vec::new();
        for entry in &mut read.entries {
            if let Some(why) = reasons.remove(entry.name()) {
                names.push(entry.name().to_owned());
                let manifest = entry.manifest.as_ref().clone();
                entry.manifest = Arc::new(manifest.degraded(why));
            }
        }
        (read, names)
    }

    /// This catalogue with every extension started by its first call, and the names of those that the boot would have
    /// started.
    #[must_use]
    pub fn at_first_call(&self) -> (Self, Vec<String>) {
        let mut read = self.clone();
        let mut names = Vec::new();
        for entry in read.entries.iter_mut().filter(|entry| is_eager(entry)) {
            names.push(entry.name().to_owned());
            let mut manifest = entry.manifest.as_ref().clone();
            manifest.activation = Activation::Lazy;
            entry.manifest = Arc::new(manifest);
        }
        (read, names)
    }
}

/// Whether the boot starts it, and not only says that it cannot.
fn is_eager(entry: &Entry) -> bool {
    entry.manifest.activation == Activation::Eager && entry.manifest.fault.is_none()
}
