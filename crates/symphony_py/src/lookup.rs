//! `system.get(T)`: one dictionary read, without a frame of Python's.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The objects of a running system by their types, as `System.get` reads them.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Lookup {
    objects: Py<PyDict>,
    /// What is called for a key that is not there: `(key)` or `(key, default)`.
    missing: Py<PyAny>,
}

/// A default that may be any object, `None` too, or was not given at all.
enum Default<'a, 'py> {
    Absent,
    Given(Borrowed<'a, 'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Default<'a, 'py> {
    type Error = std::convert::Infallible;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(value))
    }
}

#[pymethods]
impl Lookup {
    #[new]
    const fn new(objects: Py<PyDict>, missing: Py<PyAny>) -> Self {
        Self { objects, missing }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.objects)?;
        visit.call(&self.missing)
    }

    /// The object that was registered for a type, or the default.
    #[pyo3(signature = (key, default = Default::Absent), text_signature = "($self, key, default=...)")]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Default<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(found) = self.objects.bind(py).get_item(key)? {
            return Ok(found);
        }
        match default {
            Default::Absent => self.missing.bind(py).call1((key,)),
            Default::Given(default) => self.missing.bind(py).call1((key, default)),
        }
    }
}
