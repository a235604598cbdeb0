//! What the planner knows of a component before anything runs.

use std::sync::Arc;
use std::time::Duration;

use crate::{ComponentName, Key, Location, Phase};

/// How many providers a need takes and when it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeedKind {
    /// Exactly one provider; absent is a fault.
    One,
    /// One provider or none.
    Optional,
    /// All providers, in plan order; none is lawful.
    Every,
    /// One provider, bound after everything started: a declared back edge, which orders nothing.
    Late,
}

/// What would help where nobody provides a key, as far as who describes the need can know; the planner words it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Remedy {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// The key is a class of the user's, which can be registered.
    Register,
    /// The registered class of this name has all that the key asks for, and does not say that it provides it.
    Mark(Arc<str>),
    /// The system is up already.
    TooLate,
}

/// One edge of the graph: a component needs a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// What is needed.
    pub key: Key,
    /// How.
    pub kind: NeedKind,
    /// Only the provider of this name will do (`Annotated[T, "name"]`).
    pub named: Option<ComponentName>,
    /// The parameter that asks, for the hint (`planner: Late[Planner]`).
    pub parameter: Option<Arc<str>>,
    /// Where a person wrote the need.
    pub location: Option<Location>,
    /// What would help where nobody provides it.
    pub remedy: Remedy,
}

impl Need {
    /// A plain need of exactly one provider.
    pub fn one(key: Key) -> Self {
        Self {
            key,
            kind: NeedKind::One,
            named: None,
            parameter: None,
            location: None,
            remedy: Remedy::Unknown,
        }
    }
}

/// Whose time a component's start takes, for `overhead_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Symphony's own: counts as overhead.
    Own,
    /// User code, a child's start-up or a declared wait: does not.
    Other,
}

/// A component as the registry, the graph and the plan see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Its unique name: errors, events and the report use it.
    pub name: ComponentName,
    /// The phase in which it starts.
    pub phase: Phase,
    /// What others may need of it. Its name is not among them by itself.
    pub provides: Vec<Key>,
    /// What it needs.
    pub needs: Vec<Need>,
    /// `false`: its failure leaves the system degraded and does not fail the boot.
    pub required: bool,
    /// Its own deadline inside the phase's; the engine's default when none.
    pub deadline: Option<Duration>,
    /// Whether its start is Symphony's own work.
    pub work: Work,
    /// Where a person wrote it.
    pub location: Option<Location>,
}

impl Descriptor {
    /// A required component of Symphony's own that needs and provides nothing yet.
    pub fn new(name: impl Into<ComponentName>, phase: Phase) -> Self {
        Self {
            name: name.into(),
            phase,
            provides: Vec::new(),
            needs: Vec::new(),
            required: true,
            deadline: None,
            work: Work::Own,
            location: None,
        }
    }

    /// Adds a key that it provides.
    #[must_use]
    pub fn provides(mut self, key: Key) -> Self {
        self.provides.push(key);
        self
    }

    /// Adds a need.
    #[must_use]
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }
}
