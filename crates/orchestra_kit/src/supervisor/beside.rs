//! A server beside its bridge: the pipes between the two, and how a fork of the bridge becomes the server.
//!
//! Made by [`super::server`] in the bridge's process, which forks once more; [`Beside::become_server`] is called in the child.
//! Invariants: the server ends with the bridge, is in its session, and is held to its manifest's permissions before its first
//! line of code runs; it has its pipes and no other descriptor.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use rustix::thread::set_no_new_privs;

use super::connects::hand_over;
use super::own_process::refused;
use crate::error::SupervisorError;
use crate::sandbox::Policy;

/// What a server is started with.
#[derive(Debug)]
pub struct Beside {
    /// Where the bridge writes to the server.
    pub stdin: OwnedFd,
    /// Where it reads what the server writes.
    pub stdout: OwnedFd,
    /// Memory that outlives both.
    pub kept: Option<OwnedFd>,
    server_stdin: OwnedFd,
    server_stdout: OwnedFd,
    policy: Policy,
    handover: Option<OwnedFd>,
    bridge: i32,
}

impl Beside {
    /// In the bridge's process, which can gain no privileges from here on.
    pub(super) fn new(
        policy: Policy,
        kept: Option<OwnedFd>,
        handover: Option<OwnedFd>,
    ) -> Result<Self, SupervisorError> {
        set_no_new_privs(true).map_err(refused("give up privileges"))?;
        let (server_stdin, stdin) =
            pipe_with(PipeFlags::CLOEXEC).map_err(refused("open a pipe to the server"))?;
        let (stdout, server_stdout) =
            pipe_with(PipeFlags::CLOEXEC).map_err(refused("open a pipe to the server"))?;
        let bridge = getpid().as_raw_nonzero().get();
        Ok(Self { stdin, stdout, kept, server_stdin, server_stdout, policy, handover, bridge })
    }

    /// In the fork: everything but the execution of the program.
    ///
    /// # Errors
    /// When the bridge is gone already or the kernel refuses a step. The caller must exit then.
    pub fn become_server(self) -> Result<(), SupervisorError> {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused("tie its life"))?;
        // It may have died before the signal was armed.
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(self.bridge) {
            return Err(SupervisorError::Orphaned);
        }
        dup2_stdin(&self.server_stdin).map_err(refused("redirect stdin"))?;
        dup2_stdout(&self.server_stdout).map_err(refused("redirect stdout"))?;
        let applied = self.policy.apply(&[]);
        let listener =
            applied.map_err(|source| SupervisorError::Sandbox { source: Box::new(source) })?;
        hand_over(listener, self.handover)
    }

    /// In the bridge, once the server was forked: the bridge's ends and the memory.
    pub fn into_ends(self) -> (OwnedFd, OwnedFd, Option<OwnedFd>) {
        (self.stdin, self.stdout, self.kept)
    }
}
