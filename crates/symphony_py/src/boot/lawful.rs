//! What makes one specification lawful, as Python asks for it while it reads: words, names, threads, annotations.
//!
//! Called by the collector of live objects and by the reader of sources. Invariant: nothing but what a
//! replacement takes over is decided here, the rules are in `graph/specification.rs` of `boot_orchestrator`.

use boot_orchestrator::{
    Advice, Called, Help, Unusable, Wanted, conductor_name, qualified_names, remedy, thread_faults,
};
use component::Phase;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::door::diagnostic::{Diagnostic, Place};
use crate::door::edge::{called, own_part};
use crate::door::spec::{ComponentSpec, NeedSpec};
use crate::door::words::Word;

/// The fault of a component; what tells where it was written is asked only now.
pub(crate) fn told(advice: Advice, name: &str, place: &Bound<'_, PyAny>) -> PyResult<Diagnostic> {
    let Place(location) = place.call0()?.extract()?;
    let mut fault = component::Diagnostic::error(advice.code, advice.message).at(location);
    fault.path.push(name.to_owned());
    Ok(Diagnostic(fault.hint(advice.hint)))
}

/// Refuses a word that is no phase.
#[pyfunction]
pub(crate) fn known_phase(phase: Word<Phase>) {
    let Word(_) = phase;
}

/// What is wrong with an annotation: of a parameter, or of a result; a text is what cannot be resolved.
#[pyfunction]
#[pyo3(signature = (name, module, place, *, parameter=None, text=None, is_function=true))]
pub(crate) fn annotation_fault(
    name: &str,
    module: &str,
    place: &Bound<'_, PyAny>,
    parameter: Option<&str>,
    text: Option<&str>,
    is_function: bool,
) -> PyResult<Diagnostic> {
    let unusable = match (parameter, text) {
        (Some(parameter), None) => Unusable::Absent(parameter),
        (Some(_), Some(text)) => Unusable::Needed(text),
        (None, Some(text)) => Unusable::Made(text),
        (None, None) if is_function => Unusable::Silent,
        (None, None) => Unusable::Mute,
    };
    told(unusable.advice(name, module), name, place)
}

/// What forbids a component to have its steps on the calling thread.
#[pyfunction]
pub(crate) fn main_thread_faults(
    name: &str,
    phase: Word<Phase>,
    is_async: bool,
    place: &Bound<'_, PyAny>,
) -> PyResult<Vec<Diagnostic>> {
    let found = thread_faults(name, phase.0, is_async).into_iter();
    found.map(|advice| told(advice, name, place)).collect()
}

/// Gives different definitions of one name their module in front; the Conductor gives way to the others.
#[pyfunction]
#[pyo3(signature = (specs, conductor=None))]
pub(crate) fn qualify(
    specs: Vec<Bound<'_, ComponentSpec>>,
    conductor: Option<Bound<'_, ComponentSpec>>,
) {
    let others: Vec<Called> = specs.iter().map(|spec| called(&spec.borrow())).collect();
    if let Some(conductor) = conductor {
        let name = conductor_name(&called(&conductor.borrow()), &others);
        if let Some(name) = name {
            conductor.borrow_mut().name = name;
        }
        return;
    }
    for (place, name) in qualified_names(&others) {
        specs[place].borrow_mut().name = name;
    }
}

/// What a component provides; nothing of one that the collector has taken apart.
fn provided<'py>(py: Python<'py>, spec: &ComponentSpec) -> Bound<'py, PyList> {
    spec.provides.as_ref().map_or_else(|| PyList::empty(py), |provides| provides.bind(py).clone())
}

