//! Which exception of Python's an error becomes, and what goes into its constructor.
//!
//! Caller: `door/error.rs` for errors of the core, and Python where it finds faults itself. The classes are in
//! `symphony/exceptions.py`, where users import them from. Invariant: one word has one class, whoever raises it.

use component::{Code, Diagnostic as Fault, Severity, faults_text};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::door::diagnostic::{Diagnostic, list, working_directory};
use crate::door::error::{Fields, Raised};

/// The class of a boot that failed with a word.
fn boot_class(code: &str) -> &'static str {
    match code {
        "start-timeout" => "BootTimeoutError",
        "unhealthy" => "UnhealthyError",
        "state-locked" => "StateLockedError",
        _ => "BootError",
    }
}

/// The class of a plan whose faults all have one word.
fn plan_class(code: &str) -> &'static str {
    match code {
        "dependency-cycle" => "CycleError",
        "missing-dependency" => "MissingDependencyError",
        "duplicate-component" => "DuplicateComponentError",
        "phase-order" => "PhaseOrderError",
        "manifest-invalid" => "ManifestError",
        _ => "PlanError",
    }
}

/// The class of a call of an extension.
fn call_class(code: &str) -> Option<&'static str> {
    Some(match code {
        "extension-crashed" => "ExtensionCrashedError",
        "call-timeout" => "CallTimeoutError",
        "remote-error" => "RemoteError",
        "overloaded" => "OverloadedError",
        "quarantined" => "QuarantinedError",
        "cancelled" => "CallCancelledError",
        "unknown-operation" => "UnknownOperationError",
        "not-granted" => "NotGrantedError",
        "protocol-violation" | "protocol-mismatch" => "ProtocolError",
        _ => return None,
    })
}

/// The class of a word that says more than who was called, as `stopped` and a nested call's `not-found` do.
fn other_class(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid-value" => "InvalidValueError",
        "not-found" => "NotFoundError",
        "stopped" => "StoppedError",
        "forked" => "ForkedError",
        "late-binding" => "LateBindingError",
        "wrong-thread" => "WrongThreadError",
        "melody-invalid" => "MelodyError",
        "component-not-found" => "ComponentNotFoundError",
        "pit-library" | "abi-mismatch" => "PitLibraryError",
        _ => return None,
    })
}

impl Fields {
    /// The exception.
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        build(py, self).map_or_else(|error| error, PyErr::from_value)
    }
}

/// The exception of these fields, with its cause chained.
fn build(py: Python<'_>, mut fields: Fields) -> PyResult<Bound<'_, PyAny>> {
    let raised = fields.payload.as_ref().and_then(|payload| payload.downcast_ref::<Raised>());
    let mut payload = raised.map(|raised| raised.0.clone_ref(py).into_bound(py));
    let code = fields.code;
    let named = PyDict::new(py);
    named.set_item("code", code)?;
    let error = if !fields.diagnostics.is_empty() {
        diagnosed(py, &mut fields)?
    } else if fields.boot {
        let is_late = code == "late-binding" && fields.component.as_deref() == Some(code);
        if let Some(raised) = payload.take_if(|_| is_late) {
            // The core's words begin with the class of what was raised; its own are all that is wanted.
            fields.causes = vec![raised.str()?.to_string()];
        }
        if is_late || code == "start-timeout" {
            // Which step hung, where, and what had finished belongs to the message; it is no exception of its own.
            for cause in fields.causes.drain(..) {
                fields.message.push_str("\n  ");
                fields.message.push_str(&cause.replace('\n', "\n    "));
            }
        }
        let rollback = PyList::empty(py);
        for stop in std::mem::take(&mut fields.rollback) {
            rollback.append(build(py, stop)?)?;
        }
        named.set_item("phase", &fields.phase)?;
        named.set_item("component", &fields.component)?;
        named.set_item("report", &fields.report)?;
        named.set_item("hints", &fields.hints)?;
        named.set_item("rollback_errors", rollback)?;
        made(py, boot_class(code), &fields.told(), &named)?
    } else if code == "out-of-memory" && payload.is_none() {
        // Python's own class: whoever frees memory catches that. The code and what to do are there all the same.
        let error = py.get_type::<PyMemoryError>().call1((fields.told(),))?;
        error.setattr("code", code)?;
        error.setattr("hints", &fields.hints)?;
        error
    } else if let Some(class) = other_class(code).filter(|_| payload.is_none()) {
        named.set_item("hints", &fields.hints)?;
        made(py, class, &fields.told(), &named)?
    } else if call_class(code).is_some() || fields.extension.is_some() {
        of_call(py, &fields, &named)?
    } else if let Some(payload) = payload {
        return Ok(payload);
    } else {
        named.set_item("hints", &fields.hints)?;
        made(py, "SymphonyError", &fields.told(), &named)?
    };
    let told = fields.told();
    let cause = if payload.is_some() {
        payload
    } else {
        let causes = fields.causes.iter().filter(|cause| !told.contains(*cause));
        chain(py, causes.map(String::as_str), code)?
    };
    error.setattr("__cause__", cause)?;
    Ok(error)
}

/// An instance of one of the classes.
fn made<'py>(
    py: Python<'py>,
    class: &str,
    message: &str,
    named: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("symphony.exceptions")?.getattr(class)?.call((message,), Some(named))
}

