//! A guest's process as the root holds it, and who is told of it.
//!
//! Made by [`super::client`], used by the process host. Invariant: nothing is ever signalled by a bare number.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::process::{Signal, pidfd_send_signal};

use super::protocol::Ending;

/// A guest's process, held by a descriptor: nothing is ever signalled by a bare number.
#[derive(Debug)]
pub struct Process {
    /// Its number, for people.
    pub pid: i32,
    descriptor: OwnedFd,
}

impl Process {
    pub(super) const fn new(pid: i32, descriptor: OwnedFd) -> Self {
        Self { pid, descriptor }
    }

    /// What this process holds it by.
    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Kills this one process, without the supervisor. Gone already is as good.
    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// Who is told of one guest. Called on the supervisor's thread: must not block.
pub trait Watch: Send + Sync {
    /// Its process exists.
    fn spawned(&self, process: &Arc<Process>);
    /// What of the network its list of hosts refused it, and why; told once for each address.
    fn refused(&self, _what: &str) {}
    /// It ended, or never was: the last call.
    fn ended(self: Arc<Self>, ending: Ending);
}
