//! One guest's connects: taken, held against its list, made, answered.
//!
//! Owned by [`super::broker`], which knows when to look. Invariants: each call is answered at most once, and one that is not
//! waited for any more holds nothing; no call here waits for anything.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, socket_domain, socket_protocol, socket_timeout, socket_type};
use rustix::net::{AddressFamily, SocketType, connect, connect_unspec, ipproto};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::address::Target;
use super::names::{Names, Question, Verdict};
use crate::manifest::Host;
use crate::sandbox::{ADDRESS, Connect, Listener};

/// A lookup is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many different addresses that were refused are told, once each.
const TOLD: usize = 32;

/// Where one guest's calls arrive, and its list.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) listener: Listener,
    guest: u64,
    hosts: Vec<Host>,
    told: BTreeSet<SocketAddr>,
    /// Whether the kernel names single threads by descriptors (Linux 6.9).
    names_threads: bool,
    /// What the call of a thread came to that a signal had taken out of it just before.
    untold: Option<Untold>,
}

/// An outcome that nobody waited for any more. Where the call begins again by itself, the socket says what it has become since.
#[derive(Debug)]
struct Untold {
    thread: i32,
    socket: RawFd,
    to: SocketAddr,
    outcome: Result<(), Errno>,
}

/// What became of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was answered, or nobody waits for it.
    Done,
    /// It was refused, which its guest's people are told once.
    Told(String),
    /// Its connection is under way, and the caller waits for it.
    UnderWay(Connecting),
    /// It waits for these answers.
    Asks(Asking, Vec<Question>),
}

/// A connection that is under way, of a caller that waits for it.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) call: Connect,
    pub(super) socket: OwnedFd,
    to: SocketAddr,
    /// Until when its socket lets it wait.
    pub(super) until: Option<Instant>,
}

/// A call that waits for a lookup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) call: Connect,
    to: SocketAddr,
    since: Instant,
}

impl Asking {
    /// Whether it has waited long enough.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }
}

impl Gate {
    pub(super) const fn new(listener: Listener, guest: u64, hosts: Vec<Host>) -> Self {
        Self { listener, guest, hosts, told: BTreeSet::new(), names_threads: true, untold: None }
    }

    /// Takes one call.
    ///
    /// # Errors
    /// When the listener has none to give, for good.
    pub(super) fn take(&mut self, names: &mut Names) -> std::io::Result<Outcome> {
        let Some(call) = self.listener.next()? else { return Ok(Outcome::Done) };
        let mut bytes = [0; ADDRESS];
        let target = call.address(&mut bytes).and_then(|length| Target::read(&bytes, length));
        // What was read was the caller's only if it still waits.
        if !self.listener.is_waiting(&call) {
            return Ok(Outcome::Done);
        }
        Ok(match target {
            Ok(Target::Internet(to)) => {
                self.decide(Asking { call, to, since: Instant::now() }, names)
            }
            Ok(Target::Nothing) => {
                let outcome = self.socket(&call).and_then(connect_unspec);
                self.end(&call, outcome)
            }
            Ok(Target::Other) => self.end(&call, Err(Errno::PERM)),
            Err(error) => self.end(&call, Err(error)),
        })
    }

    /// Makes the connection, refuses it, or says what has to be known first.
    pub(super) fn decide(&mut self, asking: Asking, names: &mut Names) -> Outcome {
        match names.decide(self.guest, &self.hosts, asking.to, asking.since) {
            Verdict::Allowed => self.connect(asking.call, asking.to),
            Verdict::Refused => self.refuse(&asking, "`network` in its manifest does not list it"),
            Verdict::Unknown(questions) => Outcome::Asks(asking, questions),
        }
    }

    fn refuse(&mut self, asking: &Asking, why: &str) -> Outcome {
        self.listener.answer(&asking.call, Err(Errno::PERM));
        let to = asking.to;
        if self.told.len() >= TOLD || !self.told.insert(to) {
            return Outcome::Done;
        }
        Outcome::Told(format!("no connect to {to}: {why}"))
    }

    /// Refuses a call for which nobody could say whether it is listed.
    pub(super) fn give_up(&mut self, asking: &Asking) -> Outcome {
        let limit = PATIENCE.as_secs();
        let why = format!(
            "whether `network` in its manifest lists it was not learned from this machine's resolver within {limit} s"
        );
        self.refuse(asking, &why)
    }

