//! Models and workers: who has one, which stay warm, and how much memory they take in all.
//!
//! A pool makes workers of one kind with its factory. A [`Lease`] is the right to use one, given back when it is
//! dropped. Invariants: the memory of all workers that exist or are being made never exceeds the cap; whoever asks first
//! for what is scarce is served first, so nobody starves; factories, checks and destructors of workers never run under the
//! lock; a factory that fails or hangs costs its own lease, and no place of its pool for longer than `start_timeout`.

mod lease;
mod manager;
mod pool;
mod table;
mod tending;
mod upkeep;

pub use lease::Lease;
pub use manager::{PoolManager, PoolManagerOptions};
pub use pool::{Check, Factory, PoolOptions, PoolStats, START_TIMEOUT, Worker};
pub use upkeep::Upkeep;
