//! Ending whole trees of processes.
//!
//! Called by [`super::server`], and in a server's bridge: both rely on being a subreaper, to which every escaped descendant comes back.
//! Invariant: a number is signalled only while it is a descendant that nobody has reaped, so it cannot be a stranger's.

use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getsid, kill_process, kill_process_group, wait,
};

use super::marks;

/// The direct children of a process, of all its threads.
pub(super) fn children(of: Pid) -> Vec<Pid> {
    let listed = threads(of).map(|thread| std::fs::read_to_string(thread.join("children")));
    let mut found = Vec::new();
    for list in listed {
        match list {
            Ok(list) => found.extend(
                list.split_ascii_whitespace()
                    .filter_map(|number| Pid::from_raw(number.parse().ok()?)),
            ),
            // Some kernels are built without that file.
            Err(_) => return children_by_parent(of),
        }
    }
    found
}

fn threads(of: Pid) -> impl Iterator<Item = std::path::PathBuf> {
    std::fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
}

/// The same, found by asking every process for its parent.
fn children_by_parent(of: Pid) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|pid| parent(*pid) == Some(of))
        .collect()
}

fn parent(of: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything, so the fields are counted from its end.
    let fields = &stat[stat.rfind(')')? + 1..];
    Pid::from_raw(fields.split_ascii_whitespace().nth(1)?.parse().ok()?)
}

/// Every descendant of a process, parents before their children.
fn descendants(of: Pid) -> Vec<Pid> {
    let mut found = children(of);
    let mut next = 0;
    while next < found.len() {
        for child in children(found[next]) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// Sends SIGKILL to a child of this process, its process group and all its descendants. It is left to be reaped.
pub(super) fn kill_tree(child: Pid) {
    // Listed first: what loses its parent comes to this process and is not under `child` any more.
    let below = descendants(child);
    // A refused signal means that it is gone already, which is what was wanted.
    let _ = kill_process_group(child, Signal::KILL);
    let _ = kill_process(child, Signal::KILL);
    for process in below {
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Kills what a child that is dead but not reaped has left: its process group, and of what came back here whatever is of its
/// session or has its mark.
pub(super) fn kill_rest(child: Pid, mark: u64) {
    let _ = kill_process_group(child, Signal::KILL);
    for orphan in children(getpid()) {
        let is_its = || getsid(Some(orphan)) == Ok(child) || marks::of(orphan) == Some(mark);
        if orphan != child && is_its() {
            kill_tree(orphan);
        }
    }
}

/// Kills every descendant of this process and reaps until none is left or `limit` is over.
///
/// Returns whether none is left.
pub fn end_below(limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        for child in children(getpid()) {
            kill_tree(child);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break,
                Err(_) => return true,
            }
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
