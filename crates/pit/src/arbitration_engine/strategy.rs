//! How a resource chooses among those who wait: the words of a caller; the rules themselves are `ordered` and `fair`.

use std::collections::BTreeMap;

use crate::{PitError, PitResult};

/// How a resource chooses among those who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The largest priority first. Each grant that passes somebody by raises them by [`AGEING`], so that even what
    /// waits with background priority stands above everything new after a known number of grants.
    Priority,
    /// Owners in turn, in proportion to their weights (1 where none is named); within an owner by priority.
    Fair {
        /// Weight by owner; 0 counts as 1.
        weights: BTreeMap<String, u32>,
    },
    /// In the order of asking.
    Queue,
}

/// How much one grant to somebody else raises the priority of whoever waits.
pub const AGEING: i64 = 10;

impl Strategy {
    /// The strategy of that word: `priority`, `fair` or `queue`.
    ///
    /// # Errors
    /// It is none of these words.
    pub fn parse(word: &str) -> PitResult<Self> {
        match word {
            "priority" => Ok(Self::Priority),
            "fair" => Ok(Self::Fair { weights: BTreeMap::new() }),
            "queue" => Ok(Self::Queue),
            _ => Err(PitError::Invalid {
                what: "strategy",
                value: word.chars().take(40).collect(),
                expected: "`priority`, `fair` or `queue`",
            }),
        }
    }

    /// The same with weights by owner; owners that are not named have weight 1.
    ///
    /// # Errors
    /// It is not the fair one, or a weight is 0.
    pub fn weighted(self, given: BTreeMap<String, u32>) -> PitResult<Self> {
        let zero = given.iter().find(|(_, weight)| **weight == 0);
        let (value, expected) = match (&self, zero) {
            (Self::Fair { .. }, None) => return Ok(Self::Fair { weights: given }),
            (Self::Fair { .. }, Some((owner, _))) => (format!("0 of {owner}"), "at least 1"),
            _ => (self.as_str().to_owned(), "`fair`, where weights are given"),
        };
        let what = if zero.is_some() { "weight" } else { "strategy" };
        Err(PitError::Invalid { what, value, expected })
    }

    /// Its word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Fair { .. } => "fair",
            Self::Queue => "queue",
        }
    }
}
