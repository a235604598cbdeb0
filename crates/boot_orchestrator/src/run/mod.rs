//! A plan runs: phases, gates, deadlines and rollback.

pub(crate) mod advances;
pub(crate) mod blocking_threads;
pub(crate) mod component_record;
pub(crate) mod cut_short;
pub(crate) mod deadline;
pub mod default_deadlines;
pub(crate) mod error;
pub(crate) mod executor;
pub(crate) mod fault;
pub(crate) mod fault_injection;
pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod interruption;
pub(crate) mod late;
pub(crate) mod launch;
pub(crate) mod options;
pub(crate) mod phase_latch;
#[cfg(test)]
mod phase_latch_test;
pub(crate) mod progress;
pub(crate) mod running;
pub(crate) mod start;
pub(crate) mod step_outcome;
pub(crate) mod step_table;
pub(crate) mod stopper;
pub(crate) mod sync;
