//! What the result of a component's `health()` says of it.
//!
//! Caller: `threads.rs`. Invariant: what was meant as bad news is never good news; whatever cannot be read is unhealthy, with
//! its type told.

use component::Health;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};

use crate::door::health::Health as Told;

const LAWFUL: &str =
    "; nothing, True, False, a `Health`, or a tuple of a state and a reason says how it is";
/// So many characters of a result are told.
const SHOWN: usize = 60;

/// Nothing or True is healthy, False unhealthy; a `Health` says both, and so does a tuple of a state, or of True or False,
/// and a reason.
pub(super) fn health_of(outcome: &Bound<'_, PyAny>) -> PyResult<Health> {
    if outcome.is_none() {
        return Ok(Health::Healthy);
    }
    if let Ok(said) = outcome.cast_exact::<PyBool>() {
        let returned = || "its `health()` returned False".to_owned();
        return Ok(if said.is_true() { Health::Healthy } else { Health::Unhealthy(returned()) });
    }
    let returned = || Ok::<_, PyErr>(format!("its `health()` returned {}", described(outcome)?));
    let Some((state, reason)) = said(outcome)? else {
        return Ok(Health::Unhealthy(returned()? + LAWFUL));
    };
    let reason = || match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => Ok(reason),
        None => returned(),
    };
    Ok(match state.as_str() {
        "healthy" => Health::Healthy,
        "degraded" => Health::Degraded(reason()?),
        "unhealthy" => Health::Unhealthy(reason()?),
        _ => Health::Unhealthy(returned()? + LAWFUL),
    })
}

/// The state that a result names, and its reason; nothing where it names none.
fn said(outcome: &Bound<'_, PyAny>) -> PyResult<Option<(String, Option<String>)>> {
    if let Ok(told) = outcome.cast::<Told>() {
        let reason = told.get().reason().map(str::to_owned);
        return Ok(Some((told.get().state().to_owned(), reason)));
    }
    let (mut said, mut reason) = (outcome.clone(), None);
    if let Ok(pair) = outcome.cast::<PyTuple>() {
        let Ok((first, second)) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
            return Ok(None);
        };
        reason = if second.is_none() { None } else { Some(second.str()?.to_string()) };
        if let Ok(state) = first.cast::<PyString>() {
            return Ok(Some((state.extract()?, reason)));
        }
        said = first;
    }
    if !is_truth(&said)? {
        return Ok(None);
    }
    let state = if said.is_truthy()? { "healthy" } else { "unhealthy" };
    Ok(Some((state.to_owned(), reason)))
}

/// Whether it is a truth value, of numpy's too, which is not imported for this.
fn is_truth(said: &Bound<'_, PyAny>) -> PyResult<bool> {
    let class = said.get_type();
    if class.is(said.py().get_type::<PyBool>()) {
        return Ok(true);
    }
    let name = class.name()?;
    let is_named = name == "bool" || name == "bool_";
    Ok(is_named && class.module()? == "numpy")
}

/// A result with its type, short.
fn described(outcome: &Bound<'_, PyAny>) -> PyResult<String> {
    let written = outcome.repr()?.to_string();
    let dots = if written.chars().count() > SHOWN { "..." } else { "" };
    let shown: String = written.chars().take(SHOWN).collect();
    Ok(format!("`{shown}{dots}`, a `{}`", outcome.get_type().name()?))
}
