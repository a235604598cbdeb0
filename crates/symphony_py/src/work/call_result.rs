//! What a call of an extension comes to: its value, or the exception of an error of the kit.
//!
//! Called by everything in this folder that calls extensions: the kit, their handles, streams, Melodies and versions. A file
//! of its own below all of them, so that none needs another only for its errors. Invariant: one error has the same exception,
//! whoever met it.

use ipc::{CallError, Payload};
use orchestra_kit::extension::Ended;
use orchestra_kit::supervisor::Status;
use orchestra_kit::{ExtensionError, KitError};
use pyo3::prelude::*;

use crate::door::error::Fields;
use crate::door::values::decode;

/// The function of a trial that is called with a call's inputs.
pub(crate) struct CallKey(pub(crate) Py<PyAny>);

/// The outcome of a call, on its way to Python.
pub(crate) struct CallResult {
    pub(crate) outcome: Result<Payload, ExtensionError>,
    pub(crate) operation: String,
}

impl CallResult {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.outcome {
            Ok(payload) => decode(py, &payload),
            Err(error) => Err(fields_of_call(&error, &self.operation).raise(py)),
        }
    }
}

/// The error of a handle whose system was shut down.
pub(crate) fn stopped(what: &str) -> Fields {
    Fields::new(component::Code::STOPPED, format!("{what} was stopped with its system"))
}

/// What the exception of an extension's error is built from.
pub(crate) fn fields_of_extension(error: &ExtensionError) -> Fields {
    let mut fields = Fields::of(error);
    match error {
        ExtensionError::NotFound { .. } => return fields,
        ExtensionError::StartFailed { name, .. }
        | ExtensionError::Crashed { name, .. }
        | ExtensionError::Quarantined { name, .. }
        | ExtensionError::NotGranted { name, .. }
        | ExtensionError::Stopped { name } => fields.extension = Some(name.clone()),
        ExtensionError::TimedOut { name, operation, .. }
        | ExtensionError::Remote { name, operation, .. }
        | ExtensionError::UnknownOperation { name, operation, .. }
        | ExtensionError::Call { name, operation, .. } => {
            fields.extension = Some(name.clone());
            fields.operation = Some(operation.clone());
        }
        _ => {}
    }
    if let ExtensionError::Crashed { how, lines, .. } = error {
        match **how {
            Ended::Exited(Status::Code(code)) => fields.exit_code = Some(code),
            Ended::Exited(Status::Signal(number)) => fields.signal = Some(number),
            _ => {}
        }
        fields.stderr.clone_from(lines);
    }
    if let ExtensionError::Remote { failure, .. } = error {
        fields.type_name = Some(failure.type_name.clone());
        fields.traceback = Some(failure.traceback.clone());
        fields.causes.clone_from(&failure.causes);
    }
    fields
}

/// The same for a call of `operation`.
fn fields_of_call(error: &ExtensionError, operation: &str) -> Fields {
    let mut fields = fields_of_extension(error);
    if fields.extension.is_some() {
        fields.operation.get_or_insert_with(|| operation.to_owned());
    }
    fields
}

/// What the exception of an error of the kit is built from.
pub(crate) fn fields_of_kit(error: &KitError) -> Fields {
    match error {
        KitError::Extension(error) => fields_of_extension(error),
        KitError::Invalid { code, diagnostics } => {
            let mut fields = Fields::new(*code, String::new());
            fields.diagnostics.clone_from(diagnostics);
            fields
        }
        other => Fields::of(other),
    }
}

/// The exception for a call without a result.
pub(crate) fn raise(py: Python<'_>, operation: &str, error: &ExtensionError) -> PyErr {
    fields_of_call(error, operation).raise(py)
}

/// Whether whoever waited for the call has given it up.
pub(crate) fn is_interrupted(error: &ExtensionError) -> bool {
    matches!(error, ExtensionError::Call { source, .. } if matches!(**source, CallError::Interrupted))
}
