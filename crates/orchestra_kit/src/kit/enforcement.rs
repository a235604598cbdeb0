//! What of a manifest's permissions the operating system enforces. Today: nothing beyond the process itself, and it says
//! so.

use crate::manifest::{Execution, ExtensionManifest};

/// How far a permission is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The kernel, or this core, refuses everything else.
    Enforced,
    /// Partly.
    Degraded,
    /// Declared only.
    NotEnforced,
}

impl Level {
    /// The words for people and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Degraded => "degraded",
            Self::NotEnforced => "not enforced yet",
        }
    }
}

/// One permission and how far it is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// The permission: `read`, `network`, …
    pub permission: &'static str,
    /// How far.
    pub level: Level,
}

/// All permissions of an extension.
pub(super) fn of(manifest: &ExtensionManifest) -> Vec<Enforcement> {
    let process = manifest.execution == Execution::Process;
    // The variables reach only the process that they are granted to, and calls are checked in this core.
    let here = if process { Level::Enforced } else { Level::NotEnforced };
    let level = |permission| match permission {
        "env" | "calls" => here,
        _ => Level::NotEnforced,
    };
    ["read", "write", "network", "run", "env", "calls"]
        .map(|permission| Enforcement { permission, level: level(permission) })
        .into()
}
