//! The one way of a number of seconds into the core: spans that are spans, and deadlines that are moments of the clock.
//!
//! Caller: every binding that takes a timeout, a drain or an age; `clippy.toml` forbids the other ways. Invariant: NaN and
//! negative numbers are refused by name, infinity and what is beyond the clock stand for no limit.

use std::time::{Duration, Instant};

use component::{Code, LONGEST};
use pyo3::prelude::*;

use crate::door::error::Fields;

/// A span that the argument of that name gave; [`LONGEST`] stands for no limit.
pub(crate) fn span(py: Python<'_>, name: &str, seconds: f64) -> PyResult<Duration> {
    component::span(seconds).ok_or_else(|| {
        let number = if seconds.is_nan() { "nan".to_owned() } else { seconds.to_string() };
        let message = format!("`{name}` takes a number of seconds from 0 up, not {number}");
        Fields::new(Code::INVALID_VALUE, message).raise(py)
    })
}

/// The same where nothing given stands for no limit, as infinity does.
pub(crate) fn limit(
    py: Python<'_>,
    name: &str,
    seconds: Option<f64>,
) -> PyResult<Option<Duration>> {
    let given = seconds.map(|seconds| span(py, name, seconds)).transpose()?;
    Ok(given.filter(|span| *span < LONGEST))
}

/// The moment at which a span that begins now is over; none for none and for [`LONGEST`].
pub(crate) fn deadline(span: Option<Duration>) -> Option<Instant> {
    span.filter(|span| *span < LONGEST).and_then(|span| Instant::now().checked_add(span))
}

/// Checks the seconds of an argument that Python itself waits for, and gives them back.
#[pyfunction]
pub(crate) fn checked_seconds(py: Python<'_>, name: &str, seconds: f64) -> PyResult<f64> {
    span(py, name, seconds).map(|span| span.as_secs_f64())
}
