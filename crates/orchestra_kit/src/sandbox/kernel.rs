//! What the running kernel can hold a guest with.
//!
//! Asked once by the process host; tests make their own. Invariant: nothing here changes the process that asks.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    Scope,
};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, geteuid, getpid, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};

use super::listener;

/// What a kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// The version of Landlock's interface; 0: it has none, or it is switched off.
    pub landlock: u8,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Whether a list of hosts can be held, or why it cannot.
    pub hosts: HostLists,
}

/// Whether a list of hosts can be held, which takes that calls of `connect` are handed to the supervisor, and that it may take
/// the sockets of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HostLists {
    /// It can.
    Held,
    /// Calls cannot be handed over.
    #[default]
    NotHandedOver,
    /// A descriptor cannot be taken from another process.
    NotTaken,
    /// Yama lets no process look into another.
    Closed,
    /// Calls of this process are handed over already, as a container may have it; the kernel allows that once.
    Taken,
}

impl HostLists {
    /// Why they cannot be held, in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Held => "",
            Self::NotHandedOver => {
                "this kernel does not hand calls over (seccomp's user notification, Linux 5.0)"
            }
            Self::NotTaken => "this kernel does not hand sockets over (`pidfd_getfd`, Linux 5.6)",
            Self::Taken => {
                "calls of this process are handed to another program already (a container's), and the kernel allows one"
            }
            Self::Closed => {
                "Yama lets no process take a socket of another (`kernel.yama.ptrace_scope` above 1)"
            }
        }
    }
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
        let seccomp = has_seccomp();
        Self { landlock: newest, seccomp, hosts: host_lists(seccomp) }
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

fn host_lists(seccomp: bool) -> HostLists {
    if !seccomp || !allows("user_notif") || !listener::is_known() {
        return HostLists::NotHandedOver;
    }
    let own = pidfd_open(getpid(), PidfdFlags::empty());
    let taken = own.and_then(|own| pidfd_getfd(own, 0, PidfdGetfdFlags::empty()));
    // That this process has no standard input is no reason.
    if !matches!(taken, Ok(_) | Err(Errno::BADF)) {
        return HostLists::NotTaken;
    }
    if is_filtered() && !listener::may_be_installed() {
        return HostLists::Taken;
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match scope.trim().parse().unwrap_or(0_u8) {
        // 1: below oneself, and every guest is below the supervisor.
        0 | 1 => HostLists::Held,
        2 if geteuid().is_root() => HostLists::Held,
        _ => HostLists::Closed,
    }
}

/// Whether a filter holds this process already, or that cannot be told.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_none_or(|mode| mode.trim() != "0")
}

fn has_seccomp() -> bool {
    let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    known && allows("errno")
}

/// Whether a filter may give this answer.
fn allows(answer: &str) -> bool {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    actions.is_ok_and(|actions| actions.split_whitespace().any(|name| name == answer))
}
