//! The primitives under the claim, the pool and the latch, in one place.
//!
//! `tests/interleavings.rs` takes in the sources of those three with another `crate::run::sync`, whose primitives a scheduler
//! steps through one interleaving after another. Here they are the ones of the standard library.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use std::thread;
