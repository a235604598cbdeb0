//! Work beside the engine that the report tells of: a module's import on the calling thread, the reading of manifests.

use std::time::Instant;

/// A stretch of work outside the plan.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What it was, as `import app.conductor`.
    pub name: String,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
}
