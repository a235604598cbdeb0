//! What a caller may set in the place of the manifest.

use std::path::PathBuf;

use orchestra_kit::manifest::{Durability, SafeMode};
use orchestra_kit::supervisor::Environment;
use pit::stale_manager::StoreLimits;

/// Where a system's manifest is, and what overrides it.
#[derive(Debug, Clone, Default)]
pub struct SystemOptions {
    /// The `Symphony.toml`; none: no extensions.
    pub manifest: Option<PathBuf>,
    /// The state folder; none: the manifest's, or a temporary one that ends with the system.
    pub state: Option<PathBuf>,
    /// The opened project.
    pub workspace: Option<PathBuf>,
    /// The interpreter of Python guests.
    pub python: Option<PathBuf>,
    /// The Pit members to start.
    pub members: Option<Vec<String>>,
    /// What the artifact store keeps; what is none in it is the manifest's.
    pub store: StoreLimits,
    /// What an acknowledged write survives; none: what the manifest says.
    pub durability: Option<Durability>,
    /// What follows boots that failed; none: what the manifest says.
    pub safe_mode: Option<SafeMode>,
    /// The names of extensions and optional components that are left out.
    pub without: Vec<String>,
    /// The command that becomes the supervisor.
    pub supervisor: Vec<String>,
    /// The arguments by which an interpreter of an extension's own becomes its guest.
    pub foreign_python: Vec<String>,
    /// The command that executes this system's own interpreter as a guest.
    pub own_python: Vec<String>,
    /// The variables that the system was given; what its processes get is chosen from them.
    pub environment: Environment,
}
