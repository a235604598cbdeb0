//! Annotations as Python reads them: one parameter becomes a need, one result what a factory makes.
//!
//! Called by `_components/collect.py` and `_static/reader.py`, whose lookups tell what an annotation is made of. Invariant:
//! nothing is decided here, the rules are in `graph/annotation.rs` of `boot_orchestrator`.

use boot_orchestrator::{Asked, Form, Life, Look, Mark, Unread, Unusable, asked, made, unfollowed};
use component::NeedKind;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::boot::lawful::told;
use crate::door::diagnostic::{Diagnostic, Place};
use crate::door::spec::{ComponentSpec, NeedSpec};

/// A lookup of Python: `form(node)` gives a tuple that begins with a word, `key(node)` one of the words `type`,
/// `unresolved`, `untold`; `text(node)` is what people read.
struct Lookup<'py>(Bound<'py, PyAny>);

/// A key, and whether it is a type of the language.
struct Key<'py>(Bound<'py, PyAny>, bool);

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0).unwrap_or(false)
    }
}

/// Why a lookup does not tell.
enum Untold {
    /// Nobody knows that name.
    Unresolved(String),
    /// Only its import would tell.
    Unfollowed(String),
    Raised(PyErr),
}

impl From<PyErr> for Untold {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl<'py> Lookup<'py> {
    fn told(found: &Bound<'py, PyAny>) -> Result<Form<Bound<'py, PyAny>, Key<'py>>, Untold> {
        let found = found.cast::<PyTuple>().map_err(PyErr::from)?;
        let at = |place| found.get_item(place);
        let word = at(0)?;
        Ok(match word.extract::<&str>()? {
            "type" => Form::Type(Key(at(1)?, at(2)?.extract()?)),
            "nothing" => Form::Nothing,
            "same" => Form::Same(at(1)?),
            "of" => Form::Of(at(1)?.extract()?, at(2)?.extract()?),
            "union" => Form::Union(at(1)?.extract()?),
            "annotated" => {
                let marks: Vec<(String, bool)> = at(2)?.extract()?;
                let mark =
                    |(text, is_name)| if is_name { Mark::Name(text) } else { Mark::Text(text) };
                Form::Annotated(at(1)?, marks.into_iter().map(mark).collect())
            }
            "unresolved" => return Err(Untold::Unresolved(at(1)?.extract()?)),
            "untold" => return Err(Untold::Unfollowed(at(1)?.extract()?)),
            other => return Err(PyValueError::new_err(format!("no form `{other}`")).into()),
        })
    }
}

impl<'py> Look for Lookup<'py> {
    type Node = Bound<'py, PyAny>;
    type Key = Key<'py>;
    type Error = Untold;

    fn form(&self, node: &Self::Node) -> Result<Form<Self::Node, Key<'py>>, Untold> {
        Self::told(&self.0.call_method1("form", (node,))?)
    }

    fn key(&self, node: &Self::Node) -> Result<Key<'py>, Untold> {
        match Self::told(&self.0.call_method1("key", (node,))?)? {
            Form::Type(key) => Ok(key),
            _ => Err(PyValueError::new_err("a key is one type").into()),
        }
    }
}

/// What of a component cannot be used, as a fault, or as a note where only its import would tell.
fn fault(
    lookup: &Lookup<'_>,
    spec: &Bound<'_, ComponentSpec>,
    node: &Bound<'_, PyAny>,
    parameter: Option<&str>,
    why: Unread<Untold>,
    place: &Bound<'_, PyAny>,
) -> PyResult<Diagnostic> {
    let (name, module) = {
        let spec = spec.borrow();
        (spec.name.clone(), spec.module.clone())
    };
    let text = match why {
        Unread::Reader(Untold::Raised(error)) => return Err(error),
        Unread::Reader(Untold::Unfollowed(text)) => {
            let verb = if parameter.is_some() { "needs" } else { "makes" };
            let Place(place) = place.call0()?.extract()?;
            return Ok(Diagnostic(unfollowed(&name, &format!("`{name}` {verb} `{text}`"), place)));
        }
        Unread::Reader(Untold::Unresolved(text)) => text,
        Unread::NoOneThing => lookup.0.call_method1("text", (node,))?.extract()?,
    };
    let unusable =
        if parameter.is_some() { Unusable::Needed(&text) } else { Unusable::Made(&text) };
    told(unusable.advice(&name, &module), &name, place)
}

