//! The lane's socket as a started process inherits it: a descriptor's number, made into an owned descriptor once.
#![expect(unsafe_code, reason = "an inherited descriptor is known by its number alone")]

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use crate::error::IpcError;

/// The environment variable that holds the descriptor number of a started guest's lane.
pub const LANE_VARIABLE: &str = "SYMPHONY_LANE";

/// Numbers that were taken: each may have one owner only.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Takes ownership of an inherited stream socket by its number; a number is given out once in a process's life.
/// The descriptor is closed in children that this process starts.
///
/// # Errors
/// [`IpcError`] when the number is no open stream socket, or was taken before.
pub fn inherited(number: RawFd) -> Result<OwnedFd, IpcError> {
    let failed = |error: Errno| IpcError::new("use the inherited lane", error);
    if number < 0 {
        return Err(failed(Errno::BADF));
    }
    // SAFETY: the borrow ends with this function, and a number that is not open makes the calls below fail with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    if socket_type(borrowed).map_err(failed)? != SocketType::STREAM {
        return Err(failed(Errno::PROTOTYPE));
    }
    let flags = rustix::io::fcntl_getfd(borrowed).map_err(failed)?;
    if !TAKEN.lock().insert(number) {
        return Err(failed(Errno::BUSY));
    }
    rustix::io::fcntl_setfd(borrowed, flags | rustix::io::FdFlags::CLOEXEC).map_err(failed)?;
    // SAFETY: the process that started this one put an open socket there for it, nothing in this process made it, and
    // `TAKEN` gives the number to one owner only.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
