//! What a protocol does for its guest.
//!
//! Implemented by [`crate::mcp`] and [`crate::lsp`], called by [`crate::guest`]. Invariant: nothing but the greeting and the leave
//! waits for the server.

use std::sync::Arc;
use std::time::Duration;

use ipc::{Lane, Operation};

use crate::call::Call;
use crate::error::BridgeError;
use crate::wire::{Connection, Peer};

/// One of the protocols.
pub(crate) trait Speaker: Peer + Send + Sync {
    /// Greets the server; what it offers.
    fn greet(&self, connection: &Arc<Connection>) -> Result<Vec<Operation>, BridgeError>;

    /// The host is there.
    fn serve(&self, connection: &Arc<Connection>, lane: &Lane);

    /// Begins a call. Must not wait.
    fn begin(self: Arc<Self>, connection: &Arc<Connection>, call: Call);

    /// The caller gave a call up.
    fn give_up(&self, connection: &Connection, correlation: u64);

    /// Tells the server to go; returns when it may be left.
    fn leave(&self, connection: &Connection, limit: Duration);
}
