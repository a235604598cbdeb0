//! What notebooks show of an object: drawn by the package, which is imported only when one asks.
//!
//! Called by `_repr_html_` of the core's classes.

use pyo3::intern;
use pyo3::prelude::*;

/// The fragment that a function of `symphony._pictures.notebook` makes of an object.
pub(crate) fn fragment<'py>(
    object: &Bound<'py, PyAny>,
    function: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    py.import(intern!(py, "symphony._pictures.notebook"))?.call_method1(function, (object,))
}
