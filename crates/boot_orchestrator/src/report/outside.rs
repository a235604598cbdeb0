//! Work beside the engine that a boot waits for: the Conductor's import and `prepare` on the calling thread, the reading
//! of manifests before there was a plan.
//!
//! It is no component: nothing orders it and nothing stops it. The report shows it among the components, the critical path
//! leads through it where a component waited for it, and what memory it took is not Symphony's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use component::{ComponentName, Phase};

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
    /// The component whose start could not go on before its end.
    pub awaited_by: Option<ComponentName>,
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
