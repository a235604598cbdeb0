//! What the engine needs of those who answer calls; the kit implements it, tests mock it.

use std::sync::Arc;
use std::time::Instant;

use ipc::Payload;

use crate::KitError;

/// An extension or a Pit member, as the engine tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The same for all operations of one extension or member, and for no other.
    pub id: u32,
    /// Answers inside this process and takes no slot.
    pub in_process: bool,
}

/// Receives the outcome of a call: called once, from any thread, also from inside `submit`.
pub type CallDone = Box<dyn FnOnce(Result<Payload, KitError>) + Send>;

/// One call of a node.
pub struct Call {
    /// Unique in the engine's life; names the call in [`Calls::cancel`].
    pub id: u64,
    /// The operation, without its target.
    pub operation: Arc<str>,
    /// A map of its inputs.
    pub inputs: Payload,
    /// When it must be answered.
    pub deadline: Option<Instant>,
    /// The priority of its run.
    pub priority: i64,
    /// Where the outcome goes. Dropped uncalled, the node fails with an internal error.
    pub done: CallDone,
}

/// Who answers calls. No method may block.
pub trait Calls: Send + Sync {
    /// Who answers `extension.operation`; none when nobody does.
    fn resolve(&self, call: &str) -> Option<Target>;

    /// How many more calls its queue takes now.
    fn room(&self, target: Target) -> usize;

    /// Sends a call. An error also comes through its `done`.
    fn submit(&self, target: Target, call: Call);

    /// Sends several calls to one target; a lane writes them at once.
    fn submit_batch(&self, target: Target, calls: Vec<Call>) {
        for call in calls {
            self.submit(target, call);
        }
    }

    /// The outcome of a call is not wanted any more.
    fn cancel(&self, target: Target, id: u64) {
        let _ = (target, id);
    }

    /// Whether it would have to be started first.
    fn is_cold(&self, target: Target) -> bool {
        let _ = target;
        false
    }
}
