//! Everything that runs extensions: manifests, the catalogue, Melodies, the supervisor and both hosts.
//!
//! Knows `pit`, `ipc` and `component`; knows no Python. What Python has to tell (the operations that a source
//! declares) comes in through traits.

mod backoff;
pub mod catalogue;
pub mod check;
pub mod document;
pub mod error;
pub mod extension;
pub mod file_watch;
pub mod host;
pub mod kit;
pub mod manifest;
pub mod melody;
pub mod operations;
mod removal;
mod ring;
pub mod sandbox;
mod state_path;
pub mod supervisor;
pub mod trust;

pub use catalogue::{Catalogue, Entry, Operation, OperationInput, Operations, SourceReader};
pub use document::Located;
pub use error::{ExtensionError, KitError, SupervisorError};
pub use extension::ExtensionHandle;
pub use kit::{Kit, KitParts};
pub use manifest::{ExtensionManifest, SystemManifest};
pub use melody::Melody;
pub use removal::remove_tree;
pub use state_path::fault_of_state;
