//! Reads the operations of a Python extension from its source, with the interpreter's own `ast`, and asks the
//! interpreters that extensions name.
//!
//! Invariant: what no `except Exception` would have seen, Ctrl-C above all, ends the survey and comes out of it.

use std::path::Path;

use component::{Code, Diagnostic, Location};
use orchestra_kit::{Operation, OperationInput, SourceReader};
use parking_lot::Mutex;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// The reader that asks Python.
pub(crate) struct PythonSources {
    read: Py<PyAny>,
    stopped: Mutex<Option<PyErr>>,
}

impl PythonSources {
    /// Reads with that function.
    pub(crate) fn with(read: Py<PyAny>) -> Self {
        Self { read, stopped: Mutex::default() }
    }

    /// Reads with `symphony/_static/operations.py`.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("symphony._static.operations")?;
        Ok(Self::with(module.getattr("read_operations")?.unbind()))
    }

    /// The survey is over.
    ///
    /// # Errors
    /// What ended it.
    pub(crate) fn finish(self) -> PyResult<()> {
        self.stopped.into_inner().map_or(Ok(()), Err)
    }

    /// Asks Python, unless the survey was ended; `told` says what an ordinary exception means.
    fn ask<T>(
        &self,
        question: impl FnOnce(Python<'_>) -> PyResult<Option<T>>,
        told: impl FnOnce(Python<'_>, &PyErr) -> T,
    ) -> Option<T> {
        if self.stopped.lock().is_some() {
            return None;
        }
        Python::try_attach(|py| match question(py) {
            Ok(answer) => answer,
            Err(error) if error.is_instance_of::<PyException>(py) => Some(told(py, &error)),
            Err(error) => {
                *self.stopped.lock() = Some(error);
                None
            }
        })
        .flatten()
    }
}

impl SourceReader for PythonSources {
    fn operations(
        &self,
        file: &Path,
        attribute: &str,
    ) -> Option<Result<Vec<Operation>, Diagnostic>> {
        self.ask(
            |py| {
                let found = self.read.bind(py).call1((file, attribute))?;
                if found.is_none() {
                    return Ok(None);
                }
                let operations = found.try_iter()?.map(|entry| operation_of(&entry?));
                Ok(Some(Ok(operations.collect::<PyResult<Vec<_>>>()?)))
            },
            |py, error| Err(broken(py, file, error)),
        )
    }

    fn interpreter(&self, python: &Path, at: &Location) -> Option<Diagnostic> {
        let fault =
            |message: String| Diagnostic::error(Code::MANIFEST_INVALID, message).at(at.clone());
        self.ask(
            |py| {
                let asks = py.import("symphony._static.interpreters")?.getattr("fault_of")?;
                let found = asks.call1((python,))?.extract::<Option<(String, String)>>()?;
                Ok(found.map(|(message, hint)| fault(message).hint(hint)))
            },
            |_, error| fault(error.to_string()),
        )
    }
}

/// The diagnostic for a source that cannot be read or parsed.
fn broken(py: Python<'_>, file: &Path, error: &PyErr) -> Diagnostic {
    let value = error.value(py);
    let number =
        |name: &str| value.getattr(name).and_then(|line| line.extract::<u32>()).unwrap_or(0);
    let at = || {
        let file = file.to_string_lossy().into_owned();
        Location::new(file, number("lineno").max(1), number("offset"))
    };
    let hint = value.getattr("hint").and_then(|hint| hint.extract::<String>());
    if let Ok(hint) = hint {
        if number("lineno") > 0 {
            return Diagnostic::error(Code::SOURCE_INVALID, value.to_string()).at(at()).hint(hint);
        }
        // The source is as it should be, and the manifest names something else: its place is the entry's.
        return Diagnostic::error(Code::MANIFEST_INVALID, value.to_string()).hint(hint);
    }
    let message = value.getattr("msg").and_then(|message| message.extract::<String>()).map_or_else(
        |_| error.to_string(),
        |message| format!("the source is not Python: {message}"),
    );
    Diagnostic::error(Code::SOURCE_INVALID, message).at(at())
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
