//! Constructors as Python describes them: which parameters a class takes, and why one is refused.
//!
//! Called by `_components/constructor.py` and `_static/constructor.py`, which look things up. Invariant: nothing is decided
//! here, the rules are in `graph/constructor.rs` of `boot_orchestrator`.

use boot_orchestrator::{Maker, NotInjectable, Passing, constructor};
use pyo3::prelude::*;

use crate::boot::contracts::Signature;
use crate::boot::lawful::told;
use crate::door::diagnostic::{Diagnostic, Place};
use crate::door::spec::ComponentSpec;
use crate::door::words::{Word, Words, refused};

/// How many are passed on by position, which by name, whether `*` and whether `**` are.
type Passed = (usize, Vec<String>, bool, bool);

/// What becomes of the `*` and `**` arguments that a maker takes.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Rest(Passing);

#[pymethods]
impl Rest {
    /// Without what is passed on they stay where they are.
    #[new]
    #[pyo3(signature = (passed=None, *, hidden=false))]
    fn new(passed: Option<Passed>, hidden: bool) -> Self {
        Self(match passed {
            _ if hidden => Passing::Hidden,
            None => Passing::Kept,
            Some((positional, names, star, stars)) => {
                Passing::On { positional, names, star, stars }
            }
        })
    }
}

/// The three that Python calls to make an object, as `constructor` groups them.
const ATTRIBUTES: [&str; 3] = ["__call__", "__new__", "__init__"];

/// What people read for one of them, whether it says what it takes, what that is, and what Python reads it from.
type Written<'py> = (String, bool, Option<PyRef<'py, Signature>>, Bound<'py, PyAny>);

/// The parameters that a class takes, and the fault of one that cannot be built by injection.
///
/// `lookup` reads the class: `refused()` tells why it has no objects of its own, and what it lacks; `declared()` what its
/// `__signature__` says, `makers(attribute)` what stands under that name in the order of resolution; of one of these
/// `rest(it, attribute)` tells what it passes on, and `taken(it, name, has_default, positional)` makes a parameter.
#[pyfunction]
pub(crate) fn parameters_of<'py>(
    name: &str,
    lookup: &Bound<'py, PyAny>,
    place: &Bound<'py, PyAny>,
) -> PyResult<(Vec<Bound<'py, PyAny>>, Option<Diagnostic>)> {
    let refused: Option<(Word<Why>, Vec<String>)> = lookup.call_method0("refused")?.extract()?;
    if let Some((why, lacks)) = refused {
        return Ok((Vec::new(), Some(not_injectable(name, why, place, lacks)?)));
    }
    if let Some(declared) = lookup.call_method0("declared")?.extract()? {
        return Ok((declared, None));
    }
    let mut read: [Vec<Bound<'py, PyAny>>; 3] = Default::default();
    let mut groups: [Vec<Maker>; 3] = Default::default();
    let mut hidden = None;
    for (attribute, (group, read)) in ATTRIBUTES.iter().zip(groups.iter_mut().zip(&mut read)) {
        for entry in lookup.call_method1("makers", (attribute,))?.try_iter()? {
            let (label, says, signature, from): Written<'py> = entry?.extract()?;
            if !says {
                hidden.get_or_insert_with(|| label.clone());
            }
            // One that has no parameter to be called on takes nothing.
            let signature = signature.map(|signature| signature.0.clone()).unwrap_or_default();
            group.push(Maker { label, signature, passing: Passing::Kept });
            read.push(from);
        }
    }
    if let Some(label) = hidden {
        return Ok((
            Vec::new(),
            Some(not_injectable(name, Word(Why::Hidden), place, vec![label])?),
        ));
    }
    for (at, (group, read)) in groups.iter_mut().zip(&read).enumerate() {
        // Behind the last one of a class comes nobody, so that nobody needs to know what it passes on.
        let asked = group.len().saturating_sub(usize::from(at > 0));
        for (maker, from) in group.iter_mut().zip(read).take(asked) {
            if maker.signature.star || maker.signature.stars {
                let rest = lookup.call_method1("rest", (from, ATTRIBUTES[at]))?;
                maker.passing = rest.cast::<Rest>()?.get().0.clone();
            }
        }
    }
    match constructor(&groups) {
        Ok(chosen) => {
            let taken = chosen.into_iter().map(|one| {
                let from = &read[one.group][one.maker];
                lookup.call_method1("taken", (from, one.name, one.has_default, one.is_positional))
            });
            Ok((taken.collect::<PyResult<_>>()?, None))
        }
        Err(refusal) => {
            let advice = NotInjectable::Constructor(refusal).advice(name);
            Ok((Vec::new(), Some(told(advice, name, place)?)))
        }
    }
}

/// Why a class or a factory cannot be built by injection, but for its constructor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Abstract,
    Protocol,
    Plain,
    NotEntered,
    Cached,
    Hidden,
}

