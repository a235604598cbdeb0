//! The messages between root and supervisor, and how one of them crosses the socket.
//!
//! One message is one packet: msgpack, with the descriptors it speaks of attached. Called by [`super::client`] and
//! [`super::server`]. Invariant: a packet that is no lawful message is an error, never a guess.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::SupervisorError;
use crate::sandbox::Policy;

/// The version of these messages; both ends come from one build, so it only catches a mixed installation.
pub const VERSION: u16 = 2;

/// The longest message. A packet longer than the socket's buffer could never be sent.
pub const LONGEST: usize = 128 * 1024;

/// The most descriptors that one message carries.
const DESCRIPTORS: usize = 4;

/// What a guest runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// A Python entry, run in a fork of the supervisor's own warm interpreter.
    Python {
        /// `module:attribute`.
        entry: String,
        /// Folders to put in front of `sys.path`, after the fork.
        paths: Vec<PathBuf>,
    },
    /// A program of its own, executed with the lane's number in `SYMPHONY_LANE`.
    Command {
        /// The program and its arguments; never empty.
        argv: Vec<String>,
    },
    /// A language server or an MCP server, executed beside a bridge that holds its pipes and the lane.
    Server {
        /// The program and its arguments; never empty.
        argv: Vec<String>,
        /// What the bridge is told of it, as JSON.
        settings: String,
    },
}

/// The order to start one guest. Its lane, stdout and stderr travel with it; to a server's bridge, memory that outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnRequest {
    /// The number of this start; the root never uses one twice.
    pub id: u64,
    /// The extension's name, for the process's title and for logs.
    pub name: String,
    /// What it runs.
    pub program: Program,
    /// The working directory.
    pub folder: PathBuf,
    /// Variables that only this guest gets, beyond the supervisor's own allow-listed ones.
    pub environment: Vec<(String, String)>,
    /// What it may do: applied before its first line of code runs.
    pub policy: Policy,
}

/// How a guest is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Termination {
    /// SIGTERM to its process group: it may clean up.
    Ask,
    /// SIGKILL to its whole tree.
    Kill,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(out, "signal {number} ({name})"),
                None => write!(out, "signal {number}"),
            },
        }
    }
}

/// The names of the signals that end processes, as people know them.
const fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// The end of a guest's process, as the root learns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The supervisor reaped it.
    Exited(Status),
    /// It never ran: the supervisor could not start it, for this reason.
    NotStarted(String),
    /// The supervisor itself died, and its guests with it.
    SupervisorLost,
}

/// A named stretch of time in the supervisor's own start, in seconds of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// What took the time.
    pub name: String,
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// What the root says.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one message; the large one is the common one"
)]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// First of all; with a pidfd of the root, so that no process number has to be trusted.
    Root { version: u16 },
    /// Start a guest; with its lane, stdout and stderr.
    Spawn(SpawnRequest),
    /// End a guest.
    End { id: u64, how: Termination },
    /// End everything, yourself included.
    Stop,
}

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSupervisor {
    /// It is up and takes orders.
    Up { version: u16, spans: Vec<Span> },
    /// A guest's process exists; with a pidfd of it.
    Spawned { id: u64, pid: i32 },
    /// A guest could not be started.
    NotStarted { id: u64, reason: String },
    /// What a guest with a list of hosts was refused, for the first time, and why.
    Refused { id: u64, what: String },
    /// A guest ended and was reaped.
    Exited { id: u64, status: Status },
}

/// Bytes of one message, checked for their length.
pub(crate) fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, SupervisorError> {
    let bytes = rmp_serde::to_vec(message)
        .map_err(|source| SupervisorError::Encode { reason: source.to_string() })?;
    if bytes.len() > LONGEST {
        return Err(SupervisorError::TooLong { length: bytes.len(), longest: LONGEST });
    }
    Ok(bytes)
}

