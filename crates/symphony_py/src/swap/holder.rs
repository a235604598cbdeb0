//! `Holder`: somebody who still holds an object that a swap took out.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple};

/// Somebody who still holds an object that was taken out.
#[pyclass(frozen, get_all, str, eq, hash, module = "symphony._core")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// `file:line` of what holds it.
    place: String,
    /// What that is.
    what: String,
    /// What to write instead, so that the next swap reaches it.
    edit: String,
    /// The component that keeps it, where it is one of the system's.
    consumer: Option<String>,
}

#[pymethods]
impl Holder {
    #[new]
    #[pyo3(signature = (place, what, edit, consumer=None))]
    pub(crate) const fn new(
        place: String,
        what: String,
        edit: String,
        consumer: Option<String>,
    ) -> Self {
        Self { place, what, edit, consumer }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let [place, what, edit] = self.parts(py)?;
        Ok(format!("Holder(place={place}, what={what}, edit={edit})"))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyTuple::new(py, [&self.place, &self.what, &self.edit])?.try_iter()
    }
}

/// Place, what it is, and the edit below it.
impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}  {}\n  {}", self.place, self.what, self.edit)
    }
}

impl Holder {
    fn parts(&self, py: Python<'_>) -> PyResult<[String; 3]> {
        let text = |part: &String| {
            Ok::<_, PyErr>(pyo3::types::PyString::new(py, part).repr()?.to_string())
        };
        Ok([text(&self.place)?, text(&self.what)?, text(&self.edit)?])
    }
}
