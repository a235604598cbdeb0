//! The vocabulary that every other crate speaks: names, phases, descriptors, health, diagnostics.
//!
//! Pure values and one trait. This crate starts no thread, opens no file and knows no runtime; a test holds that
//! (`tests/purity.rs`).

mod clock;
mod code;
mod component;
mod declared;
mod declared_faults;
mod descriptor;
mod diagnostic;
mod failure;
mod health;
mod hint;
mod key;
mod location;
pub mod memory;
mod name;
mod phase;
mod render;
mod state;
mod suggestion;

pub use clock::{LONGEST, Seconds, span};
pub use code::Code;
pub use component::{Component, Done, Step, StepProgress};
pub use declared::{ComponentGraph, Declared};
pub use declared_faults::{
    DeclaredFaults, count_needs, declared_key, declared_phase, graph_faults, phase_faults,
};
pub use descriptor::{Descriptor, Need, NeedKind, Remedy, Work};
pub use diagnostic::{Diagnostic, Related, Severity};
pub use failure::{Failure, chain};
pub use health::Health;
pub use hint::Hint;
pub use key::Key;
pub use location::Location;
pub use name::ComponentName;
pub use phase::Phase;
pub use render::{error_text, faults_text, missing_text, ring_text};
pub use state::{State, StateError};
pub use suggestion::{Suggestions, did_you_mean};