impl Words for Why {
    const NAMES: (&'static str, &'static str) = ("reason", "reasons");
    const ALL: &'static [(&'static str, Self)] = &[
        ("abstract", Self::Abstract),
        ("protocol", Self::Protocol),
        ("plain", Self::Plain),
        ("not-entered", Self::NotEntered),
        ("cached", Self::Cached),
        ("hidden", Self::Hidden),
    ];
}

/// The fault of a component that cannot be built by injection; `names` are what an abstract class lacks.
#[pyfunction]
#[pyo3(signature = (name, why, place, names=Vec::new()))]
pub(crate) fn not_injectable(
    name: &str,
    why: Word<Why>,
    place: &Bound<'_, PyAny>,
    names: Vec<String>,
) -> PyResult<Diagnostic> {
    let hidden = || boot_orchestrator::Refusal::Hidden(names.concat());
    let reason = match why.0 {
        Why::Abstract => NotInjectable::Abstract(&names),
        Why::Protocol => NotInjectable::Protocol,
        Why::Plain => NotInjectable::Plain,
        Why::NotEntered => NotInjectable::NotEntered,
        Why::Cached => NotInjectable::Cached,
        Why::Hidden => NotInjectable::Constructor(hidden()),
    };
    told(reason.advice(name), name, place)
}

/// Says of a component that is entered how it lives, by which methods its class has.
///
/// `lookup.has(made, name)` tells of one, or nothing where the text does not; an annotation that is a context manager of
/// `contextlib` or `typing` says it by itself. Gives what forbids it, or a note where only the import would tell.
#[pyfunction]
#[pyo3(signature = (spec, lookup, place, annotation=None))]
pub(crate) fn enter(
    spec: &Bound<'_, ComponentSpec>,
    lookup: &Bound<'_, PyAny>,
    place: &Bound<'_, PyAny>,
    annotation: Option<Bound<'_, PyAny>>,
) -> PyResult<Option<Diagnostic>> {
    let text = match annotation {
        Some(annotation) => lookup.call_method1("text", (annotation,))?.extract::<String>()?,
        None => String::new(),
    };
    let made = spec.borrow().made.as_ref().map(|made| made.clone_ref(spec.py()));
    let has = |name: &str| lookup.call_method1("has", (&made, name))?.extract::<Option<bool>>();
    let both = |one: &str, other: &str| -> PyResult<Option<bool>> {
        Ok(match (has(one)?, has(other)?) {
            (Some(true), Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        })
    };
    let (awaited, plain) = if text.contains("ContextManager[") {
        let awaited = text.contains("Async");
        (Some(awaited), Some(!awaited))
    } else {
        (both("__aenter__", "__aexit__")?, both("__enter__", "__exit__")?)
    };
    if (awaited, plain) == (Some(false), Some(false)) {
        let name = spec.borrow().name.clone();
        return not_injectable(&name, Word(Why::NotEntered), place, Vec::new()).map(Some);
    }
    spec.borrow_mut().lives_as_generator(awaited == Some(true));
    if awaited == Some(true) || plain == Some(true) {
        return Ok(None);
    }
    let name = spec.borrow().name.clone();
    let Place(place) = place.call0()?.extract()?;
    let text = format!("`{name}` says `enter=True`");
    Ok(Some(Diagnostic(boot_orchestrator::unfollowed(&name, &text, place))))
}

/// Refuses a deadline that is no positive number of seconds.
#[pyfunction]
pub(crate) fn known_timeout(py: Python<'_>, seconds: f64) -> PyResult<()> {
    boot_orchestrator::known_timeout(seconds).map_err(|advice| refused(py, advice))
}
