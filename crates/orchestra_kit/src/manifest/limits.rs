//! `[extension.limits]`: how much an extension may take.

use std::time::Duration;

use super::{Activation, quantity};
use crate::document::{Element, Faults, Fields};

/// What an extension may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; none: no limit.
    pub memory: Option<u64>,
    /// Calls that may wait for it at once.
    pub queue: u32,
    /// How long its start may take; none: by its activation.
    pub start: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: None, queue: 256, start: None }
    }
}

impl Limits {
    pub(super) const KEYS: &[&str] = &["memory", "queue", "start"];

    pub(super) fn read(faults: &mut Faults, element: Element) -> Option<Self> {
        let mut fields = Fields::open(faults, element, "extension.limits", Self::KEYS)?;
        Some(Self {
            memory: fields.parsed("memory", "`256MiB`", quantity::size),
            queue: fields.number("queue", 1).unwrap_or(Self::default().queue),
            start: fields.parsed("start", "`10s`", quantity::duration),
        })
    }

    /// The start deadline: the manifest's, else 1 s for an eager extension and 10 s for a lazy one.
    pub fn start_deadline(&self, activation: Activation) -> Duration {
        self.start.unwrap_or(match activation {
            Activation::Eager => Duration::from_secs(1),
            Activation::Lazy => Duration::from_secs(10),
        })
    }
}
