//! Files that people write, as trees in which every key and value knows its place.
//!
//! Called by the manifest and Melody readers. Invariant: whatever bytes the file holds, the answer is a tree or a
//! diagnostic with a place, never a panic.

mod faults;
mod fields;
mod json;
mod parse;
mod source;
mod toml;
mod tree;

pub(crate) use faults::Faults;
pub(crate) use fields::{Fields, quoted};
pub use source::{FILE_NAME, Source};
pub use tree::{Content, Element, Located};
