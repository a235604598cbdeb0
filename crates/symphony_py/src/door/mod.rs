//! The border: the one way out of the interpreter, and the one way of each value, key and error across it.

pub(crate) mod diagnostic;
pub(crate) mod edge;
pub(crate) mod enter;
pub(crate) mod error;
pub(crate) mod exception;
pub(crate) mod health;
pub(crate) mod picture;
pub(crate) mod process;
pub(crate) mod span;
pub(crate) mod spec;
pub(crate) mod values;
pub(crate) mod words;
