//! What goes over the server's pipes: messages cut out of bytes, JSON to values and back, JSON-RPC.
//!
//! Used by both protocols. Invariant: what a server writes is bounded here, before anything is made of it.

pub(crate) mod connection;
mod framing;
pub(crate) mod json;
mod output;

pub(crate) use connection::{Connection, NoAnswer, Peer, ServerFailure};
pub(crate) use framing::Shape;
