//! What the process host is given beside the supervisor.
//!
//! Filled in by whoever opens a system. Invariant: it does not change while the system runs.

use std::sync::Arc;

use super::InProcess;
use crate::sandbox::{Kernel, Places};
use crate::supervisor::Environment;

/// What the process host needs beside the supervisor.
#[derive(Debug, Clone, Default)]
pub struct ProcessHostOptions {
    /// The arguments by which an interpreter of an extension's own (`python = …`) becomes its guest; the entry and the
    /// folder follow. Empty: such extensions cannot be started.
    pub foreign_python: Vec<String>,
    /// The command that executes the system's own interpreter as a guest; the entry and the folder follow. Empty: there is
    /// none, as in a packaged application.
    pub own_python: Vec<String>,
    /// The variables from which extensions are granted theirs.
    pub environment: Environment,
    /// Who serves extensions in this process instead; none but in tests and debuggers.
    pub in_process: Option<Arc<dyn InProcess>>,
    /// Where things are that permissions speak of.
    pub places: Places,
    /// What the kernel can hold guests with; none: it is asked.
    pub kernel: Option<Kernel>,
}
