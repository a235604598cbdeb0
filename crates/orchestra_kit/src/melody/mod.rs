//! Melodies: workflows as graphs of calls.
//!
//! [`Melody`] is what a file says; [`check`] holds it against what can be called; [`engine`] runs it.

mod check;
pub mod engine;
mod manifest;
mod model;
mod reference;
#[cfg(test)]
mod tests;

pub use check::check;
pub use model::{Melody, Node, OnError, Template};
pub use reference::{Origin, Piece, Reference};
