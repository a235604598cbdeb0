//! Closing what a process inherited and did not ask for.
//!
//! Called in the supervisor when it starts and in a guest between its fork and its first line of code. Invariant:
//! nothing is closed that a value of this program still owns.
#![expect(unsafe_code, reason = "a descriptor that no value owns can only be closed by its number")]

use std::os::fd::RawFd;

/// Closes every descriptor above stderr but those in `keep`.
///
/// The caller must be alone (one thread) and must own no other descriptor than those it keeps: both callers have just
/// started or just forked and gave up everything else.
///
/// # Errors
/// When the list of open descriptors cannot be read.
pub(super) fn close_all_but(keep: &[RawFd]) -> std::io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in open {
        if number <= 2 || keep.contains(&number) {
            continue;
        }
        // The folder that was just read is in its own list, and closed by now.
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok() {
            // SAFETY: it is open, the caller states that no value of this program owns it, and no other thread is there
            // to close it in between.
            unsafe { rustix::io::close(number) };
        }
    }
    Ok(())
}
