//! What the running kernel can hold a guest with.
//!
//! Asked once by the process host; tests make their own. Invariant: nothing here changes the process that asks.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    Scope,
};
use serde::{Deserialize, Serialize};

/// What a kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// The version of Landlock's interface; 0: it has none, or it is switched off.
    pub landlock: u8,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
}

/// Landlock's first version that holds TCP ports.
pub(super) const PORTS: u8 = 4;
/// Landlock's first version that holds signals and abstract sockets.
pub(super) const SCOPES: u8 = 6;
/// Landlock's first version that holds the truncation of files.
pub(super) const TRUNCATION: u8 = 3;

impl Kernel {
    /// The one that runs here.
    pub fn here() -> Self {
        let newest = (1..=SCOPES).rev().find(|version| has(*version)).unwrap_or(0);
        Self { landlock: newest, seccomp: has_seccomp() }
    }
}

/// Whether everything that a version of Landlock brought is there. Only a request that must be met is told as refused,
/// so versions are asked for one by one; no ruleset is made.
fn has(version: u8) -> bool {
    let must = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let abi = ABI::from(i32::from(version));
    if must().handle_access(AccessFs::from_all(abi)).is_err() {
        return false;
    }
    if version >= PORTS && must().handle_access(AccessNet::from_all(abi)).is_err() {
        return false;
    }
    version < SCOPES || must().scope(Scope::from_all(abi)).is_ok()
}

fn has_seccomp() -> bool {
    let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    known && actions.is_ok_and(|actions| actions.split_whitespace().any(|name| name == "errno"))
}
