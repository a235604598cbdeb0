//! How a caller waits for something of an extension: until it comes, a deadline, or its own hook's word to give up.
//!
//! Called by whatever waits here for an answer that another thread brings. Invariant: the hook is asked at least every
//! 50 ms, with nothing held.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

/// How often a waiting caller's hook is asked whether to go on.
const POLL: Duration = Duration::from_millis(50);

/// Why a wait ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unready {
    /// The deadline passed.
    TimedOut,
    /// The caller's hook gave it up, or nobody is left who could bring it.
    Interrupted,
}

/// Waits for what comes through a channel.
pub(super) fn receive<T>(
    told: &Receiver<T>,
    deadline: Option<Instant>,
    poll: Option<&dyn Fn() -> bool>,
) -> Result<T, Unready> {
    loop {
        let look = poll.map(|_| Instant::now() + POLL);
        let Some(until) = deadline.into_iter().chain(look).min() else {
            return told.recv().map_err(|_| Unready::Interrupted);
        };
        match told.recv_deadline(until) {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_disconnected() => return Err(Unready::Interrupted),
            Err(_) => {}
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Unready::TimedOut);
        }
        if poll.is_some_and(|poll| poll()) {
            return Err(Unready::Interrupted);
        }
    }
}
