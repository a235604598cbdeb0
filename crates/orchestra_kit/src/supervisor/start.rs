//! What becomes of a freshly forked child of the supervisor: a guest, or the process that looks names up.
//!
//! Called by [`super::server`] in the child. Invariant: before a guest's first line of code runs, it has given up whatever was the
//! supervisor's and is held to its policy; an error means that it must not run.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::beside::Beside;
use super::connects::hand_over;
use super::own_process::refused;
use super::protocol::{Program, SpawnRequest};
use super::{descriptors, marks};
use crate::error::SupervisorError;
use crate::sandbox::Interpreter;

/// One guest to start, with the descriptors that it gets.
#[derive(Debug)]
pub struct Start {
    /// What to start.
    pub request: SpawnRequest,
    /// The process that must still be the child's parent once its death signal is armed.
    pub supervisor: i32,
    /// The guest's end of its lane.
    pub lane: OwnedFd,
    /// Where its standard output goes.
    pub stdout: OwnedFd,
    /// Where its standard error goes.
    pub stderr: OwnedFd,
    /// Memory that outlives it, for a server's bridge.
    pub kept: Option<OwnedFd>,
    /// Where it gives away the end by which its connects are answered, with a list of hosts.
    pub handover: Option<OwnedFd>,
}

/// A child made ready: what it still has to do itself, because only its interpreter can.
#[derive(Debug)]
pub struct Prepared {
    /// The extension's name.
    pub name: String,
    /// What to run.
    pub program: Program,
    /// Its folder, which the process stands in.
    pub folder: PathBuf,
    /// The guest's end of its lane; survives `exec` for a program of its own.
    pub lane: OwnedFd,
    /// Variables to set; `SYMPHONY_LANE` among them for a program of its own.
    pub environment: Vec<(String, String)>,
    /// What a server has to be started with, by one more fork.
    pub beside: Option<Beside>,
}

impl Start {
    /// Makes the calling process this guest: it dies with the supervisor, leads its own session, reads nothing, writes
    /// to its pipes, stands in its folder, has no descriptor but these and its lane, and may do what its policy says.
    ///
    /// # Errors
    /// When the supervisor is gone already or the kernel refuses a step. The caller must exit then.
    pub fn prepare(self, interpreter: &Interpreter) -> Result<Prepared, SupervisorError> {
        let Self { request, supervisor, lane, stdout, stderr, kept, handover } = self;
        tie_to(supervisor)?;
        dup2_stdin(nothing()?).map_err(refused("close stdin"))?;
        dup2_stdout(&stdout).map_err(refused("redirect stdout"))?;
        dup2_stderr(&stderr).map_err(refused("redirect stderr"))?;
        drop((stdout, stderr));
        let lane = out_of_the_way(lane)?;
        let kept = kept.map(out_of_the_way).transpose()?;
        let handover = handover.map(out_of_the_way).transpose()?;
        let left = [Some(&lane), kept.as_ref(), handover.as_ref()];
        let left: Vec<RawFd> = left.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
        descriptors::close_all_but(&left)
            .map_err(|source| SupervisorError::Descriptors { source })?;
        enter(&request.folder)?;
        let mut environment = request.environment;
        if matches!(request.program, Program::Command { .. }) {
            fcntl_setfd(&lane, FdFlags::empty()).map_err(refused("hand the lane on"))?;
            let number: RawFd = lane.as_raw_fd();
            environment.push((LANE_VARIABLE.to_owned(), number.to_string()));
        }
        marks::put(request.id);
        let beside = if matches!(request.program, Program::Server { .. }) {
            Some(Beside::new(request.policy, kept, handover)?)
        } else {
            let applied = request.policy.apply(&interpreter.read);
            let listener =
                applied.map_err(|source| SupervisorError::Sandbox { source: Box::new(source) })?;
            hand_over(listener, handover)?;
            None
        };
        Ok(Prepared {
            name: request.name,
            program: request.program,
            folder: request.folder,
            lane,
            environment,
            beside,
        })
    }
}

/// The same descriptor where no standard stream is put.
fn out_of_the_way(held: OwnedFd) -> Result<OwnedFd, SupervisorError> {
    if held.as_raw_fd() > 2 {
        return Ok(held);
    }
    fcntl_dupfd_cloexec(&held, 3).map_err(refused("move the lane"))
}

/// Where a program of its own finds the number of its lane's descriptor.
pub const LANE_VARIABLE: &str = "SYMPHONY_LANE";

/// Makes the calling process, a fork of the supervisor, the one that looks names up over `link`.
///
/// # Errors
/// When the supervisor is gone already or the kernel refuses a step. The caller must exit then.
pub(super) fn prepare_resolver(link: &OwnedFd, supervisor: i32) -> Result<(), SupervisorError> {
    tie_to(supervisor)?;
    dup2_stdin(nothing()?).map_err(refused("close stdin"))?;
    descriptors::close_all_but(&[link.as_raw_fd()])
        .map_err(|source| SupervisorError::Descriptors { source })
}

/// The calling process dies with its parent, and leads a session of its own.
fn tie_to(supervisor: i32) -> Result<(), SupervisorError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused("tie its life"))?;
    // It may have died before the signal was armed.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(supervisor) {
        return Err(SupervisorError::Orphaned);
    }
    match setsid() {
        Ok(_) | Err(Errno::PERM) => Ok(()),
        Err(source) => Err(SupervisorError::Link { doing: "start a session", source }),
    }
}

fn enter(folder: &PathBuf) -> Result<(), SupervisorError> {
    std::env::set_current_dir(folder)
        .map_err(|source| SupervisorError::Folder { folder: folder.clone(), source })
}

pub(super) fn nothing() -> Result<OwnedFd, SupervisorError> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(refused("open /dev/null"))
}