/// Sends one message's bytes with its descriptors, as one packet.
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::INVAL);
    }
    let parts = [IoSlice::new(bytes)];
    loop {
        match sendmsg(&socket, &parts, &mut control, flags | SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a read of the socket gave.
pub(crate) enum Received<M> {
    /// A message and its descriptors.
    Message(M, Vec<OwnedFd>),
    /// Nothing yet.
    Nothing,
    /// The other end is gone.
    Closed,
}

/// How long is waited where the kernel is short of something, before it is asked again.
pub(super) const BREATH: Duration = Duration::from_millis(10);

/// What the kernel says when it, or this process, has no more of something; what was asked for may be had later.
pub(crate) const fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::NOMEM | Errno::NOBUFS | Errno::TOOMANYREFS | Errno::MFILE | Errno::NFILE)
}

/// Takes one message off the socket without waiting. `buffer` is the caller's, at least [`LONGEST`] bytes.
///
/// A process that has no descriptor free gets the message without those that belong to it: how many there should be
/// is for the caller to know, and their lack is no fault of the other end.
pub(crate) fn receive<M: DeserializeOwned>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> Result<Received<M>, SupervisorError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let answer = recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, flags);
    let message = match answer {
        Ok(message) => message,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
        Err(error) if is_shortage(error) => {
            // The message stays where it is, and would be looked at again at once.
            std::thread::sleep(BREATH);
            return Ok(Received::Nothing);
        }
        Err(Errno::CONNRESET) => return Ok(Received::Closed),
        Err(source) => return Err(SupervisorError::Link { doing: "read", source }),
    };
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if message.bytes == 0 {
        return Ok(Received::Closed);
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(SupervisorError::Decode { reason: "the message was cut off".to_owned() });
    }
    let value = rmp_serde::from_slice(&buffer[..message.bytes])
        .map_err(|source| SupervisorError::Decode { reason: source.to_string() })?;
    Ok(Received::Message(value, descriptors))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};

    use super::{
        FromSupervisor, LONGEST, Received, Span, Status, ToSupervisor, encode, receive, send,
    };

    fn pair() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_message_crosses_with_its_descriptors() {
        let (left, right) = pair();
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        let bytes = encode(&ToSupervisor::Root { version: 7 }).unwrap();
        send(&left, &bytes, &[writing.as_fd()], SendFlags::empty()).unwrap();
        drop(writing);
        let mut buffer = vec![0; LONGEST];
        let Received::Message(ToSupervisor::Root { version: 7 }, descriptors) =
            receive(&right, &mut buffer).unwrap()
        else {
            panic!("another message came out");
        };
        assert_eq!(descriptors.len(), 1);
        rustix::io::write(&descriptors[0], b"x").unwrap();
        let mut byte = [0; 1];
        assert_eq!(rustix::io::read(&reading, &mut byte).unwrap(), 1);
    }

    #[test]
    fn garbage_is_refused_and_an_end_is_told() {
        let (left, right) = pair();
        let mut buffer = vec![0; LONGEST];
        assert!(matches!(
            receive::<FromSupervisor>(&right, &mut buffer).unwrap(),
            Received::Nothing
        ));
        send(&left, &[0xc1, 0xff], &[], SendFlags::empty()).unwrap();
        assert!(receive::<FromSupervisor>(&right, &mut buffer).is_err());
        drop(left);
        assert!(matches!(
            receive::<FromSupervisor>(&right, &mut buffer).unwrap(),
            Received::Closed
        ));
    }

    #[test]
    fn a_message_that_no_packet_holds_is_refused_before_it_is_sent() {
        let spans =
            (0..LONGEST).map(|_| Span { name: String::new(), start: 0.0, end: 0.0 }).collect();
        assert!(encode(&FromSupervisor::Up { version: 1, spans }).is_err());
    }

    #[test]
    fn a_status_reads_as_people_say_it() {
        assert_eq!(Status::Code(3).to_string(), "exit code 3");
        assert_eq!(Status::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Status::Signal(40).to_string(), "signal 40");
    }
}
