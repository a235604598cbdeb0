//! `Symphony.toml`: what a person says about a system and about an extension.
//!
//! Read by the wiring of `boot_orchestrator`, by `check` and by the catalogue. One file name, two tables: `[system]`
//! and `[extension]`; one file may hold both. All faults of a file are told at once, each with its place.

mod activation;
mod extension;
mod file;
mod limits;
mod member;
mod name;
mod network;
mod permissions;
mod plain_words;
mod quantity;
mod restart;
#[cfg(test)]
mod schema_test;
mod server;
#[cfg(test)]
mod server_test;
mod system;
#[cfg(test)]
mod tests;

pub use crate::document::FILE_NAME;
pub use activation::Activation;
pub use extension::{Entry, Execution, ExtensionManifest, Kind, PythonEntry};
pub use file::Manifest;
pub use limits::Limits;
pub use member::Member;
pub use name::is_name;
pub use network::{Host, HostName, Network};
pub use permissions::{Permissions, Roots};
pub use plain_words::Asked;
pub use quantity::{age, duration, size};
pub use restart::Restart;
pub use server::{Protocol, ServerSettings};
pub use system::{Budgets, Durability, PhaseLimits, SafeMode, SystemManifest, store_limits};

/// The JSON schema of `Symphony.toml`, for editors.
pub const SCHEMA: &str = include_str!("../../schema/symphony.schema.json");
