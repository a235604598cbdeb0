//! A guest for a program that speaks the language server protocol or the model context protocol.
//!
//! The supervisor's process is forked twice for such an extension: once for the server, which is executed, and once for
//! [`serve`], which holds the server's pipes and the lane. Called by `symphony_py`, in that process alone. Invariants: the
//! server ends with its guest; no byte that it writes makes the guest hold more than a message may be long; each request has
//! one answer, whatever the server does.

mod call;
mod error;
mod granted;
mod guest;
mod kept;
mod lsp;
mod mcp;
mod places;
mod processes;
mod settings;
mod speaker;
mod under_way;
mod wire;

pub use error::BridgeError;
pub use granted::Granted;
pub use guest::{Pipes, serve};
pub use settings::Settings;
