//! The start of child processes as they told it themselves: the supervisor's, and that of each extension.
//!
//! Whoever starts a child leaves a source here; it is asked when the report is made, because what the child says and what
//! its parent knows of it (its number) come by different ways.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use component::ComponentName;

/// A stretch of a child's start.
#[derive(Debug, Clone)]
pub struct ChildSpan {
    /// The component, or work beside the engine, that the child belongs to.
    pub component: ComponentName,
    /// What the child did: `fork`, `import`, ...
    pub name: String,
    /// The number of its process, as its parent knows it.
    pub pid: Option<u32>,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
}

type Source = Box<dyn FnOnce() -> Vec<ChildSpan> + Send>;

/// Where sources are left. Cheap to clone.
#[derive(Clone, Default)]
pub struct ChildSpans(Arc<Mutex<Vec<Source>>>);

impl ChildSpans {
    /// Leaves a source.
    pub fn add(&self, source: impl FnOnce() -> Vec<ChildSpan> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// Asks every source, once.
    pub(crate) fn take(&self) -> Vec<ChildSpan> {
        let sources = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        sources.into_iter().flat_map(|source| source()).collect()
    }
}

impl std::fmt::Debug for ChildSpans {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ChildSpans").finish_non_exhaustive()
    }
}
