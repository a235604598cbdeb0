//! A fault at the n-th call of the file layer, in tests.
//!
//! One plan for the whole process, so a test with a plan runs in a process of its own (see [`crate::fault_table`]). Without a
//! plan a call is only counted. What is appended may also be refused for one thread alone, in the tests' own process.

use std::cell::Cell;
use std::io;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Open,
    Write,
    Flush,
    Rename,
    Remove,
    Truncate,
    MakeFolder,
    Read,
    /// Whichever came, where only its number is known.
    Any,
}

impl Call {
    pub(crate) const ALL: [Self; 9] = [
        Self::Open,
        Self::Write,
        Self::Flush,
        Self::Rename,
        Self::Remove,
        Self::Truncate,
        Self::MakeFolder,
        Self::Read,
        Self::Any,
    ];
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The disk cannot.
    Io,
    /// The disk has no room; half of what is written may have found some.
    NoSpace,
    /// The process has no descriptor left.
    NoDescriptor,
    /// The process is killed, where half of what is written may be there.
    Kill,
    /// The call takes long.
    Late(Duration),
}

impl Fault {
    /// Whether a call of this kind can meet it.
    pub(crate) fn meets(self, call: Call) -> bool {
        match self {
            Self::Io | Self::Kill | Self::Late(_) => true,
            Self::NoSpace => {
                !matches!(call, Call::Read | Call::Flush | Call::Truncate | Call::Remove)
            }
            Self::NoDescriptor => call == Call::Open,
        }
    }
}

/// A fault and where it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultAt {
    pub(crate) fault: Fault,
    /// The number of the call, from 0.
    pub(crate) number: u64,
    /// At every call from there on that can meet it, or at that one alone.
    pub(crate) lasting: bool,
}

struct Plan {
    planned: Option<FaultAt>,
    struck: Option<Call>,
    seen: u64,
}

static PLAN: Mutex<Plan> = Mutex::new(Plan { planned: None, struck: None, seen: 0 });

/// Begins to count anew, with that fault or none.
pub(crate) fn plan(planned: Option<FaultAt>) {
    *PLAN.lock() = Plan { planned, struck: None, seen: 0 };
}

/// Nothing more happens; answers the call that was struck first.
pub(crate) fn end() -> Option<Call> {
    let mut plan = PLAN.lock();
    plan.planned = None;
    plan.struck.take()
}

/// How many calls there were since the last plan.
pub(crate) fn seen() -> u64 {
    PLAN.lock().seen
}

/// The call that was struck first.
pub(crate) fn struck() -> Option<Call> {
    PLAN.lock().struck
}

thread_local! {
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// The next so many writes of this thread at an offset, as of records and small blobs, find a full disk.
pub(crate) fn fill_disk(writes: u32) {
    REFUSED.set(writes);
}

pub(super) fn meet_full_disk() -> io::Result<()> {
    match REFUSED.get().checked_sub(1) {
        None => Ok(()),
        Some(left) => {
            REFUSED.set(left);
            Err(Errno::NOSPC.into())
        }
    }
}

fn strikes(call: Call) -> Option<Fault> {
    let mut plan = PLAN.lock();
    let number = plan.seen;
    plan.seen += 1;
    let FaultAt { fault, number: at, lasting } = plan.planned?;
    let strikes = (number == at || lasting && number > at) && fault.meets(call);
    if strikes {
        plan.struck.get_or_insert(call);
    }
    strikes.then_some(fault)
}

pub(super) fn meet(call: Call) -> io::Result<()> {
    strikes(call).map_or(Ok(()), happen)
}

/// Before a write: a fault leaves half of it behind.
pub(super) fn meet_write(
    data: &[u8],
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let Some(fault) = strikes(Call::Write) else { return Ok(()) };
    if matches!(fault, Fault::NoSpace | Fault::Kill) {
        write(&data[..data.len() / 2])?;
    }
    happen(fault)
}

fn happen(fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Io => Err(Errno::IO.into()),
        Fault::NoSpace => Err(Errno::NOSPC.into()),
        Fault::NoDescriptor => Err(Errno::MFILE.into()),
        Fault::Kill => {
            kill_process(getpid(), Signal::KILL)?;
            loop {
                thread::park();
            }
        }
        Fault::Late(span) => {
            thread::sleep(span);
            Ok(())
        }
    }
}
