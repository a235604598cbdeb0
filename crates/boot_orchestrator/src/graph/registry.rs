//! What may be booted: descriptors with the components that they describe.
//!
//! `system` fills a registry in its own order; the order breaks ties and nothing else. The registry checks nothing and
//! knows neither the plan nor the run, which both look down on it: [`Plan::of`](crate::Plan::of) reports every fault at once.

use std::sync::Arc;

use component::{Code, Component, Descriptor, Done, Failure, Step};

/// A descriptor and what it describes.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) component: Arc<dyn Component>,
}

/// Collects components, of which [`Plan::of`](crate::Plan::of) makes a plan.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<Entry>,
    directory: Option<Arc<str>>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places in hints are told relative to this folder.
    pub fn relative_to(&mut self, directory: impl Into<Arc<str>>) {
        self.directory = Some(directory.into());
    }

    /// Adds a component. Everything added is planned and started, needed or not.
    pub fn add(&mut self, descriptor: Descriptor, component: Arc<dyn Component>) {
        self.entries.push(Entry { descriptor: Arc::new(descriptor), component });
    }

    /// Adds a descriptor alone, in the place of whoever provided one of its keys.
    pub(crate) fn stand_in(&mut self, descriptor: Descriptor) {
        self.entries.retain(|entry| {
            !entry.descriptor.provides.iter().any(|key| descriptor.provides.contains(key))
        });
        self.declare(descriptor);
    }

    /// Adds a descriptor alone, for `check` and `graph`: it is planned, and a boot of it fails.
    pub fn declare(&mut self, descriptor: Descriptor) {
        self.add(descriptor, Arc::new(Declared));
    }

    /// The descriptors in the order in which they were added.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().map(|entry| &*entry.descriptor)
    }

    /// How many were added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was added, in that order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What was added, for those that put something around a component.
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// The folder that places in hints are relative to.
    pub(crate) fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }
}

/// Stands for a component of which only the descriptor is known.
struct Declared;

impl Component for Declared {
    fn begin(&self, _step: Step, done: Done) {
        done.tell(Err(Failure::new(
            Code::INTERNAL,
            "only the descriptor of this component was registered, it cannot be started",
        )));
    }
}
