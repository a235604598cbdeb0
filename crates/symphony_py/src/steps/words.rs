//! The words for steps, threads and states that cross the border. An unknown one is an error, never a default.

use boot_orchestrator::steps::ThreadKind;
use component::{Health, Step};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// `start`, `health` or `stop`.
pub(crate) struct StepWord(pub(crate) Step);

impl<'py> FromPyObject<'_, 'py> for StepWord {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let word = word.extract::<&str>()?;
        Step::parse(word).map(Self).ok_or_else(|| unknown(word, "a step"))
    }
}

/// `calling`, `own` or `shared`.
pub(crate) struct ThreadWord(pub(crate) ThreadKind);

impl<'py> FromPyObject<'_, 'py> for ThreadWord {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let word = word.extract::<&str>()?;
        ThreadKind::parse(word).map(Self).ok_or_else(|| unknown(word, "a kind of thread"))
    }
}

/// `healthy`, `degraded` or `unhealthy`, with the reason.
pub(crate) fn health_of(state: &str, reason: Option<String>) -> PyResult<Health> {
    let reason = || reason.unwrap_or_else(|| "no reason given".to_owned());
    match state {
        "healthy" => Ok(Health::Healthy),
        "degraded" => Ok(Health::Degraded(reason())),
        "unhealthy" => Ok(Health::Unhealthy(reason())),
        _ => Err(unknown(state, "a state")),
    }
}

fn unknown(word: &str, what: &str) -> PyErr {
    PyValueError::new_err(format!("`{word}` is not {what}"))
}
