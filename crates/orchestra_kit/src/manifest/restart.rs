//! `[extension.restart]`: how often a crash is forgiven.

use std::time::Duration;

use super::quantity;
use crate::document::{Element, Faults, Fields};

/// How many restarts in which window; one more crash and the extension is quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Restarts allowed inside the window.
    pub budget: u32,
    /// The window.
    pub window: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self { budget: 3, window: Duration::from_secs(300) }
    }
}

impl Restart {
    pub(super) const KEYS: &[&str] = &["budget", "window"];

    pub(super) fn read(faults: &mut Faults, element: Element) -> Option<Self> {
        let mut fields = Fields::open(faults, element, "extension.restart", Self::KEYS)?;
        let default = Self::default();
        Some(Self {
            budget: fields.number("budget", 0).unwrap_or(default.budget),
            window: fields.parsed("window", "`5min`", quantity::duration).unwrap_or(default.window),
        })
    }
}
