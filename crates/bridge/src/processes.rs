//! The server's process and all below it, as its guest sees them.
//!
//! Invariant: this process is the parent of whatever loses its own, so that everything below it can be found and ended.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, pidfd_open,
    set_child_subreaper, waitid, waitpid,
};

use crate::error::BridgeError;

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

impl std::fmt::Display for End {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal(number) => write!(out, "signal {number}"),
        }
    }
}

/// The server.
pub(crate) struct Server {
    pid: Pid,
    process: OwnedFd,
    end: OnceLock<End>,
    end_below: fn(Duration) -> bool,
}

impl Server {
    /// The child of that number, which nobody has reaped.
    pub(crate) fn hold(pid: i32, end_below: fn(Duration) -> bool) -> Result<Self, BridgeError> {
        let refused =
            |doing| move |error: Errno| BridgeError::System { doing, source: error.into() };
        set_child_subreaper(Some(getpid())).map_err(refused("become a subreaper"))?;
        let pid = Pid::from_raw(pid).ok_or(Errno::SRCH).map_err(refused("name the server"))?;
        let process =
            pidfd_open(pid, PidfdFlags::empty()).map_err(refused("hold the server's process"))?;
        Ok(Self { pid, process, end: OnceLock::new(), end_below })
    }

    /// Waits for its end, so long at most.
    pub(crate) fn ended_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&left)) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) {
        while !self.ended_within(Duration::from_secs(3600)) {}
    }

    /// How it ended, once it did. To be asked before [`Self::end_all`], which reaps whatever there is.
    pub(crate) fn reap(&self) -> Option<End> {
        if let Some(end) = self.end.get() {
            return Some(*end);
        }
        let reaped = rustix::io::retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::NOHANG));
        if let Ok(Some((_, status))) = reaped {
            let code = status.exit_status().map(End::Code);
            if let Some(end) = code.or_else(|| status.terminating_signal().map(End::Signal)) {
                let _ = self.end.set(end);
            }
        }
        // Or another thread has reaped it in between.
        self.end.get().copied()
    }

    /// Whether it ended otherwise than well; it is not reaped by this.
    pub(crate) fn failed(&self) -> bool {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), how) {
            Ok(Some(status)) => status.exit_status() != Some(0),
            _ => false,
        }
    }

    /// Ends it and everything below this process; whether nothing is left after so long.
    pub(crate) fn end_all(&self, limit: Duration) -> bool {
        (self.end_below)(limit)
    }

    /// Asks it to go.
    pub(crate) fn terminate(&self) {
        // It may be gone, which is what is wanted.
        let _ = kill_process(self.pid, Signal::TERM);
    }
}

/// Ends this process as the server ended; returns where that is not how a process ends.
pub(crate) fn end_as(number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        // Refused, the exit code tells it.
        let _ = kill_process(getpid(), signal);
        std::thread::sleep(Duration::from_millis(100));
    }
}
