//! Constructors as Python describes them: which parameters a class takes, and why one is refused.
//!
//! Called by `_components/constructor.py` and `_static/constructor.py`, which look things up. Invariant: nothing is decided
//! here, the rules are in `graph/constructor.rs` of `boot_orchestrator`.

use boot_orchestrator::{Maker, NotInjectable, Passing, constructor};
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;

use crate::boot::contracts::Signature;
use crate::boot::lawful::told;
use crate::door::diagnostic::Diagnostic;
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

/// What people read for one that Python calls, what it takes, and what becomes of the rest.
type Written<'py> = (String, PyRef<'py, Signature>, PyRef<'py, Rest>);

/// The parameters that a class takes: of which group and which of it, name, has a default, is positional; or a fault.
///
/// `groups` are each `__call__`, `__new__` and `__init__` in the order of resolution.
#[pyfunction]
pub(crate) fn parameters_of<'py>(
    py: Python<'py>,
    name: &str,
    groups: [Vec<Written<'py>>; 3],
    place: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let groups = groups.map(|group| {
        let made = group.into_iter().map(|(label, signature, rest)| Maker {
            label,
            signature: signature.0.clone(),
            passing: rest.0.clone(),
        });
        made.collect()
    });
    match constructor(&groups) {
        Ok(chosen) => {
            let taken = chosen.into_iter();
            let taken = taken
                .map(|one| (one.group, one.maker, one.name, one.has_default, one.is_positional));
            taken.collect::<Vec<_>>().into_bound_py_any(py)
        }
        Err(refusal) => told(NotInjectable::Constructor(refusal).advice(name), name, place)?
            .into_bound_py_any(py),
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

/// Refuses a deadline that is no positive number of seconds.
#[pyfunction]
pub(crate) fn known_timeout(py: Python<'_>, seconds: f64) -> PyResult<()> {
    boot_orchestrator::known_timeout(seconds).map_err(|advice| refused(py, advice))
}
