//! The steps by which a freshly forked child confines itself.
//!
//! Called once, by [`crate::supervisor`], in a process of one thread that has closed everything but its lane. Invariant:
//! after the last step nothing of it can be taken back, and an error means that the extension must not run.

use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::{Listener, Policy, files, filter};
use crate::manifest::Network;

/// A step that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Privileges cannot be given up.
    #[error("the kernel does not let it give up privileges")]
    Privileges {
        /// What the kernel said.
        #[source]
        source: rustix::io::Errno,
    },
    /// Its memory cannot be limited.
    #[error("the kernel does not limit its memory to {bytes} bytes")]
    Memory {
        /// The limit.
        bytes: u64,
        /// What the kernel said.
        #[source]
        source: rustix::io::Errno,
    },
    /// Files cannot be restricted.
    #[error("the kernel does not restrict its files (Landlock)")]
    Files {
        /// What the kernel said.
        #[source]
        source: Box<landlock::RulesetError>,
    },
    /// The rules for files were taken, and nothing holds to them.
    #[error("the kernel took the rules for its files and enforces none (Landlock)")]
    Unheld,
    /// Its connects cannot be handed to the supervisor.
    #[error("the kernel does not hand its connects over (seccomp's user notification)")]
    Connects {
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// System calls cannot be filtered.
    #[error("the kernel does not filter its system calls (seccomp)")]
    Calls {
        /// What the kernel said.
        #[source]
        source: Box<seccompiler::Error>,
    },
}

impl Policy {
    /// Confines the calling process for good. `interpreter`: what the supervisor's interpreter reads. What it gives has to
    /// reach the supervisor: by it the connects of a guest with a list of hosts are answered.
    ///
    /// # Errors
    /// When the kernel refuses a step; the process must end then.
    pub fn apply(&self, interpreter: &[PathBuf]) -> Result<Option<Listener>, SandboxError> {
        rustix::thread::set_no_new_privs(true)
            .map_err(|source| SandboxError::Privileges { source })?;
        if !self.network.is_all() {
            leave_network().map_err(|source| SandboxError::Privileges { source })?;
        }
        if let Some(bytes) = self.memory {
            // Not of addresses: a thread's stack takes those and no memory.
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            setrlimit(Resource::Data, limit)
                .map_err(|source| SandboxError::Memory { bytes, source })?;
        }
        let interpreter = if self.shares_interpreter { interpreter } else { &[] };
        if self.kernel.landlock > 0 {
            let held = files::restrict(self, interpreter)
                .map_err(|source| SandboxError::Files { source: Box::new(source) })?;
            if !held {
                return Err(SandboxError::Unheld);
            }
        }
        if self.kernel.seccomp {
            filter::restrict(self)
                .map_err(|source| SandboxError::Calls { source: Box::new(source) })?;
        }
        if let Network::Hosts(_) = self.network {
            let listener =
                Listener::install().map_err(|source| SandboxError::Connects { source })?;
            return Ok(Some(listener));
        }
        Ok(None)
    }
}

/// Gives up what root may do to the machine's network: who changes routes says where the address of a listed host leads. Without
/// new privileges it comes back by no program.
fn leave_network() -> Result<(), Errno> {
    let over_network = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let mut held = capabilities(None)?;
    if !held.permitted.intersects(over_network) {
        return Ok(());
    }
    held.effective -= over_network;
    held.permitted -= over_network;
    held.inheritable -= over_network;
    set_capabilities(None, held)
}
