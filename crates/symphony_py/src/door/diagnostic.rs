//! `Diagnostic` of `symphony.exceptions`: the core's fault itself, with the attributes that Python reads.
//!
//! Made by every binding that tells faults and by Python's readers of sources; taken back by the boot. Invariant: a word
//! that is no severity or no code is an error and never a default.

use boot_orchestrator::Advice;
use component::{Code, Diagnostic as Fault, Location, Severity};
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::door::words::{Word, Words, refused};

/// File, line, column and what stands there, as Python has them.
type Edge = (Option<String>, Option<u32>, Option<u32>, String);

/// A place where Python says one: file, line and column, of which zero is not known.
pub(crate) struct Place(pub(crate) Option<Location>);

impl FromPyObject<'_, '_> for Place {
    type Error = PyErr;

    fn extract(place: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let (file, line, column): (Option<Text>, Option<u32>, Option<u32>) = place.extract()?;
        Ok(Self(location(file, line, column)))
    }
}

/// A text in which what no encoding has, as of a file's name, is replaced: one odd name hides no other fault.
struct Text(String);

impl FromPyObject<'_, '_> for Text {
    type Error = PyErr;

    fn extract(text: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(text.cast::<PyString>()?.to_string_lossy().into_owned()))
    }
}

/// A code: their words are too many to be listed.
struct CodeWord(Code);

impl FromPyObject<'_, '_> for CodeWord {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let text = word.extract::<&str>()?;
        Code::parse(text).map(Self).ok_or_else(|| {
            let message = format!("there is no code `{text}`");
            let hint = "`docs/errors.md` has a section for each".to_owned();
            refused(word.py(), Advice { code: Code::INVALID_VALUE, message, hint })
        })
    }
}

impl Words for Severity {
    const NAMES: (&'static str, &'static str) = ("severity", "severities");
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::Error.as_str(), Self::Error),
        (Self::Warning.as_str(), Self::Warning),
        (Self::Note.as_str(), Self::Note),
    ];
}

/// One fault that a person can act on: the same for `boot()`, `check` and the manifest reader.
#[pyclass(frozen, eq, module = "symphony.exceptions")]
#[derive(Clone, PartialEq)]
pub(crate) struct Diagnostic(pub(crate) Fault);

#[pymethods]
impl Diagnostic {
    #[new]
    #[pyo3(signature = (code, message, *, severity=None, file=None, line=None, column=None, path=None, hint=None, related=None))]
    fn new(
        code: CodeWord,
        message: Text,
        severity: Option<Word<Severity>>,
        file: Option<Text>,
        line: Option<u32>,
        column: Option<u32>,
        path: Option<&Bound<'_, PyAny>>,
        hint: Option<Text>,
        related: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut fault = Fault::error(code.0, message.0);
        fault.severity = severity.map_or(Severity::Error, |word| word.0);
        fault.location = location(file, line, column);
        fault.hint = hint.map(|hint| hint.0);
        if let Some(path) = path {
            for name in path.try_iter()? {
                fault.path.push(name?.extract::<Text>()?.0);
            }
        }
        if let Some(related) = related {
            for edge in related.try_iter()? {
                let (file, line, column, text): (Option<Text>, Option<u32>, Option<u32>, Text) =
                    edge?.extract()?;
                fault = fault.related(location(file, line, column), text.0);
            }
        }
        Ok(Self(fault))
    }

    /// The diagnostic of a dictionary of its fields.
    #[staticmethod]
    fn from_dict(fields: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = fields.py();
        let named = PyDict::new(py);
        named.update(fields.cast()?)?;
        let code = fields.get_item("code")?;
        let message = fields.get_item("message")?;
        named.del_item("code")?;
        named.del_item("message")?;
        Ok(py.get_type::<Self>().call((code, message), Some(&named))?.unbind())
    }

    #[getter]
    fn code(&self) -> &'static str {
        self.0.code.as_str()
    }

    #[getter]
    fn severity(&self) -> &'static str {
        self.0.severity.as_str()
    }

    #[getter]
    fn message(&self) -> &str {
        &self.0.message
    }

    #[getter]
    fn file(&self) -> Option<&str> {
        self.0.location.as_ref().map(|at| &*at.file)
    }

    #[getter]
    fn line(&self) -> Option<u32> {
        self.0.location.as_ref().and_then(|at| known(at.line))
    }

    #[getter]
    fn column(&self) -> Option<u32> {
        self.0.location.as_ref().and_then(|at| known(at.column))
    }

    #[getter]
    fn path(&self) -> Vec<String> {
        self.0.path.clone()
    }

    #[getter]
    fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    #[getter]
    fn related(&self) -> Vec<Edge> {
        let edges = self.0.related.iter();
        edges
            .map(|edge| {
                let at = edge.location.as_ref();
                (
                    at.map(|at| at.file.to_string()),
                    at.and_then(|at| known(at.line)),
                    at.and_then(|at| known(at.column)),
                    edge.text.clone(),
                )
            })
            .collect()
    }

    /// The keys that `symphony check --json` promises.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        fields.set_item("code", self.code())?;
        fields.set_item("severity", self.severity())?;
        fields.set_item("message", self.message())?;
        fields.set_item("file", self.file())?;
        fields.set_item("line", self.line())?;
        fields.set_item("column", self.column())?;
        fields.set_item("path", self.path())?;
        fields.set_item("hint", self.hint())?;
        Ok(fields)
    }

    /// The whole text, places inside `directory` relative to it.
    #[pyo3(signature = (directory=None, *, hint=true, prefix=true))]
    fn text(&self, directory: Option<Text>, hint: bool, prefix: bool) -> String {
        let directory = directory.map(|directory| directory.0);
        let mut text = if prefix { format!("{}: ", self.severity()) } else { String::new() };
        text.push_str(&self.0.body(directory.as_deref()));
        if let Some(hint) = self.0.hint.as_ref().filter(|_| hint) {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }

    fn __str__(&self) -> String {
        self.0.text(working_directory().as_deref())
    }

    fn __repr__(&self) -> String {
        let at = self.0.location.as_ref();
        let place = at.map(|at| format!(" at {}", at.relative_to(None))).unwrap_or_default();
        format!("<Diagnostic {} {}: {}{place}>", self.severity(), self.code(), self.message())
    }

    /// Copies and pickles are made of its fields.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, (Bound<'py, PyDict>,))> {
        let fields = self.to_dict(py)?;
        fields.set_item("related", self.related())?;
        Ok((py.get_type::<Self>().getattr("from_dict")?.unbind(), (fields,)))
    }
}

fn known(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

fn location(file: Option<Text>, line: Option<u32>, column: Option<u32>) -> Option<Location> {
    file.map(|file| Location::new(file.0, line.unwrap_or(0), column.unwrap_or(0)))
}

/// The working directory, or none where it was removed under us.
pub(crate) fn working_directory() -> Option<String> {
    std::env::current_dir().ok().map(|directory| directory.to_string_lossy().into_owned())
}

/// Faults as Python has them.
pub(crate) fn list<'py>(py: Python<'py>, faults: &[Fault]) -> PyResult<Bound<'py, PyList>> {
    let found = faults.iter().map(|fault| Diagnostic(fault.clone()).into_py_any(py));
    PyList::new(py, found.collect::<PyResult<Vec<_>>>()?)
}
