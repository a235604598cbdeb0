//! Every extension of a system: found by the globs of `[system]`, read, checked against each other.
//!
//! Built once by the foundation phase and by `check`; immutable afterwards. Nothing is imported or run: what Python
//! sources declare is told by a [`SourceReader`].

mod entry;
mod find;
mod left_out;
mod operations;
mod read;
mod requirements;
mod servers;
#[cfg(test)]
mod tests;

pub use entry::{Catalogue, Entry};
pub use find::find_manifests;
pub(crate) use find::is_glob;
pub use operations::{
    Known, MemberOperations, Operation, OperationInput, Operations, SourceReader, Together,
};
pub use read::Sources;
