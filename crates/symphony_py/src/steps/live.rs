//! What a step of a Python component belongs to.

use std::sync::Arc;

use pyo3::prelude::*;

/// A `symphony._live.Live`, shared by its steps.
pub(crate) type Live = Arc<Py<PyAny>>;
