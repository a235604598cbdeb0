//! The primitives under the queues of steps and their keeper, in one place.
//!
//! `tests/interleavings` takes in those sources with another `crate::sync`, whose primitives a scheduler steps through
//! one interleaving after another. Here they are the ones of `parking_lot`.

pub(crate) use parking_lot::{Condvar, Mutex};
