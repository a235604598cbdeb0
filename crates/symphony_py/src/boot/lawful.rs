//! What makes one specification lawful, as Python asks for it while it reads: words, names, threads, annotations.
//!
//! Called by the collector of live objects and by the reader of sources. Invariant: nothing is decided here, the rules are
//! in `graph/specification.rs` of `boot_orchestrator`.

use boot_orchestrator::{Advice, Unusable, conductor_name, qualified_names, thread_faults};
use component::Phase;
use pyo3::prelude::*;

use crate::door::edge::{Word, called};

/// Code, message and hint.
type Told = (&'static str, String, String);

fn told(advice: Advice) -> Told {
    (advice.code.as_str(), advice.message, advice.hint)
}

/// Refuses a word that is no phase.
#[pyfunction]
pub(crate) fn known_phase(phase: Word<Phase>) {
    let Word(_) = phase;
}

/// What is wrong with an annotation: of a parameter, or of a result; a text is what cannot be resolved.
#[pyfunction]
#[pyo3(signature = (name, module, *, parameter=None, text=None, is_function=true))]
pub(crate) fn annotation_fault(
    name: &str,
    module: &str,
    parameter: Option<&str>,
    text: Option<&str>,
    is_function: bool,
) -> Told {
    let unusable = match (parameter, text) {
        (Some(parameter), None) => Unusable::Absent(parameter),
        (Some(_), Some(text)) => Unusable::Needed(text),
        (None, Some(text)) => Unusable::Made(text),
        (None, None) if is_function => Unusable::Silent,
        (None, None) => Unusable::Mute,
    };
    told(unusable.advice(name, module))
}

/// What forbids a component to have its steps on the calling thread.
#[pyfunction]
pub(crate) fn main_thread_faults(name: &str, phase: Word<Phase>, is_async: bool) -> Vec<Told> {
    thread_faults(name, phase.0, is_async).into_iter().map(told).collect()
}

/// Gives different definitions of one name their module in front; the Conductor gives way to the others.
#[pyfunction]
#[pyo3(signature = (specs, conductor=None))]
pub(crate) fn qualify(
    specs: Vec<Bound<'_, PyAny>>,
    conductor: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let others = specs.iter().map(called).collect::<PyResult<Vec<_>>>()?;
    if let Some(conductor) = conductor {
        if let Some(name) = conductor_name(&called(conductor)?, &others) {
            conductor.setattr("name", name)?;
        }
        return Ok(());
    }
    for (place, name) in qualified_names(&others) {
        specs[place].setattr("name", name)?;
    }
    Ok(())
}
