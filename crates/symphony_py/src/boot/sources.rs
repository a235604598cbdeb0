//! Reads the operations of a Python extension from its source, with the interpreter's own `ast`.

use std::path::Path;

use component::{Code, Diagnostic, Location};
use orchestra_kit::{Operation, OperationInput, SourceReader};
use pyo3::prelude::*;

/// The reader that asks `symphony/_static/operations.py`.
pub(crate) struct PythonSources;

impl SourceReader for PythonSources {
    fn operations(
        &self,
        file: &Path,
        attribute: &str,
    ) -> Option<Result<Vec<Operation>, Diagnostic>> {
        Python::try_attach(|py| {
            let read = py
                .import("symphony._static.operations")
                .and_then(|module| module.getattr("read_operations"));
            match read {
                Ok(read) => read_with(&read, file, attribute),
                Err(error) => Some(Err(broken(py, file, &error))),
            }
        })
        .flatten()
    }

    fn interpreter(&self, python: &Path, at: &Location) -> Option<Diagnostic> {
        interpreter_fault(python, at)
    }
}

/// Asks an interpreter, by `symphony/_static/interpreters.py`, whether it can run an extension.
pub(crate) fn interpreter_fault(python: &Path, at: &Location) -> Option<Diagnostic> {
    let told = Python::try_attach(|py| {
        let asks = py.import("symphony._static.interpreters")?.getattr("fault_of")?;
        asks.call1((python,))?.extract::<Option<(String, String)>>()
    })?;
    let fault = |message: String| Diagnostic::error(Code::MANIFEST_INVALID, message).at(at.clone());
    match told {
        Ok(found) => found.map(|(message, hint)| fault(message).hint(hint)),
        Err(error) => Some(fault(error.to_string())),
    }
}

/// Reads a source with a function of Python; a source that cannot be read is a diagnostic.
pub(crate) fn read_with(
    read: &Bound<'_, PyAny>,
    file: &Path,
    attribute: &str,
) -> Option<Result<Vec<Operation>, Diagnostic>> {
    let found = read.call1((file, attribute)).and_then(|found| {
        if found.is_none() {
            return Ok(None);
        }
        found.try_iter()?.map(|entry| operation_of(&entry?)).collect::<PyResult<Vec<_>>>().map(Some)
    });
    match found {
        Ok(None) => None,
        Ok(Some(operations)) => Some(Ok(operations)),
        Err(error) => Some(Err(broken(read.py(), file, &error))),
    }
}

/// The diagnostic for a source that cannot be read or parsed.
fn broken(py: Python<'_>, file: &Path, error: &PyErr) -> Diagnostic {
    let value = error.value(py);
    let hint = value.getattr("hint").and_then(|hint| hint.extract::<String>());
    if let Ok(hint) = hint {
        // The source is as it should be, and the manifest names something else: its place is the entry's.
        return Diagnostic::error(Code::MANIFEST_INVALID, value.to_string()).hint(hint);
    }
    let number =
        |name: &str| value.getattr(name).and_then(|line| line.extract::<u32>()).unwrap_or(0);
    let message = value.getattr("msg").and_then(|message| message.extract::<String>()).map_or_else(
        |_| error.to_string(),
        |message| format!("the source is not Python: {message}"),
    );
    Diagnostic::error(Code::SOURCE_INVALID, message).at(Location::new(
        file.to_string_lossy().into_owned(),
        number("lineno").max(1),
        number("offset"),
    ))
}

fn operation_of(entry: &Bound<'_, PyAny>) -> PyResult<Operation> {
    let name: String = entry.get_item("name")?.extract()?;
    let inputs = entry.get_item("inputs")?;
    if inputs.is_none() {
        return Ok(Operation::named(name));
    }
    let inputs = inputs
        .try_iter()?
        .map(|input| {
            let input = input?;
            Ok(OperationInput {
                name: input.get_item("name")?.extract()?,
                required: input.get_item("required")?.extract()?,
            })
        })
        .collect::<PyResult<_>>()?;
    Ok(Operation { name, inputs: Some(inputs) })
}
