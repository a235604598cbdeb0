//! How a listener gets from a guest to the supervisor.
//!
//! Called in a guest that has just been held to its policy, by [`crate::supervisor::start`] and for a server by
//! [`crate::supervisor::beside`]; [`super::broker`] takes it. Invariant: nothing of it is left in the guest, which would answer its own
//! calls by it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::error::SupervisorError;
use crate::sandbox::Listener;
use crate::supervisor::own_process::refused;
use crate::supervisor::protocol::{encode, send};

/// Gives the supervisor the end by which a guest's connects are answered.
pub(in crate::supervisor) fn hand_over(
    listener: Option<Listener>,
    handover: Option<OwnedFd>,
) -> Result<(), SupervisorError> {
    let Some(listener) = listener else { return Ok(()) };
    let handover = handover
        .ok_or(SupervisorError::Link { doing: "hold its connects", source: Errno::BADF })?;
    send(&handover, &encode(&())?, &[listener.as_fd()], SendFlags::empty())
        .map_err(refused("hold its connects"))
}
