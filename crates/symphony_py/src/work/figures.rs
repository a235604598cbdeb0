//! What `symphony top` shows of extensions, and its one order that nobody else gives.

use std::time::{Duration, Instant};

use orchestra_kit::extension::Figures;
use pyo3::prelude::*;

use crate::door::enter::enter;
use crate::door::span::span;
use crate::work::extension::ExtensionHandle;

/// Restarts, pending calls, calls, errors, p50 and p99 in seconds, the last fault.
type Told = (u64, usize, u64, u64, Option<f64>, Option<f64>, Option<String>);

/// What an extension did since its system started.
#[pyfunction]
pub(crate) fn extension_figures(
    py: Python<'_>,
    extension: PyRef<'_, ExtensionHandle>,
) -> PyResult<Told> {
    let handle = extension.handle(py)?;
    let figures = enter(py, || handle.figures())?;
    let Figures { restarts, pending, calls, errors, p50, p99, fault } = figures;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    Ok((restarts, pending, calls, errors, seconds(p50), seconds(p99), fault))
}

/// The permission, how far it is held, and why not further.
type Grant = (&'static str, &'static str, String);

/// How far each grant of an extension is held.
#[pyfunction]
pub(crate) fn extension_grants(
    py: Python<'_>,
    extension: PyRef<'_, ExtensionHandle>,
) -> PyResult<Vec<Grant>> {
    let handle = extension.handle(py)?;
    let told = enter(py, || handle.enforcement())?.into_iter();
    Ok(told.map(|held| (held.permission, held.level.as_str(), held.reason)).collect())
}

/// Stops an extension within so many seconds; nothing starts it again.
#[pyfunction]
pub(crate) fn stop_extension(
    py: Python<'_>,
    extension: PyRef<'_, ExtensionHandle>,
    seconds: f64,
) -> PyResult<()> {
    let handle = extension.handle(py)?;
    let limit = span(py, "seconds", seconds)?;
    enter(py, || handle.stop(Instant::now() + limit)).map(|_| ())
}