    /// Goes on with a call whose socket has something to say. Connecting once more ends it as a blocking call ends: with the
    /// socket's error, or connected.
    pub(super) fn finish(&mut self, connecting: Connecting) -> Outcome {
        if !self.listener.is_waiting(&connecting.call) {
            return Outcome::Done;
        }
        let flags = fcntl_getfl(&connecting.socket).unwrap_or(OFlags::NONBLOCK);
        self.follow(connecting, flags)
    }

    fn end(&self, call: &Connect, outcome: Result<(), Errno>) -> Outcome {
        self.listener.answer(call, outcome);
        Outcome::Done
    }

    fn connect(&mut self, call: Connect, to: SocketAddr) -> Outcome {
        let socket = match self.socket(&call) {
            Ok(socket) => socket,
            Err(error) => return self.end(&call, Err(error)),
        };
        let flags = match fcntl_getfl(&socket) {
            Ok(flags) => flags,
            Err(error) => return self.end(&call, Err(error)),
        };
        if flags.contains(OFlags::NONBLOCK) {
            let outcome = match connect(&socket, &to) {
                // Interrupted, so it waited: the flag was taken away meanwhile.
                Err(Errno::INTR) => Err(Errno::INPROGRESS),
                outcome => outcome,
            };
            return self.tell(&call, to, outcome);
        }
        let limit = socket_timeout(&socket, Timeout::Send).unwrap_or_default();
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.follow(Connecting { call, socket, to, until }, flags)
    }

    /// Begins, or goes on, where the caller waits for the end.
    fn follow(&mut self, connecting: Connecting, flags: OFlags) -> Outcome {
        let Connecting { call, socket, to, .. } = &connecting;
        // The flag is the socket's, whoever holds it: it is there for as long as the call takes.
        let outcome = fcntl_setfl(socket, flags | OFlags::NONBLOCK).and_then(|()| {
            let outcome = connect(socket, to);
            fcntl_setfl(socket, flags).and(outcome)
        });
        match outcome {
            // Under way; also for a call that a signal interrupted and that comes again, and where the flag was taken away
            // between the two, which the alarm ended.
            Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => Outcome::UnderWay(connecting),
            outcome => self.tell(call, *to, outcome),
        }
    }

    /// Answers a call for which a connection was begun.
    fn tell(&mut self, call: &Connect, to: SocketAddr, outcome: Result<(), Errno>) -> Outcome {
        let is_its = |untold: &mut Untold| {
            (untold.thread, untold.socket, untold.to) == (call.thread, call.socket, to)
        };
        let outcome = match (outcome, self.untold.take_if(is_its)) {
            (Err(Errno::ISCONN | Errno::ALREADY), Some(untold)) => untold.outcome,
            (outcome, _) => outcome,
        };
        if !self.listener.answer(call, outcome) {
            let Connect { thread, socket, .. } = *call;
            self.untold = Some(Untold { thread, socket, to, outcome });
        }
        Outcome::Done
    }

    /// The caller's socket, if it is one for TCP and its caller still waits.
    fn socket(&mut self, call: &Connect) -> Result<OwnedFd, Errno> {
        let process = self.process(call.thread)?;
        let socket = match pidfd_getfd(process, call.socket, PidfdGetfdFlags::empty()) {
            // What this process lacks is no fault of the caller's descriptors.
            Err(Errno::MFILE | Errno::NFILE) => return Err(Errno::NOBUFS),
            socket => socket?,
        };
        if !self.listener.is_waiting(call) {
            return Err(Errno::INTR);
        }
        let internet =
            matches!(socket_domain(&socket)?, AddressFamily::INET | AddressFamily::INET6);
        let stream = socket_type(&socket)? == SocketType::STREAM;
        if internet && stream && socket_protocol(&socket)? == Some(ipproto::TCP) {
            return Ok(socket);
        }
        Err(Errno::PERM)
    }

    fn process(&mut self, thread: i32) -> Result<OwnedFd, Errno> {
        let thread = Pid::from_raw(thread).ok_or(Errno::PERM)?;
        if self.names_threads {
            let of_thread = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
            match pidfd_open(thread, of_thread) {
                Err(Errno::INVAL) => self.names_threads = false,
                process => return process,
            }
        }
        // Its process has the same descriptors, unless somebody took pains that it has not.
        let status = std::fs::read_to_string(format!("/proc/{thread}/status"));
        let status = status.map_err(|_| Errno::SRCH)?;
        let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        let leader = line.and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
        pidfd_open(leader.ok_or(Errno::SRCH)?, PidfdFlags::empty())
    }
}
