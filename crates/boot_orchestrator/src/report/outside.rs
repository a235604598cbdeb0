//! Work beside the engine that a boot waits for: the Conductor's import and `prepare` on the calling thread; before there
//! is a plan the import of modules of components and the reading of manifests.
//!
//! It is no component: nothing orders it and nothing stops it. The report shows it among the components, the critical path
//! leads through it where a component or the plan waited for it, and what memory it took is not Symphony's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use component::{ComponentName, Phase};

use crate::report::timeline::Span;

/// A stretch of work outside the plan.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What it was, as `import app.conductor`.
    pub name: ComponentName,
    /// Where the report shows it.
    pub phase: Phase,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
    /// By how much the peak of memory rose meanwhile, in bytes.
    pub memory: u64,
    /// What could not go on before its end.
    pub awaited_by: AwaitedBy,
}

/// What could not go on before work beside the engine had ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwaitedBy {
    /// Nothing but the engine, whose own work it is.
    Engine,
    /// The start of a component.
    Start(ComponentName),
    /// The plan, and with it every phase: what the plan is made of came of it.
    Plan,
}

/// Where a stretch lay in the boot, and what waited for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) span: Span,
    pub(crate) awaited_by: AwaitedBy,
}

impl Stretch {
    /// Whether the start of a component waited for it.
    pub(crate) fn holds(&self, component: &ComponentName) -> bool {
        matches!(&self.awaited_by, AwaitedBy::Start(name) if name == component)
    }
}

/// Where work beside the engine is written down. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OutsideWork(Arc<Mutex<Vec<Outside>>>);

impl OutsideWork {
    /// Writes a stretch down.
    pub fn add(&self, outside: Outside) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outside);
    }

    /// What was written down, in the order of its end.
    pub fn list(&self) -> Vec<Outside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
