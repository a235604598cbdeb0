//! The supervisor's side: what its one thread waits for and does.
//!
//! Driven from outside, because the fork itself belongs to the interpreter: [`Server::next_order`] gives an order, its caller forks,
//! the child calls [`Server::prepare_child`], the parent [`Server::spawned`]. Everything else (ends, signals, the
//! root's death) happens inside it. Invariants: no thread is ever started here; when it says
//! [`Order::Exit`], no descendant is left.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::SendFlags;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process,
    kill_process_group, pidfd_open, set_child_subreaper, setrlimit, setsid, waitpid,
};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};

use super::connects::{self, Broker};
use super::own_process::refused;
use super::protocol::{
    BREATH, FromSupervisor, LONGEST, Program, Received, Span, SpawnRequest, Status, Termination,
    ToSupervisor, VERSION, encode, is_shortage, receive, send,
};
use super::start::{Prepared, Start, nothing, prepare_resolver};
use super::{descriptors, marks, tree};
use crate::error::SupervisorError;
use crate::manifest::Network;
use crate::sandbox::Interpreter;

/// How long the tree may take to die once it was killed.
const END: Duration = Duration::from_millis(200);

/// The number of the process that looks names up; those of guests begin above it.
pub const RESOLVER: u64 = 0;

/// How long the root may take to say its first word.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// How often escaped and dead grandchildren are reaped while nothing else happens. They cost a table entry each,
/// nothing more, and no descriptor tells of them.
const REAP: Duration = Duration::from_secs(2);

/// What the interpreter has to do next.
#[derive(Debug)]
pub enum Order {
    /// Fork, and run a Python entry in the child.
    Fork(Start),
    /// Fork, and execute a program in the child.
    Exec(Start),
    /// Fork, and look names up in the child, over this link.
    Resolver(OwnedFd),
    /// Leave: nothing is left to look after.
    Exit,
}

/// A guest that runs.
#[derive(Debug)]
struct Guest {
    pid: Pid,
    process: OwnedFd,
}

/// The three that connect to the root. Only its pidfd tells its death for sure: a forked child of the root keeps
/// the socket and the pipe open.
#[derive(Debug)]
struct Links {
    control: OwnedFd,
    lifeline: OwnedFd,
    root: OwnedFd,
}

/// The supervisor's loop and what it knows.
#[derive(Debug)]
pub struct Server {
    links: Option<Links>,
    guests: BTreeMap<u64, Guest>,
    orders: VecDeque<Order>,
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    buffer: Vec<u8>,
    /// The limit of open files that this process was given, and guests get.
    given: Rlimit,
    /// What this process's interpreter reads, and so every guest that is forked from it.
    interpreter: Interpreter,
    /// What makes the connects of guests with a list of hosts.
    broker: Broker,
    /// The supervisor's own number. In a child it is that of its parent, also when that is gone.
    own: i32,
}

