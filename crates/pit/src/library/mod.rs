//! Pit libraries: shared libraries that are updated on their own and run inside the process.
//!
//! The interface is the C table of `include/symphony_pit.h`; [`PitLibrary`] loads one and calls it, [`export_pit!`] makes
//! one from Rust. Invariants: the bytes that were hashed are the bytes that are loaded; nothing of a library runs before
//! its file's hash was checked; a library is never unloaded. This module is the one place in the Pit with unsafe code,
//! because a foreign function can be called, and its crash be seen, in no other way.
//!
//! [`export_pit!`]: crate::export_pit

mod crash_witness;
mod elf;
pub mod export;
mod host;
mod image;
mod loader;
mod sentinel;
mod table;

pub use loader::{LoadOptions, PitLibrary};
pub use table::{
    ABI_MAJOR, ABI_MINOR, PitBuffer, PitEntryV1, PitHost, PitLog, PitText, STATUS_ERROR, STATUS_OK,
    STATUS_PANIC, STATUS_UNKNOWN_OPERATION,
};
