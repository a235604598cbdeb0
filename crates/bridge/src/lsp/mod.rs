//! The language server protocol: what an editor asks, as operations on paths.
//!
//! [`speaker`] is the whole conversation; [`greeting`] what is said first, [`operations`] what can be called, [`documents`] what
//! the server has open, [`results`] and [`diagnostics`] what comes back, [`asked`] what the server asks.

mod asked;
mod diagnostics;
mod documents;
mod greeting;
mod inputs;
mod operations;
mod results;
mod speaker;

pub(crate) use speaker::Lsp;
