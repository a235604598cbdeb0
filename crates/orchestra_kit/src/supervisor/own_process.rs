//! How the root starts the supervisor's process, and how it is held.
//!
//! Called by [`super::client`] only. Invariant: the process gets a socket, a pipe and a pidfd of this process, the
//! allow-listed environment, and nothing else of the root's.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::environment::Environment;
use super::protocol::{Status, ToSupervisor, VERSION, encode, send};
use crate::error::SupervisorError;

/// The variables that the supervisor, and so every guest, gets from the root. `LC_*` beside them.
const ALLOWED: &[&str] = &["PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME"];

/// What `PyInstaller`'s loader tells the programs that its own program starts: without it, the supervisor of a packaged
/// application would unpack the whole application once more. The supervisor keeps it from guests.
const UNPACKED: &str = "_PYI_";

/// By this a packaged program that was started again knows that it is to be a supervisor, and whose: the number of this
/// process.
const SUPERVISOR_OF: &str = "SYMPHONY_SUPERVISOR_OF";

/// How long a supervisor that takes another's place has to come up.
const START: Duration = Duration::from_secs(10);

/// How long an order may wait for room in the socket: longer, and the supervisor hangs.
pub(super) const SEND_LIMIT: Duration = Duration::from_secs(1);

/// How the supervisor is started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub(super) program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    pub(super) start_limit: Duration,
}

impl Launch {
    /// A program that becomes the supervisor ([`super::Server::inherited`]), with the allow-listed part of
    /// `environment`.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        environment: &Environment,
    ) -> Self {
        let allowed = |name: &str| {
            ALLOWED.contains(&name) || name.starts_with("LC_") || name.starts_with(UNPACKED)
        };
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: environment
                .iter()
                .filter(|(name, _)| name.to_str().is_some_and(allowed))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            start_limit: START,
        }
    }

    /// An interpreter that runs `code`, isolated and without `site`.
    pub fn python(
        interpreter: impl Into<PathBuf>,
        code: &str,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        environment: &Environment,
    ) -> Self {
        let own = ["-I", "-S", "-c", code].into_iter().map(OsString::from);
        Self::new(interpreter, own.chain(arguments.into_iter().map(Into::into)), environment)
    }

    /// How long one that takes another's place has to say that it takes orders; the first one's time is its boot's.
    #[must_use]
    pub const fn start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = limit;
        self
    }

    /// One more variable, as an embedded interpreter's `PYTHONHOME`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// One running supervisor, as seen from here.
pub(super) struct Link {
    pub(super) control: OwnedFd,
    /// Never written: its closing tells the supervisor that this process is gone.
    lifeline: OwnedFd,
    pub(super) process: OwnedFd,
    pub(super) errors: OwnedFd,
    pub(super) pid: u32,
    pub(super) child: Mutex<Child>,
}

impl Link {
    /// Everything that connects this process to the supervisor.
    pub(super) fn descriptors(&self) -> [RawFd; 4] {
        [&self.control, &self.lifeline, &self.process, &self.errors].map(AsRawFd::as_raw_fd)
    }
}

/// Reaps the dead supervisor.
pub(super) fn how_it_ended(link: &Link) -> String {
    match link.child.lock().wait() {
        Ok(status) => {
            let status = match (status.code(), status.signal()) {
                (Some(code), _) => Status::Code(code),
                (None, signal) => Status::Signal(signal.unwrap_or_default()),
            };
            format!("ended with {status}")
        }
        Err(error) => format!("ended, and cannot be reaped: {error}"),
    }
}

/// Starts the process and greets it with a descriptor of this one.
pub(super) fn begin(launch: &Launch) -> Result<Link, SupervisorError> {
    let (control, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(refused("be opened"))?;
    set_socket_timeout(&control, Timeout::Send, Some(SEND_LIMIT))
        .map_err(refused("be given a limit"))?;
    let (their_lifeline, lifeline) = pipe()?;
    let (errors, their_errors) = pipe()?;
    rustix::io::ioctl_fionbio(&errors, true).map_err(refused("be read"))?;
    let root = pidfd_open(getpid(), PidfdFlags::empty()).map_err(refused("name the root"))?;
    let greeting = encode(&ToSupervisor::Root { version: VERSION })?;
    // Waits in the socket until it is read.
    send(&control, &greeting, &[root.as_fd()], SendFlags::empty()).map_err(refused("greet"))?;
    // No `pre_exec`: with one, the whole root would be forked.
    let mut command = Command::new(&launch.program);
    if std::env::current_dir().is_err() {
        // It was removed. An interpreter of Python 3.13 that starts there fails at whatever a module does not have.
        command.current_dir("/");
    }
    let mut child = command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .env(SUPERVISOR_OF, std::process::id().to_string())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(their_lifeline))
        .stderr(Stdio::from(their_errors))
        .spawn()
        .map_err(|source| SupervisorError::NotStarted {
            program: launch.program.clone(),
            source,
        })?;
    // Not reaped by anybody but this side, so the number is still its own.
    let pid = child.id();
    let held = Pid::from_raw(pid.cast_signed())
        .ok_or(Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let process = match held {
        Ok(process) => process,
        Err(source) => {
            // Another attempt follows, and would leave one dead process each.
            let _ = child.kill();
            let _ = child.wait();
            return Err(SupervisorError::Link { doing: "hold the supervisor", source });
        }
    };
    Ok(Link { control, lifeline, process, errors, pid, child: Mutex::new(child) })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SupervisorError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(refused("open a pipe"))
}

pub(super) fn refused(doing: &'static str) -> impl Fn(Errno) -> SupervisorError {
    move |source| SupervisorError::Link { doing, source }
}
