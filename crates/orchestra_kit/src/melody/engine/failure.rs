//! Why a run has no results; the scheduler makes it, whoever waits for the run gets it.

use std::sync::Arc;

use component::{Code, Hint};

use crate::KitError;

/// Why a run has no results: the first failure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.message())]
pub struct RunFailure {
    /// The Melody.
    pub melody: Arc<str>,
    /// The node that failed; none when the run itself was cancelled or stopped.
    pub node: Option<Arc<str>>,
    /// What it called.
    pub call: Option<Arc<str>>,
    /// How often it was tried.
    pub attempts: u32,
    /// The error itself, as the kit gave it.
    #[source]
    pub error: Arc<KitError>,
    /// The stand-ins (`on_error`) that were tried for it and failed too, in their order, each with its error.
    pub stand_ins: Vec<(Arc<str>, Arc<KitError>)>,
}

impl RunFailure {
    fn message(&self) -> String {
        match (&self.node, &self.call) {
            (Some(node), Some(call)) => {
                format!("node `{node}` (`{call}`) of `{}` failed", self.melody)
            }
            _ => format!("the run of `{}` ended without results", self.melody),
        }
    }
}

impl Hint for RunFailure {
    fn code(&self) -> Code {
        self.error.code()
    }

    fn hints(&self) -> Vec<String> {
        self.error.hints()
    }
}
