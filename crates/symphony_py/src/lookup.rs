//! `system[T]` and `system.get(T)`: one dictionary read, without a frame of Python's.
//!
//! Python's `System` is a class upon this one. Not upon `dict`: a subclass of that looks for its own `__getitem__` at
//! each subscript, which takes as long again as the read.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The objects that were asked for, by their types. What is not among them is asked of `_look_up(key[, default])`.
#[pyclass(frozen, subclass, module = "symphony._core")]
pub(crate) struct Lookup {
    objects: Py<PyDict>,
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
    #[pyo3(signature = (*_arguments))]
    fn new(py: Python<'_>, _arguments: &Bound<'_, PyTuple>) -> Self {
        Self { objects: PyDict::new(py).unbind() }
    }

    /// Those that were found so far; what is changed here is changed for good.
    #[getter]
    fn _found(&self, py: Python<'_>) -> Py<PyDict> {
        self.objects.clone_ref(py)
    }

    /// The object that was registered for a type.
    fn __getitem__<'py>(
        this: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match this.get().objects.bind(this.py()).get_item(key)? {
            Some(found) => Ok(found),
            None => this.call_method1("_look_up", (key,)),
        }
    }

    /// The object that was registered for a type, or the default.
    #[pyo3(
        signature = (key, default = Default::Absent, /),
        text_signature = "($self, key, default=..., /)"
    )]
    fn get<'py>(
        this: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Default<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match (this.get().objects.bind(this.py()).get_item(key)?, default) {
            (Some(found), _) => Ok(found),
            (None, Default::Absent) => this.call_method1("_look_up", (key,)),
            (None, Default::Given(default)) => this.call_method1("_look_up", (key, default)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.objects)
    }
}
