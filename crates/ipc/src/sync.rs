//! The primitives under what threads of a lane hand to one another, in one place.
//!
//! `tests/interleavings` takes in the sources that use it with another `crate::sync`, whose primitives a scheduler steps
//! through one interleaving after another. Here they are the ones of `parking_lot`.

pub(crate) use parking_lot::{Condvar, Mutex};
