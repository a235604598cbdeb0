//! The Pit: infrastructure members that live inside the process and are called directly.
//!
//! Each member is one module and one component; it takes what it depends on as `Arc`s. The crate knows only
//! `component`: no Python, no bus.

pub mod arbitration_engine;
pub mod artifact_store;
pub mod dag_tracker;
mod disk;
mod durability;
mod error;
#[cfg(test)]
mod fault_table;
pub mod journal;
mod journal_file;
mod journal_frame;
mod journal_header;
mod journal_mark;
mod journal_migration;
mod journal_opening;
mod journal_reader;
mod kept_name;
pub mod library;
mod pit;
pub mod pool_manager;
pub mod priority;
mod recovery_progress;
pub mod stale_manager;
mod state_guard;
mod wait;

pub use durability::Durability;
pub use error::{PitError, PitResult};
pub use pit::{Pit, PitConfig, member};
pub use recovery_progress::RecoveryProgress;
pub use state_guard::StateGuard;
