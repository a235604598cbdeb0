//! What `symphony trust` does: pin, list and forget the folders of a project's extensions.

use std::path::{Path, PathBuf};

use orchestra_kit::trust::{Trust, TrustError, TrustLock, lock_file};
use pyo3::prelude::*;

use crate::door::enter::enter;
use crate::door::error::raise;
use crate::door::process::environment;

fn at_the_lock<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Path) -> Result<T, TrustError> + Send,
) -> PyResult<T> {
    let lock = lock_file(&environment(py)?).ok_or_else(|| raise(py, &TrustError::NoPlace))?;
    enter(py, || work(&lock))?.map_err(|error| raise(py, &error))
}

/// Pins what an extension's folder holds now; gives how many files that are.
#[pyfunction]
pub(crate) fn trust_extension(py: Python<'_>, folder: PathBuf) -> PyResult<usize> {
    at_the_lock(py, |lock| TrustLock::trust(lock, &folder))
}

/// Takes the trust back; gives whether there was any.
#[pyfunction]
pub(crate) fn distrust_extension(py: Python<'_>, folder: PathBuf) -> PyResult<bool> {
    at_the_lock(py, |lock| TrustLock::distrust(lock, &folder))
}

/// The folders that are trusted, each with why it would be refused now.
#[pyfunction]
pub(crate) fn trusted_extensions(py: Python<'_>) -> PyResult<Vec<(String, Option<String>)>> {
    at_the_lock(py, |lock| {
        let known = TrustLock::read(lock)?;
        let verdict = |folder: &Path| {
            let (folder, lock) = (folder.to_owned(), Some(lock.to_owned()));
            let trust = Trust { folder, project: None, lock };
            let why = trust.verify().err().map(|why| why.to_string());
            (trust.folder.to_string_lossy().into_owned(), why)
        };
        Ok(known.folders().map(verdict).collect())
    })
}
