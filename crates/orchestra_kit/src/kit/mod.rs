//! The Orchestra Kit: every extension of a system behind one door, with the Pit beside them.
//!
//! Built by `boot_orchestrator`, called by Python's door and by the Melody engine. Invariants: extensions come from the
//! catalogue alone; a guest reaches only what its manifest grants; nothing is started that was not called for.

mod call_cycles;
mod calls;
mod extensions;
mod route;
mod swap;
mod waits;

pub use extensions::{Kit, KitParts};
pub use swap::{Candidate, TakenOut, Tried};
