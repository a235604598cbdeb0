//! Why a step of a component failed, as the engine carries it.

use std::any::Any;
use std::sync::Arc;

use crate::Code;

/// The failure of a step: fields, not a string; the report, the error text and Python's exception are made from it.
#[derive(Clone)]
pub struct Failure {
    /// Its stable word.
    pub code: Code,
    /// What failed: a lowercase fragment, names in backticks, no full stop.
    pub message: String,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// Declared transient: the executor may try the start again.
    pub transient: bool,
    /// The original error of another world (a Python exception), handed back untouched at the border.
    pub payload: Option<Arc<dyn Any + Send + Sync>>,
}

impl Failure {
    /// A failure with its word and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            transient: false,
            payload: None,
        }
    }

    /// A failure made from an error and the chain of its sources.
    pub fn from_error(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut failure = Self::new(code, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            failure.causes.push(cause.to_string());
            source = cause.source();
        }
        failure
    }

    /// Adds a cause beneath those that are there.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Whether it tells nothing but that its step was given up: cancelled, interrupted, or never begun.
    pub fn says_only_that_it_was_given_up(&self) -> bool {
        matches!(self.code, Code::CANCELLED | Code::INTERRUPTED | Code::STOPPED)
    }

    /// All of it but where a step hangs, in one line: what failed, why, and what to do.
    pub fn line(&self) -> String {
        let mut text = self.message.clone();
        for cause in self.causes.iter().filter(|cause| !cause.contains('\n')) {
            text = format!("{text}: {cause}");
        }
        for hint in &self.hints {
            text = format!("{text}; {hint}");
        }
        text
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Failure")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("causes", &self.causes)
            .field("hints", &self.hints)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
