//! Files, signals, sockets without a path and TCP ports, held by Landlock.
//!
//! Called by [`super::apply`] in the guest. Invariant: what is not granted is refused with an error, never by a signal;
//! a path that is not there grants nothing.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::kernel::{PORTS, SCOPES};
use super::{Policy, always};

/// Restricts the calling thread, the only one of its process, for good. Returns whether the kernel holds it to that.
pub(super) fn restrict(policy: &Policy, interpreter: &[PathBuf]) -> Result<bool, RulesetError> {
    let abi = ABI::from(i32::from(policy.kernel.landlock));
    let all = AccessFs::from_all(abi);
    // Not granted to anybody: a device that a guest makes would be as good as the device itself.
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let read: BitFlags<AccessFs> = (AccessFs::ReadFile | AccessFs::ReadDir) & all;
    let write = AccessFs::from_write(abi) & !devices;
    let execute: BitFlags<AccessFs> = AccessFs::Execute.into();
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?;
    if policy.kernel.landlock >= SCOPES {
        ruleset = ruleset.scope(Scope::Signal)?;
        if !policy.network.is_all() {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
    }
    if policy.kernel.landlock >= PORTS && !policy.network.is_all() {
        ruleset = ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
    }
    let own = [PathBuf::from(always::OWN_PROCESS)];
    let private = [policy.temporary.clone(), policy.data.clone()];
    let rules = [
        (read, policy.read.as_slice()),
        (read, interpreter),
        (read, &own),
        (write, &policy.write),
        (read | execute, &policy.execute),
        (read | write, &private),
    ];
    let mut ruleset = ruleset.create()?;
    for (access, paths) in rules {
        for path in paths {
            let Ok(opened) = PathFd::new(path) else { continue };
            // Rights that only a folder can have are left away for a file, by the compatibility that was asked for.
            ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(ruleset.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
