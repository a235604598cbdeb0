//! The errors of a run: a failed boot, a stop that failed.

use std::any::Any;
use std::sync::Arc;

use component::{Code, ComponentName, Diagnostic, Failure, Hint, Phase, error_text};

use crate::report::boot_report::BootReport;

/// A stop that failed or hung while others were taken down.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{component}` did not stop: {failure}")]
pub struct StopFailure {
    /// Whose stop it was.
    pub component: ComponentName,
    /// Why.
    #[source]
    pub failure: Failure,
}

impl StopFailure {
    /// Whose stop failed, why and what to do, in one line.
    pub fn line(&self) -> String {
        format!("`{}` did not stop: {}", self.component, self.failure.line())
    }
}

impl Hint for StopFailure {
    fn code(&self) -> Code {
        self.failure.code
    }

    fn hints(&self) -> Vec<String> {
        self.failure.hints.clone()
    }
}

/// A boot that failed, told after everything that had started was stopped.
#[derive(Clone, thiserror::Error)]
#[error("{message}")]
pub struct BootFailure {
    /// The stable word of the first failure.
    pub code: Code,
    /// What failed first.
    pub message: String,
    /// The phase in which it failed.
    pub phase: Option<Phase>,
    /// The component whose step failed or hung.
    pub component: Option<ComponentName>,
    /// Why, outermost cause first; the stack of a hung step is among them.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// What went wrong while the rest was stopped.
    pub rollback_errors: Vec<StopFailure>,
    /// The report of the boot up to its end.
    pub report: Arc<BootReport>,
    /// Faults of the graph that were found only during the boot (the payload was a [`crate::PlanFaults`]).
    pub diagnostics: Vec<Diagnostic>,
    /// The original error of another world, untouched.
    pub payload: Option<Arc<dyn Any + Send + Sync>>,
}

impl BootFailure {
    /// The whole text for people: message, causes, hints.
    pub fn text(&self) -> String {
        error_text(&self.message, &self.causes, &self.hints)
    }
}

impl Hint for BootFailure {
    fn code(&self) -> Code {
        self.code
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

impl std::fmt::Debug for BootFailure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("BootFailure")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("phase", &self.phase)
            .field("component", &self.component)
            .field("causes", &self.causes)
            .field("hints", &self.hints)
            .field("rollback_errors", &self.rollback_errors)
            .finish_non_exhaustive()
    }
}
