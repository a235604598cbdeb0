//! The border: the one way out of the interpreter, and the one way of each value, key and error across it.

pub(crate) mod edge;
pub(crate) mod enter;
pub(crate) mod error;
pub(crate) mod process;
pub(crate) mod span;
pub(crate) mod values;