/// Adds the need of one parameter to a specification; gives what is wrong with it, if something is.
///
/// `at` is where it stands, where that is cheap to know; without it, it is taken to stand where the component does.
#[pyfunction]
#[pyo3(signature = (spec, lookup, parameter, annotation, place, *, has_default, positional=false, at=None))]
pub(crate) fn read_need<'py>(
    spec: &Bound<'py, ComponentSpec>,
    lookup: Bound<'py, PyAny>,
    parameter: Bound<'py, PyString>,
    annotation: Option<Bound<'py, PyAny>>,
    place: &Bound<'py, PyAny>,
    has_default: bool,
    positional: bool,
    at: Option<(Option<Py<PyString>>, u32, u32)>,
) -> PyResult<Option<Diagnostic>> {
    let py = spec.py();
    let Some(node) = annotation else {
        if has_default {
            return Ok(None);
        }
        let (name, module) = {
            let spec = spec.borrow();
            (spec.name.clone(), spec.module.clone())
        };
        let advice = Unusable::Absent(parameter.to_str()?).advice(&name, &module);
        return told(advice, &name, place).map(Some);
    };
    let lookup = Lookup(lookup);
    let Asked { key: Key(key, is_builtin), mut kind, by_handle, mark } = match asked(&lookup, &node)
    {
        // Nobody provides that, so it is left out of the call.
        Err(Unread::NoOneThing) if has_default => return Ok(None),
        Err(why) => {
            return fault(&lookup, spec, &node, Some(parameter.to_str()?), why, place).map(Some);
        }
        Ok(asked) => asked,
    };
    if has_default && is_builtin {
        return Ok(None);
    }
    if has_default && kind == NeedKind::One {
        kind = NeedKind::Optional;
    }
    let (file, line, column) = at.unwrap_or_else(|| {
        let spec = spec.borrow();
        (spec.file.as_ref().map(|file| file.clone_ref(py)), spec.line, 0)
    });
    let mut need = NeedSpec::plain(
        parameter.unbind(),
        Some(key.unbind()),
        kind,
        by_handle,
        (file, line, column),
    );
    need.is_loose = matches!(mark, Some(Mark::Text(_)));
    need.named = mark.map(|mark| match mark {
        Mark::Name(name) | Mark::Text(name) => name,
    });
    need.default = has_default;
    need.positional = positional;
    let needs = spec.borrow().needs.as_ref().map(|needs| needs.bind(py).clone());
    if let Some(needs) = needs {
        needs.append(need)?;
    }
    Ok(None)
}

/// Adds what the result of a factory says to its specification; gives what is wrong with it, if something is.
#[pyfunction]
pub(crate) fn read_result<'py>(
    spec: &Bound<'py, ComponentSpec>,
    lookup: Bound<'py, PyAny>,
    annotation: Option<Bound<'py, PyAny>>,
    place: &Bound<'py, PyAny>,
) -> PyResult<Option<Diagnostic>> {
    let py = spec.py();
    let Some(node) = annotation else {
        let (name, module) = {
            let spec = spec.borrow();
            (spec.name.clone(), spec.module.clone())
        };
        return told(Unusable::Silent.advice(&name, &module), &name, place).map(Some);
    };
    let lookup = Lookup(lookup);
    let life: Life = spec.borrow().life();
    match made(&lookup, &node, life) {
        Err(why) => fault(&lookup, spec, &node, None, why, place).map(Some),
        Ok(None) => Ok(None),
        Ok(Some(found)) => {
            let provides = {
                let mut spec = spec.borrow_mut();
                spec.may_be_none = found.may_be_none;
                spec.made = Some(found.key.0.clone().unbind());
                spec.provides.as_ref().map(|provides| provides.bind(py).clone())
            };
            if let Some(provides) = provides {
                provides.append(found.key.0)?;
            }
            Ok(None)
        }
    }
}

/// A text beside a type is the name of a provider where a component of that name is one, and documentation where none is.
#[pyfunction]
pub(crate) fn settle_names(
    specs: Vec<Bound<'_, ComponentSpec>>,
    among: Vec<Bound<'_, ComponentSpec>>,
) -> PyResult<()> {
    for spec in &specs {
        let py = spec.py();
        let needs = spec.borrow().needs.as_ref().map(|needs| needs.bind(py).clone());
        for need in needs.iter().flatten() {
            let need = need.cast::<NeedSpec>()?;
            if !need.borrow().is_loose {
                continue;
            }
            let key = need.borrow().key(py);
            let mut is_name = false;
            for other in &among {
                let (is_so_called, provides) = {
                    let other = other.borrow();
                    let provides = other.provides.as_ref().map(|keys| keys.bind(py).clone());
                    (need.borrow().named.as_deref() == Some(other.name.as_str()), provides)
                };
                if let (true, Some(provides)) = (is_so_called, provides) {
                    is_name |= provides.contains(&key)?;
                }
            }
            let mut need = need.borrow_mut();
            need.is_loose = false;
            if !is_name {
                need.named = None;
            }
        }
    }
    Ok(())
}
