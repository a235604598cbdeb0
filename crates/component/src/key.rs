//! What a component provides and what another one needs.

use std::sync::Arc;

/// An identity that providers and consumers share: a Rust member's name, or a Python type.
///
/// Two keys are the same when their ids are; the label is what people read.
#[derive(Debug, Clone)]
pub struct Key {
    id: Arc<str>,
    label: Arc<str>,
}

impl Key {
    /// A key whose id is what people read.
    pub fn named(id: impl Into<Arc<str>>) -> Self {
        let id = id.into();
        Self { label: Arc::clone(&id), id }
    }

    /// A key with an id of its own, as for two classes of one name.
    pub fn labelled(id: impl Into<Arc<str>>, label: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), label: label.into() }
    }

    /// The identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people read.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.label)
    }
}
