//! How far what a component was granted is held, for the report: of components that run under a sandbox.
//!
//! Whoever starts such a component leaves a source here, as with [`super::children`]; it is asked when the report is made.

use std::sync::{Arc, Mutex, PoisonError};

use component::ComponentName;
use serde::Serialize;

/// One grant of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantReport {
    /// The grant: `read`, `network`, ...
    pub name: String,
    /// `enforced`, `degraded` or `not enforced`.
    pub status: String,
    /// Why not further, or what an author should know; empty when there is nothing to say.
    pub detail: String,
}

type Source = Box<dyn FnOnce() -> Vec<GrantReport> + Send>;

/// Where sources are left. Cheap to clone.
#[derive(Clone, Default)]
pub struct Grants(Arc<Mutex<Vec<(ComponentName, Source)>>>);

impl Grants {
    /// Leaves a source.
    pub fn add(
        &self,
        component: ComponentName,
        source: impl FnOnce() -> Vec<GrantReport> + Send + 'static,
    ) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push((component, Box::new(source)));
    }

    /// Asks every source, once.
    pub(crate) fn take(&self) -> Vec<(ComponentName, Vec<GrantReport>)> {
        let sources = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        sources.into_iter().map(|(component, source)| (component, source())).collect()
    }
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Grants").finish_non_exhaustive()
    }
}
