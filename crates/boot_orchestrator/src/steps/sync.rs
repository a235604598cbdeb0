//! The primitives under the queues of steps and their threads, in one place.
//!
//! `tests/interleavings_of_steps.rs` takes in those sources with another `sync`, whose primitives a scheduler steps through
//! one interleaving after another. Here they are the ones of `parking_lot`.

use std::time::{Duration, Instant};

pub(crate) use parking_lot::{Condvar, Mutex};

/// Looks again and again for a moment, at the cost of nobody who has something to do.
pub(crate) fn linger(span: Duration, found: impl Fn() -> bool) {
    let until = Instant::now() + span;
    while !found() && Instant::now() < until {
        std::thread::yield_now();
    }
}
