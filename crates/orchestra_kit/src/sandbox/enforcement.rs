//! How far each grant of a manifest is held, and why not further.
//!
//! Asked by the kit for people and reports. Invariant: `enforced` is said only of what [`super::Policy::apply`] does on
//! that kernel, or of what this core itself refuses.

use super::kernel::{PORTS, TRUNCATION};
use super::{HostLists, Kernel, Policy};
use crate::manifest::{Execution, ExtensionManifest, Host, Network};

const NO_LANDLOCK: &str = "this kernel has no Landlock, or it is switched off";
const NO_FILTER: &str = "this kernel does not filter system calls";

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
            Self::NotEnforced => "not enforced",
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
    /// Why not further, or what an author should know; empty when there is nothing to say.
    pub reason: String,
}

impl std::fmt::Display for Enforcement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.level.as_str())?;
        if self.reason.is_empty() { Ok(()) } else { write!(out, ": {}", self.reason) }
    }
}

/// All permissions of an extension on a kernel. `policy`: what is applied to it, where it runs in a process.
pub fn enforcement(
    manifest: &ExtensionManifest,
    policy: Option<&Policy>,
    kernel: Kernel,
) -> Vec<Enforcement> {
    let told =
        |permission, (level, reason): (Level, String)| Enforcement { permission, level, reason };
    let Some(policy) = policy.filter(|_| manifest.execution == Execution::Process) else {
        let reason = "it runs in the root's own process";
        return ["read", "write", "network", "run", "env", "calls"]
            .map(|permission| told(permission, (Level::NotEnforced, reason.to_owned())))
            .into();
    };
    let here = || (Level::Enforced, String::new());
    let mut found = vec![
        told("read", files(kernel, policy, false)),
        told("write", files(kernel, policy, true)),
        told("network", network(kernel, policy, &manifest.permissions.network)),
        told("run", run(kernel, policy)),
        // The variables reach only the process that they are granted to, and calls are checked in this core.
        told("env", here()),
        told("calls", here()),
    ];
    if manifest.limits.memory.is_some() {
        let reason =
            "held for each of its processes, and not for what they share or map from files";
        found.push(told("memory", (Level::Degraded, reason.to_owned())));
    }
    found
}

fn files(kernel: Kernel, policy: &Policy, write: bool) -> (Level, String) {
    if kernel.landlock == 0 {
        return (Level::NotEnforced, NO_LANDLOCK.to_owned());
    }
    if write && kernel.landlock < TRUNCATION {
        let reason =
            "this kernel's Landlock does not hold the truncation of files (Linux 6.2 does)";
        return (Level::Degraded, reason.to_owned());
    }
    if let Some(grant) = policy.own_manifest.as_ref().filter(|_| write) {
        let reason = format!(
            "`{grant}` covers its own manifest, in which it could grant itself more for its next start"
        );
        return (Level::Degraded, reason);
    }
    let missing: Vec<_> =
        policy.missing.iter().map(|path| format!("`{}`", path.display())).collect();
    if missing.is_empty() {
        return (Level::Enforced, String::new());
    }
    (Level::Enforced, format!("nothing is granted for what is not there: {}", missing.join(", ")))
}

fn network(kernel: Kernel, policy: &Policy, granted: &Network) -> (Level, String) {
    if !granted.hosts().is_empty() {
        return hosts(kernel, granted.hosts());
    }
    match (kernel.seccomp, kernel.landlock >= PORTS && !policy.network.is_all()) {
        (true, _) => (Level::Enforced, String::new()),
        (false, true) => (Level::Degraded, format!("{NO_FILTER}; only TCP is held (Landlock)")),
        (false, false) => (Level::NotEnforced, NO_FILTER.to_owned()),
    }
}

/// A list that cannot be held grants nothing.
fn hosts(kernel: Kernel, listed: &[Host]) -> (Level, String) {
    if kernel.hosts != HostLists::Held {
        let reason = format!("{}; nothing of the network is granted", kernel.hosts.reason());
        return (Level::NotEnforced, reason);
    }
    let listed: Vec<_> = listed.iter().map(|host| format!("`{host}`")).collect();
    (Level::Enforced, format!("only {}", listed.join(", ")))
}

fn run(kernel: Kernel, policy: &Policy) -> (Level, String) {
    match (kernel.seccomp, kernel.landlock > 0) {
        (true, _) if !policy.processes && !policy.is_program => (Level::Enforced, String::new()),
        (true, true) if !policy.processes => {
            let reason =
                "it starts no process, but its own may become any program that it may read";
            (Level::Degraded, reason.to_owned())
        }
        (_, false) => (Level::NotEnforced, NO_LANDLOCK.to_owned()),
        (false, true) => {
            (Level::Degraded, format!("{NO_FILTER}; files are held, a program in memory is not"))
        }
        (true, true) => {
            let reason = "a granted program's loader, and a granted interpreter, runs whatever else may be read";
            (Level::Degraded, reason.to_owned())
        }
    }
}
