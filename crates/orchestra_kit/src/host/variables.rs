//! The variables that one guest gets beyond the supervisor's own.
//!
//! Called by the process host before a run. Invariant: none but those that its manifest grants, and what its start needs.

use crate::manifest::ExtensionManifest;
use crate::supervisor::Environment;

/// The variables that the manifest grants and the system was given.
pub(super) fn granted(
    manifest: &ExtensionManifest,
    environment: &Environment,
) -> Vec<(String, String)> {
    let value = |name: &String| Some((name.clone(), environment.get(name)?.to_str()?.to_owned()));
    manifest.permissions.env.iter().filter_map(|name| value(&name.value)).collect()
}

/// The same with what a trusted extension of a project is started with: code that is not pinned is not read.
pub(super) fn environment(
    manifest: &ExtensionManifest,
    given: &Environment,
) -> Vec<(String, String)> {
    let mut variables = granted(manifest, given);
    if manifest.trust.is_some() {
        let name = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        variables.push(name("PYTHONDONTWRITEBYTECODE", "1"));
        // No file lies below it: sources are compiled anew.
        variables.push(name("PYTHONPYCACHEPREFIX", "/dev/null"));
    }
    variables
}

/// Variables that are read when a program is executed, by the loader, the C library or the interpreter: a process that
/// is forked from another never sees them.
pub(super) fn is_read_at_exec(name: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["LD_", "DYLD_", "PYTHON", "MALLOC_", "GLIBC_TUNABLES"];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || name.ends_with("SAN_OPTIONS")
}