fn of_call<'py>(
    py: Python<'py>,
    fields: &Fields,
    named: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = call_class(fields.code).unwrap_or("ExtensionError");
    named.set_item("extension", &fields.extension)?;
    named.set_item("operation", &fields.operation)?;
    named.set_item("hints", &fields.hints)?;
    if class == "RemoteError" {
        named.set_item("type_name", &fields.type_name)?;
        named.set_item("traceback", &fields.traceback)?;
        named.set_item("causes", &fields.causes)?;
    } else if class == "ExtensionCrashedError" {
        named.set_item("exit_code", fields.exit_code)?;
        named.set_item("signal", fields.signal)?;
        named.set_item("stderr", &fields.stderr)?;
    }
    made(py, class, &fields.told(), named)
}

/// The chain of causes that have no Python exception of their own, under the word of what they led to.
fn chain<'py>(
    py: Python<'py>,
    causes: impl DoubleEndedIterator<Item = &'py str>,
    code: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut error = None;
    for text in causes.rev() {
        let named = PyDict::new(py);
        named.set_item("code", code)?;
        let outer = made(py, "SymphonyError", text, &named)?;
        outer.setattr("__cause__", error)?;
        error = Some(outer);
    }
    Ok(error)
}

/// The error of several faults, each told once.
fn diagnosed<'py>(py: Python<'py>, fields: &mut Fields) -> PyResult<Bound<'py, PyAny>> {
    let mut faults: Vec<Fault> = Vec::new();
    for fault in std::mem::take(&mut fields.diagnostics) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    let named = PyDict::new(py);
    named.set_item("report", &fields.report)?;
    let wrong = wrong(&faults);
    let is_all = |known: &[Code]| wrong.iter().all(|code| known.contains(code));
    if fields.code == Code::MELODY_INVALID.as_str() {
        named.del_item("report")?;
        named.set_item("code", fields.code)?;
        return of_faults(py, "MelodyError", &faults, &named);
    }
    if !wrong.is_empty() && is_all(&[Code::START_FAILED]) {
        // The supervisor's process, which comes before there is a plan.
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        let hints: Vec<&str> = faults.iter().filter_map(|fault| fault.hint.as_deref()).collect();
        let named = PyDict::new(py);
        named.set_item("code", Code::START_FAILED.as_str())?;
        named.set_item("phase", &fields.phase)?;
        named.set_item("hints", hints)?;
        return made(py, "BootError", &messages.join("\n"), &named);
    }
    if wrong.contains(&Code::MANIFEST_INVALID)
        || is_all(&[Code::UNKNOWN_OPERATION, Code::SOURCE_INVALID])
    {
        named.set_item("phase", &fields.phase)?;
        return of_faults(py, "ManifestError", &faults, &named);
    }
    of_faults(py, class_of_faults(&wrong), &faults, &named)
}

/// The codes of those that are errors.
fn wrong(faults: &[Fault]) -> Vec<Code> {
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    errors.map(|fault| fault.code).collect()
}

/// The class of the one code that all have; of a mix the one above them.
fn class_of_faults(wrong: &[Code]) -> &'static str {
    match wrong {
        [first, rest @ ..] if rest.iter().all(|code| code == first) => plan_class(first.as_str()),
        _ => "PlanError",
    }
}

/// An error that is made of faults: text, hints and code are theirs where none are given.
fn of_faults<'py>(
    py: Python<'py>,
    class: &str,
    faults: &[Fault],
    named: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let text = faults_text(faults, working_directory().as_deref());
    if !named.contains("code")?
        && let Some(code) = wrong(faults).first()
    {
        named.set_item("code", code.as_str())?;
    }
    let mut hints: Vec<&str> = Vec::new();
    for hint in faults.iter().filter_map(|fault| fault.hint.as_deref()) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    named.set_item("hints", hints)?;
    named.set_item("diagnostics", list(py, faults)?)?;
    made(py, class, &text, named)
}

/// The error for these faults: the class of their one code, `PlanError` for a mix.
#[pyfunction]
#[pyo3(signature = (faults, *, phase=None))]
pub(crate) fn plan_error<'py>(
    py: Python<'py>,
    faults: Vec<PyRef<'py, Diagnostic>>,
    phase: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let faults: Vec<Fault> = faults.iter().map(|fault| fault.0.clone()).collect();
    let named = PyDict::new(py);
    named.set_item("phase", phase)?;
    of_faults(py, class_of_faults(&wrong(&faults)), &faults, &named)
}

/// The error of a boot, or of what comes to one that is up: the class of its word.
#[pyfunction]
#[pyo3(signature = (message, *, code, phase=None, component=None))]
pub(crate) fn boot_error<'py>(
    py: Python<'py>,
    message: &str,
    code: &str,
    phase: Option<&str>,
    component: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let named = PyDict::new(py);
    named.set_item("code", code)?;
    named.set_item("phase", phase)?;
    named.set_item("component", component)?;
    made(py, boot_class(code), message, &named)
}