impl Server {
    /// Takes the control socket from stdin and the lifeline from stdout, where the root put them, and closes
    /// everything else that was inherited. To be called first, by the only thread.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn inherited() -> Result<Self, SupervisorError> {
        // From 3 up, so that nothing that is done to the standard streams later touches them.
        let control = fcntl_dupfd_cloexec(stdin(), 3).map_err(refused("take the socket"))?;
        let lifeline = fcntl_dupfd_cloexec(stdout(), 3).map_err(refused("take the lifeline"))?;
        dup2_stdin(nothing()?).map_err(refused("close stdin"))?;
        // Otherwise a `print` would write into the lifeline.
        dup2_stdout(stderr()).map_err(refused("redirect stdout"))?;
        descriptors::close_all_but(&[control.as_raw_fd(), lifeline.as_raw_fd()])
            .map_err(|source| SupervisorError::Descriptors { source })?;
        Self::new(control, lifeline)
    }

    /// Makes this process the supervisor: its own session, and the parent of every orphan below it.
    ///
    /// # Errors
    /// When the kernel refuses one of these, or the root's first message is missing or of another version.
    pub fn new(control: OwnedFd, lifeline: OwnedFd) -> Result<Self, SupervisorError> {
        set_child_subreaper(Some(getpid())).map_err(refused("become a subreaper"))?;
        match setsid() {
            // Refused to the leader of a group, whose own session it is already where it matters.
            Ok(_) | Err(Errno::PERM) => {}
            Err(source) => return Err(SupervisorError::Link { doing: "start a session", source }),
        }
        let mut buffer = vec![0; LONGEST];
        let root = first_word(&control, &lifeline, &mut buffer)?;
        Ok(Self {
            links: Some(Links { control, lifeline, root }),
            guests: BTreeMap::new(),
            orders: VecDeque::new(),
            outbox: VecDeque::new(),
            buffer,
            given: raise_limit(),
            interpreter: Interpreter::default(),
            broker: Broker::default(),
            own: getpid().as_raw_nonzero().get(),
        })
    }

    /// Says what the interpreter that guests are forked from has to read.
    pub fn interpreter(&mut self, interpreter: Interpreter) {
        self.interpreter = interpreter;
    }

    /// Tells the root that orders are taken, and where the time of this start went.
    ///
    /// # Errors
    /// When the message is too long.
    pub fn up(&mut self, spans: Vec<Span>) -> Result<(), SupervisorError> {
        self.tell(&FromSupervisor::Up { version: VERSION, spans }, None)
    }

    /// Waits for the next thing that only the interpreter can do.
    ///
    /// # Errors
    /// When the root sends what is no message, or the kernel refuses to wait. The tree is ended before it returns.
    pub fn next_order(&mut self) -> Result<Order, SupervisorError> {
        loop {
            if let Some(order) = self.orders.pop_front() {
                return Ok(order);
            }
            match self.turn() {
                Ok(true) => {
                    self.orders.extend(self.broker.wants_resolver().map(Order::Resolver));
                }
                Ok(false) => {
                    tree::end_below(END);
                    return Ok(Order::Exit);
                }
                Err(error) => {
                    tree::end_below(END);
                    return Err(error);
                }
            }
        }
    }

    /// Tells that the child of an order exists. To be called by its parent, before the next order is asked for.
    ///
    /// A process that cannot be held by a descriptor is ended, and told as not started.
    ///
    /// # Errors
    /// When the message is too long.
    pub fn spawned(&mut self, id: u64, pid: i32) -> Result<(), SupervisorError> {
        if id == RESOLVER {
            // Its link tells of its end.
            return Ok(());
        }
        let process = Pid::from_raw(pid).ok_or(Errno::SRCH).and_then(|pid| {
            let process = pidfd_open(pid, PidfdFlags::empty())?;
            // The copy is for the root, which waits for the guest's end without asking here.
            Ok((pid, fcntl_dupfd_cloexec(&process, 3)?, process))
        });
        let (pid, copy, process) = match process {
            Ok(held) => held,
            Err(error) => {
                if let Some(pid) = Pid::from_raw(pid) {
                    // Not reaped by anybody yet, so the number is still its own.
                    tree::kill_tree(pid);
                    let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                }
                return self.not_started(id, &format!("the supervisor cannot hold it: {error}"));
            }
        };
        self.guests.insert(id, Guest { pid, process });
        self.tell(&FromSupervisor::Spawned { id, pid: pid.as_raw_nonzero().get() }, Some(copy))
    }

    /// Tells that the child of an order could not be made.
    ///
    /// # Errors
    /// When the message is too long.
    pub fn not_started(&mut self, id: u64, reason: &str) -> Result<(), SupervisorError> {
        if id == RESOLVER {
            self.broker.lose_resolver();
            return Ok(());
        }
        let reason = reason.chars().take(1000).collect();
        self.tell(&FromSupervisor::NotStarted { id, reason }, None)
    }

    /// Turns a fresh fork of this process into a guest: gives up everything of the supervisor's, then as
    /// [`Start::prepare`].
    ///
    /// # Errors
    /// As [`Start::prepare`].
    pub fn prepare_child(&mut self, start: Start) -> Result<Prepared, SupervisorError> {
        self.give_up()?;
        start.prepare(&self.interpreter)
    }

    /// Turns a fresh fork of this process into the one that looks names up; [`super::resolve`] follows.
    ///
    /// # Errors
    /// When the supervisor is gone already or the kernel refuses a step. The caller must exit then.
    pub fn prepare_resolver(&mut self, link: &OwnedFd) -> Result<(), SupervisorError> {
        let supervisor = self.own;
        self.give_up()?;
        prepare_resolver(link, supervisor)
    }

    /// In a child: nothing of it is the supervisor's.
    fn give_up(&mut self) -> Result<(), SupervisorError> {
        self.links = None;
        self.guests.clear();
        self.orders.clear();
        self.outbox.clear();
        self.broker = Broker::default();
        connects::give_back();
        setrlimit(Resource::Nofile, self.given).map_err(refused("give the limit back"))
    }

    /// Waits once and handles what came. False: it is over.
    fn turn(&mut self) -> Result<bool, SupervisorError> {
        let Some(links) = &self.links else { return Ok(false) };
        let mut control = PollFlags::IN;
        if !self.outbox.is_empty() {
            control |= PollFlags::OUT;
        }
        let mut watched = vec![
            PollFd::new(&links.control, control),
            PollFd::new(&links.lifeline, PollFlags::IN),
            PollFd::new(&links.root, PollFlags::IN),
        ];
        watched
            .extend(self.guests.values().map(|guest| PollFd::new(&guest.process, PollFlags::IN)));
        // Last, behind what is counted by guests.
        watched.extend(
            self.broker
                .descriptor()
                .map(|connects| PollFd::from_borrowed_fd(connects, PollFlags::IN)),
        );
        let patience = [(!self.guests.is_empty()).then_some(REAP), self.broker.patience()];
        let patience = patience.into_iter().flatten().min();
        let tick = patience.and_then(|patience| Timespec::try_from(patience).ok());
        // An interrupt is a child's death where the interpreter listens for it.
        let idle = match poll(&mut watched, tick.as_ref()) {
            Ok(count) => count == 0,
            Err(Errno::INTR) => true,
            Err(error) if is_shortage(error) => {
                std::thread::sleep(BREATH);
                return Ok(true);
            }
            Err(source) => return Err(SupervisorError::Link { doing: "wait", source }),
        };
        if !watched[1].revents().is_empty() || !watched[2].revents().is_empty() {
            return Ok(false);
        }
        let spoken = !watched[0].revents().is_empty();
        let ended: Vec<u64> = (self.guests.keys().zip(&watched[3..]))
            .filter_map(|(id, process)| (!process.revents().is_empty()).then_some(*id))
            .collect();
        for id in &ended {
            self.reap(*id)?;
        }
        if idle || !ended.is_empty() {
            self.reap_orphans();
        }
        self.connects()?;
        self.flush()?;
        if spoken { self.listen() } else { Ok(true) }
    }

    /// Makes the connects that guests wait for.
    fn connects(&mut self) -> Result<(), SupervisorError> {
        for (id, what) in self.broker.turn() {
            self.tell(&FromSupervisor::Refused { id, what }, None)?;
        }
        Ok(())
    }

    /// Takes every waiting message. False: the root said stop, or is gone.
    fn listen(&mut self) -> Result<bool, SupervisorError> {
        loop {
            let Some(links) = &self.links else { return Ok(false) };
            let (message, descriptors) = match receive(&links.control, &mut self.buffer)? {
                Received::Message(message, descriptors) => (message, descriptors),
                Received::Nothing => return Ok(true),
                Received::Closed => return Ok(false),
            };
            match message {
                ToSupervisor::Spawn(request) => {
                    let id = request.id;
                    match self.order(request, descriptors) {
                        Ok(order) => self.orders.push_back(order),
                        Err(why) => self.not_started(
                            id,
                            &format!("the supervisor has no descriptors free for it: {why}"),
                        )?,
                    }
                }
                ToSupervisor::End { id, how } => self.end(id, how),
                ToSupervisor::Stop => return Ok(false),
                ToSupervisor::Root { .. } => {
                    return Err(SupervisorError::Decode { reason: "a second greeting".to_owned() });
                }
            }
        }
    }

    /// What to do for a request; where its descriptors did not all find room in this process, how many did.
    fn order(
        &mut self,
        request: SpawnRequest,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<Order, String> {
        let is_server = matches!(request.program, Program::Server { .. });
        let came = |descriptors: &Vec<OwnedFd>| format!("{} came", descriptors.len());
        if is_server && descriptors.len() != 4 {
            // Without the fourth it would keep nothing across a restart, and nobody would know.
            return Err(came(&descriptors));
        }
        let kept = if is_server { descriptors.pop() } else { None };
        let [lane, stdout, stderr]: [OwnedFd; 3] =
            descriptors.try_into().map_err(|got| came(&got))?;
        let handover = match &request.policy.network {
            Network::Hosts(hosts) => {
                let handover = self.broker.expect(request.id, hosts);
                Some(handover.map_err(|error| error.to_string())?)
            }
            Network::Refused | Network::All => None,
        };
        let python = matches!(request.program, Program::Python { .. });
        let supervisor = getpid().as_raw_nonzero().get();
        let start = Start { request, supervisor, lane, stdout, stderr, kept, handover };
        Ok(if python { Order::Fork(start) } else { Order::Exec(start) })
    }

    /// Ends one guest. One that is not there any more has been told, or its order is still waiting.
    fn end(&mut self, id: u64, how: Termination) {
        if let Some(guest) = self.guests.get(&id) {
            match how {
                Termination::Ask => {
                    // Its group exists only once it has called `setsid`.
                    if kill_process_group(guest.pid, Signal::TERM).is_err() {
                        let _ = kill_process(guest.pid, Signal::TERM);
                    }
                }
                Termination::Kill => tree::kill_tree(guest.pid),
            }
            return;
        }
        let waiting = self.orders.iter().position(|order| match order {
            Order::Fork(start) | Order::Exec(start) => start.request.id == id,
            Order::Resolver(_) | Order::Exit => false,
        });
        if let Some(position) = waiting {
            self.orders.remove(position);
            // Cannot be too long.
            let _ = self.not_started(id, "it was ended before it started");
        }
    }

    /// Takes a dead guest out of the process table and tells how it ended.
    fn reap(&mut self, id: u64) -> Result<(), SupervisorError> {
        let Some(guest) = self.guests.get(&id) else { return Ok(()) };
        // While it is not reaped its number is its own, so its group and session can be named by it.
        tree::kill_rest(guest.pid, id);
        let status = match waitpid(Some(guest.pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => status,
            Ok(None) | Err(Errno::INTR) => return Ok(()),
            Err(source) => return Err(SupervisorError::Link { doing: "reap a guest", source }),
        };
        let status = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Status::Code(code),
            (None, Some(number)) => Status::Signal(number),
            (None, None) => return Ok(()),
        };
        self.guests.remove(&id);
        self.tell(&FromSupervisor::Exited { id, status }, None)
    }

    /// Reaps what came back from guests and has died, and kills what lost its guest while it was on its way here.
    fn reap_orphans(&self) {
        // What this process itself was given is no guest's mark: it may run inside of one.
        let own = marks::of(getpid());
        for child in tree::children(getpid()) {
            if !self.guests.values().any(|guest| guest.pid == child) {
                let mark = marks::of(child).filter(|mark| Some(*mark) != own);
                if mark.is_some_and(|mark| !self.guests.contains_key(&mark)) {
                    tree::kill_tree(child);
                }
                // Nothing to be told about it, and what lives and has its guest stays.
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
            }
        }
    }

    /// Sends at once where possible, in order; the rest when the socket has room again.
    fn tell(
        &mut self,
        message: &FromSupervisor,
        process: Option<OwnedFd>,
    ) -> Result<(), SupervisorError> {
        self.outbox.push_back((encode(message)?, process));
        self.flush()
    }

    fn flush(&mut self) -> Result<(), SupervisorError> {
        let Some(links) = &self.links else { return Ok(()) };
        while let Some((bytes, process)) = self.outbox.front() {
            let attached: Vec<_> = process.iter().map(AsFd::as_fd).collect();
            match send(&links.control, bytes, &attached, SendFlags::DONTWAIT) {
                Ok(()) => {
                    self.outbox.pop_front();
                }
                Err(Errno::AGAIN) => return Ok(()),
                // Too many descriptors are under way, or there is no memory: the message waits.
                Err(error) if is_shortage(error) => {
                    std::thread::sleep(BREATH);
                    return Ok(());
                }
                // The root is gone: the next wait sees that and ends the tree.
                Err(Errno::PIPE | Errno::CONNRESET) => {
                    self.outbox.clear();
                    return Ok(());
                }
                Err(source) => return Err(SupervisorError::Link { doing: "answer", source }),
            }
        }
        Ok(())
    }
}

