//! Everything that runs extensions: manifests, the catalogue, Melodies, the supervisor and both hosts.
//!
//! Knows `pit`, `ipc` and `component`; knows no Python. What Python has to tell (the operations that a source
//! declares) comes in through traits.

pub mod catalogue;
pub mod document;
pub mod error;
pub mod manifest;
pub mod melody;
mod ring;
pub mod supervisor;

pub use catalogue::{Catalogue, Entry, Operation, OperationInput, Operations, SourceReader};
pub use document::Located;
pub use error::KitError;
pub use manifest::{ExtensionManifest, SystemManifest};
pub use melody::Melody;
