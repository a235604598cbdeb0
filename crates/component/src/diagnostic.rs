//! One fault that a person can act on: the same value for `boot()`, `check` and the manifest reader.

use crate::{Code, Location};

/// How bad a diagnostic is. Only an error makes a check fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Must be mended.
    Error,
    /// Should be looked at.
    Warning,
    /// Worth knowing: something was not followed, never a guess.
    Note,
}

impl Severity {
    /// The word in text and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A line under the message: a place, and what stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    /// The place, where it is known.
    pub location: Option<Location>,
    /// What stands there.
    pub text: String,
}

/// A fault with its place, its path through the graph, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// Its stable word.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong: a lowercase fragment, names in backticks, no full stop.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// The ring or chain of names, each once.
    pub path: Vec<String>,
    /// The places of the edges.
    pub related: Vec<Related>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error with a message; the rest is added by the caller.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            location: None,
            path: Vec::new(),
            related: Vec::new(),
            hint: None,
        }
    }

    /// Says how bad it is.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: impl Into<Option<Location>>) -> Self {
        self.location = location.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an edge's place.
    #[must_use]
    pub fn related(mut self, location: Option<Location>, text: impl Into<String>) -> Self {
        self.related.push(Related { location, text: text.into() });
        self
    }
}
