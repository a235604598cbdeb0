//! Folders that `symphony dev` watches.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use orchestra_kit::file_watch::FileWatch as Inner;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::enter::{enter, wait_polling};
use crate::door::error::raise;
use crate::door::span::span;

/// Some folders, watched with all that is below them.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct FileWatch {
    inner: Mutex<Inner>,
}

#[pymethods]
impl FileWatch {
    #[new]
    fn new(py: Python<'_>, folders: Vec<PathBuf>) -> PyResult<Self> {
        let inner = enter(py, || Inner::new(&folders))?.map_err(|error| raise(py, &error))?;
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// Waits until something was changed and it is quiet again; nothing when the time is over before.
    fn next(&self, py: Python<'_>, timeout: f64) -> PyResult<Vec<PathBuf>> {
        let end = Instant::now() + span(py, "timeout", timeout)?;
        let changed = wait_polling(py, |piece: Duration| {
            let left = end.saturating_duration_since(Instant::now());
            match self.inner.lock().next(piece.min(left)) {
                Ok(changed) if changed.is_empty() && left > piece => None,
                outcome => Some(outcome),
            }
        })?;
        changed.map_err(|error| raise(py, &error))
    }
}