/// Takes as many open files as may be had: each guest costs one here, whatever the root's own limit was meant for.
/// Returns the limit as it was.
fn raise_limit() -> Rlimit {
    let given = getrlimit(Resource::Nofile);
    let most = Rlimit { current: given.maximum, maximum: given.maximum };
    // Refused, it stays as it is: a shortage then costs the start that meets it.
    let _ = setrlimit(Resource::Nofile, most);
    given
}

/// Waits for the root's greeting and takes the pidfd out of it.
fn first_word(
    control: &OwnedFd,
    lifeline: &OwnedFd,
    buffer: &mut [u8],
) -> Result<OwnedFd, SupervisorError> {
    let mut watched = [PollFd::new(control, PollFlags::IN), PollFd::new(lifeline, PollFlags::IN)];
    let limit = Timespec { tv_sec: FIRST_WORD.as_secs().cast_signed(), tv_nsec: 0 };
    rustix::io::retry_on_intr(|| poll(&mut watched, Some(&limit)))
        .map_err(refused("wait for the root"))?;
    match receive(control, buffer)? {
        Received::Message(ToSupervisor::Root { version: VERSION }, mut descriptors) => descriptors
            .pop()
            .ok_or(SupervisorError::Decode { reason: "a greeting without a root".to_owned() }),
        Received::Message(ToSupervisor::Root { version }, _) => {
            Err(SupervisorError::Version { ours: VERSION, theirs: version })
        }
        Received::Message(..) => Err(SupervisorError::Decode {
            reason: "the first message is not a greeting".to_owned(),
        }),
        Received::Nothing | Received::Closed => {
            Err(SupervisorError::Decode { reason: "the root did not greet".to_owned() })
        }
    }
}
