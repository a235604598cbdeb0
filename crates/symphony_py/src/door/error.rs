//! The only way from a Rust error to a Python exception, and from a Python exception to a failed step.
//!
//! Which class an error has is told by `door/exception.rs`; the classes live in Python, where users import them from.

use std::sync::Arc;

use component::{Code, Diagnostic, Failure, Hint, Phase, Step};
use pyo3::prelude::*;

/// A Python exception on its way through Rust, untouched.
pub(crate) struct Raised(pub(crate) Py<PyAny>);

/// The failure of a step that raised.
pub(crate) fn failure_of(step: Step, error: &Bound<'_, PyAny>) -> Failure {
    let code = error
        .getattr("code")
        .ok()
        .and_then(|code| code.extract::<String>().ok())
        .and_then(|code| Code::parse(&code))
        // The word of a failed start (`TransientError` has it) says nothing of another step.
        .filter(|code| step == Step::Start || *code != Code::START_FAILED)
        .unwrap_or(match step {
            Step::Start => Code::START_FAILED,
            Step::Health => Code::UNHEALTHY,
            Step::Stop => Code::STOP_FAILED,
        });
    let kind =
        error.get_type().qualname().map_or_else(|_| "an error".to_owned(), |name| name.to_string());
    let text = error.str().map_or_else(|_| String::new(), |text| text.to_string());
    let message = if text.is_empty() { kind } else { format!("{kind}: {text}") };
    let mut failure = Failure::new(code, message);
    if let Ok(hints) = error.getattr("hints").and_then(|hints| hints.extract::<Vec<String>>()) {
        failure.hints = hints;
    }
    failure.transient =
        error.getattr("transient").and_then(|value| value.extract::<bool>()).unwrap_or(false);
    failure.payload = Some(Arc::new(Raised(error.clone().unbind())));
    failure
}

/// What an exception is built from.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) phase: Option<String>,
    pub(crate) component: Option<String>,
    pub(crate) extension: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) type_name: Option<String>,
    pub(crate) traceback: Option<String>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: Vec<String>,
    pub(crate) stack: Option<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) rollback: Vec<Fields>,
    pub(crate) payload: Option<Arc<dyn std::any::Any + Send + Sync>>,
    pub(crate) report: Option<Py<PyAny>>,
    /// The step was part of a boot: a `BootError` class is chosen.
    pub(crate) boot: bool,
}

impl Fields {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.as_str(), message: message.into(), ..Self::default() }
    }

    /// From the faults of a manifest that a boot reads first.
    pub(crate) fn of_manifest(diagnostics: Vec<Diagnostic>) -> Self {
        let mut fields = Self::new(Code::MANIFEST_INVALID, String::new());
        fields.phase = Some(Phase::Foundation.as_str().to_owned());
        fields.diagnostics = diagnostics;
        fields.boot = true;
        fields
    }

    /// From any error of the crates below.
    pub(crate) fn of(error: &dyn Hint) -> Self {
        let mut fields = Self::new(error.code(), error.to_string());
        fields.hints = error.hints();
        let mut source = error.source();
        while let Some(cause) = source {
            fields.causes.push(cause.to_string());
            source = cause.source();
        }
        fields
    }

    pub(crate) fn of_failure(failure: &Failure) -> Self {
        Self {
            code: failure.code.as_str(),
            message: failure.message.clone(),
            causes: failure.causes.clone(),
            hints: failure.hints.clone(),
            payload: failure.payload.clone(),
            ..Self::default()
        }
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: &dyn std::error::Error) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// The message, with where a step stands that hangs.
    pub(crate) fn told(&self) -> String {
        match &self.stack {
            Some(stack) => {
                let stack = stack.replace('\n', "\n    ");
                format!("{}\n  it stands at:\n    {stack}", self.message)
            }
            None => self.message.clone(),
        }
    }
}

/// A `PyErr` from any error of the crates below.
pub(crate) fn raise(py: Python<'_>, error: &dyn Hint) -> PyErr {
    Fields::of(error).raise(py)
}
