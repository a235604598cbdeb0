//! The model context protocol: tools, resources and prompts as operations.
//!
//! [`greeting`] settles the version and finds what is offered, [`speaker`] calls it, [`results`] makes plain values of answers.

mod greeting;
mod results;
mod speaker;

pub(crate) use speaker::Mcp;
