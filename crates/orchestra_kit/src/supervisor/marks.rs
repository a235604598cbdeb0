//! The mark by which whatever a guest started is known, wherever it went.
//!
//! A guest leads a session, and what it starts may leave that, lose its parent and its variables. What no process loses is its
//! hard limits. The one of file locks has had no effect since Linux 2.4.25: it holds the number of the guest's order, which no
//! other process of the machine has, and the guest's filter refuses to change it. Put on by [`super::start`], looked for by
//! [`super::tree`] in the supervisor, and by [`super::client`] in the root when a supervisor has died. Invariant: what has the
//! mark of a guest was started by it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, setrlimit,
};

/// How long a dead supervisor's guests may go on starting what is killed.
const ENOUGH: Duration = Duration::from_millis(250);
/// What the kernel calls the limit.
const LIMIT: &str = "Max file locks";

/// The number of this process's first order: those of other roots on the machine lie elsewhere.
pub(super) fn first() -> u64 {
    // Lower than any of those limits that somebody may have set, "none" above all, and with room for all orders.
    let random = RandomState::new().hash_one(std::process::id());
    ((random >> 1) & !0xffff_ffff) | 1
}

/// Marks the calling process and all that it will start.
pub(super) fn put(mark: u64) {
    // Refused inside of a guest that runs a system of its own: what is started there has that guest's mark.
    let _ = setrlimit(Resource::Locks, Rlimit { current: Some(mark), maximum: Some(mark) });
}

/// The mark of a process, where it has one.
pub(super) fn of(process: Pid) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(LIMIT))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Kills every process of the machine that has one of these marks, until none is found or it was enough.
pub(super) fn end_all(marks: &[u64]) {
    if marks.is_empty() {
        return;
    }
    let until = Instant::now() + ENOUGH;
    let has_one = |process: Pid| of(process).is_some_and(|mark| marks.contains(&mark));
    loop {
        let mut found = false;
        for process in processes().filter(|process| has_one(*process)) {
            // Held before it is looked at for good: its number may have become another's.
            let Ok(held) = pidfd_open(process, PidfdFlags::empty()) else { continue };
            if has_one(process) {
                found = true;
                // Gone already is as good.
                let _ = pidfd_send_signal(&held, Signal::KILL);
            }
        }
        if !found || Instant::now() >= until {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
}
