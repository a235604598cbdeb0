//! A question for a resource, as it stands in the resource's line.

use std::sync::Arc;

/// Somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// Given out in the order of asking.
    pub(super) ticket: u64,
    pub(super) owner: Arc<str>,
    pub(super) amount: u64,
    pub(super) priority: i64,
    /// The number of grants so far when it was asked.
    pub(super) turn: u64,
}