/// Puts a replacement into the place of what provides a key, under all keys of that.
///
/// Gives the names of those of Symphony's own parts that it stands in for.
#[pyfunction]
pub(crate) fn stand_in(
    specs: &Bound<'_, PyList>,
    key: &Bound<'_, PyAny>,
    spec: &Bound<'_, ComponentSpec>,
) -> PyResult<Vec<&'static str>> {
    let py = specs.py();
    let keys = provided(py, &spec.borrow());
    let all = PyList::new(py, [key])?;
    let mut left = Vec::new();
    let mut first: Option<Bound<'_, ComponentSpec>> = None;
    for one in specs.iter() {
        let standing = one.cast::<ComponentSpec>()?;
        let provides = provided(py, &standing.borrow());
        if !provides.contains(key)? {
            left.push(one);
            continue;
        }
        for other in provides.iter() {
            all.append(other)?;
        }
        if first.is_none() {
            first = Some(standing.clone());
            left.push(spec.clone().into_any());
        }
    }
    let mut parts = Vec::new();
    for key in all.iter() {
        if let Some(part) = own_part(&key)? {
            parts.push(part);
        }
        if !keys.contains(&key)? {
            keys.append(key)?;
        }
    }
    match &first {
        Some(first) => {
            let first = first.borrow();
            let mut spec = spec.borrow_mut();
            spec.phase = first.phase;
            if spec.is_instance() {
                spec.name.clone_from(&first.name);
                spec.named = first.named;
            }
        }
        None => left.push(spec.clone().into_any()),
    }
    if let Some(part) = parts.last() {
        // What stands in for a part of the core starts in its phase: others of it need it there.
        spec.borrow_mut().phase = part.0;
    }
    specs.set_slice(0, specs.len(), PyList::new(py, left)?.as_any())?;
    Ok(parts.into_iter().map(|(_, name)| name).collect())
}

/// Finds what would help about each need that none of these components provides.
///
/// `lookup` reads classes: `wanted(key)` tells whether it is not for people to register, whether it is a Protocol, and what
/// stands in its body, or nothing; `label(made)` is what people read for a class, nothing for what is none;
/// `inherits(made, key)` and `has(made, name)` tell of a class.
#[pyfunction]
pub(crate) fn find_remedies(
    py: Python<'_>,
    specs: Vec<Bound<'_, ComponentSpec>>,
    lookup: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let every = PyList::empty(py);
    let mut classes: Vec<(Bound<'_, PyAny>, String)> = Vec::new();
    for spec in &specs {
        for key in provided(py, &spec.borrow()).iter() {
            every.append(key)?;
        }
        if let Some(made) = spec.borrow().made.as_ref().map(|made| made.bind(py)) {
            let label: Option<String> = lookup.call_method1("label", (made,))?.extract()?;
            classes.extend(label.map(|label| (made.clone(), label)));
        }
    }
    let needs = specs
        .iter()
        .filter_map(|spec| spec.borrow().needs.as_ref().map(|needs| needs.bind(py).clone()));
    for need in needs.collect::<Vec<_>>().iter().flatten() {
        let need = need.cast::<NeedSpec>()?;
        let key = need.borrow().key(py);
        if every.contains(&key)? {
            continue;
        }
        let found: Option<(bool, bool, Vec<String>)> =
            lookup.call_method1("wanted", (&key,))?.extract()?;
        let Some((is_ours, is_protocol, names)) = found else { continue };
        let help = remedy(
            &Wanted { is_ours, is_protocol, names },
            classes.len(),
            |at| {
                let made = &classes[at].0;
                Ok(!made.eq(&key)? && lookup.call_method1("inherits", (made, &key))?.extract()?)
            },
            |at, name| {
                let made = &classes[at].0;
                let has: Option<bool> = lookup.call_method1("has", (made, name))?.extract()?;
                PyResult::Ok(!made.eq(&key)? && has == Some(true))
            },
        )?;
        let mut need = need.borrow_mut();
        need.fits = match help {
            Help::Mark(at) => Some(classes[at].1.clone()),
            Help::Register | Help::Unknown => None,
        };
        need.is_class = help == Help::Register;
    }
    Ok(())
}
