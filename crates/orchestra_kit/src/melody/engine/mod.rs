//! The engine: runs Melodies, many at once, on one scheduler thread.
//!
//! Called by `System.submit` and `symphony run`. It knows extensions and members only through [`Calls`]. Values stay
//! msgpack: results are spliced into inputs without being decoded. The scheduler thread never blocks on anything but
//! its own channel: calls are submitted with a callback, and a foreign policy is asked through a [`PolicyPort`].
//! Invariants: a node runs only when all it uses is there; a run ends exactly once; what a finished run held is
//! released; at most `slots` nodes run out of process at a time.

mod active;
mod calls;
mod dispatch;
mod facade;
mod failure;
mod node;
mod policy;
mod port;
mod queue;
mod run;
mod scheduler;
mod score;
mod splice;
#[cfg(test)]
mod tests;

pub use calls::{Call, CallDone, Calls, Target};
pub use facade::{Engine, EngineOptions, EngineStats};
pub use failure::RunFailure;
pub use node::{NodeRecord, NodeState};
pub use policy::{Fifo, Outcome, Policy, ReadyNode};
pub use port::{PolicyEvent, PolicyPort, PolicyReceiver, Question};
pub use run::{Progress, Results, Run, RunState};
