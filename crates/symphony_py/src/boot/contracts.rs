//! Contracts as Python describes them: members of a Protocol and of what provides it, from a live class or from a source.
//!
//! Called by `_components/contracts.py` and `_static/contracts.py`, which look things up. Invariant: nothing is decided
//! here, the rules are in `graph/contract.rs` of `boot_orchestrator`.

use std::cell::RefCell;
use std::sync::OnceLock;

use boot_orchestrator::{Claim, MemberKind, Parameter, Plainness, Verdict};
use pyo3::prelude::*;

use crate::door::diagnostic::{Diagnostic, Place};
use crate::door::words::{Word, Words};

impl Words for MemberKind {
    const NAMES: (&'static str, &'static str) = ("kind of member", "kinds");
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::Method.as_str(), Self::Method),
        (Self::Attribute.as_str(), Self::Attribute),
        (Self::Unknown.as_str(), Self::Unknown),
    ];
}

/// What a method may be called with, without `self`.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Signature(pub(crate) boot_orchestrator::Signature);

/// Flags of a code object: it takes `*args`, and `**kwargs`.
const STAR: u32 = 0x04;
const STARS: u32 = 0x08;

#[pymethods]
impl Signature {
    /// `positional` has for each its name, whether it has a default, and whether it is positional only.
    #[new]
    fn new(
        positional: Vec<(String, bool, bool)>,
        keywords: Vec<(String, bool)>,
        star: bool,
        stars: bool,
    ) -> Self {
        let positional = positional.into_iter();
        let positional = positional.map(|(name, has, only)| Parameter::new(name, has, only));
        let positional = positional.collect();
        Self(boot_orchestrator::Signature { positional, keywords, star, stars })
    }

    /// Of a function without its first `dropped` parameters; nothing where it has none to be called on.
    #[staticmethod]
    fn of(function: &Bound<'_, PyAny>, dropped: usize) -> PyResult<Option<Self>> {
        let code = function.getattr("__code__")?;
        let number = |name: &str| code.getattr(name)?.extract::<usize>();
        let (count, only) = (number("co_argcount")?, number("co_posonlyargcount")?);
        let flags: u32 = code.getattr("co_flags")?.extract()?;
        let star = flags & STAR != 0;
        if count < dropped && !star {
            return Ok(None);
        }
        let names: Vec<String> = code.getattr("co_varnames")?.extract()?;
        let defaults = function.getattr("__defaults__")?;
        let first_default = count - if defaults.is_none() { 0 } else { defaults.len()? };
        let keyword_defaults = function.getattr("__kwdefaults__")?;
        let last = count + number("co_kwonlyargcount")?;
        let keywords = names.iter().take(last).skip(count).map(|name| {
            let has = !keyword_defaults.is_none() && keyword_defaults.contains(name)?;
            PyResult::Ok((name.clone(), has))
        });
        let positional = names.iter().enumerate().take(count).skip(dropped);
        let positional =
            positional.map(|(at, name)| (name.clone(), at >= first_default, at < only));
        Ok(Some(Self::new(
            positional.collect(),
            keywords.collect::<PyResult<_>>()?,
            star,
            flags & STARS != 0,
        )))
    }

    /// The same of the parameters that were parsed, `ast.arguments`.
    #[staticmethod]
    fn written(arguments: &Bound<'_, PyAny>, dropped: usize) -> PyResult<Option<Self>> {
        let list = |name: &str| arguments.getattr(name)?.extract::<Vec<Bound<'_, PyAny>>>();
        let name = |one: &Bound<'_, PyAny>| one.getattr("arg")?.extract::<String>();
        let only = list("posonlyargs")?;
        let all: Vec<_> = only.iter().cloned().chain(list("args")?).collect();
        let star = !arguments.getattr("vararg")?.is_none();
        if all.len() < dropped && !star {
            return Ok(None);
        }
        let first_default = all.len() - list("defaults")?.len();
        let positional = all.iter().enumerate().skip(dropped);
        let positional = positional
            .map(|(at, one)| PyResult::Ok((name(one)?, at >= first_default, at < only.len())));
        let keywords = list("kwonlyargs")?.into_iter().zip(list("kw_defaults")?);
        let keywords =
            keywords.map(|(one, default)| PyResult::Ok((name(&one)?, !default.is_none())));
        Ok(Some(Self::new(
            positional.collect::<PyResult<_>>()?,
            keywords.collect::<PyResult<_>>()?,
            star,
            !arguments.getattr("kwarg")?.is_none(),
        )))
    }
}

/// A method or an attribute.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct Member {
    kind: MemberKind,
    signature: Option<boot_orchestrator::Signature>,
    is_async: bool,
    /// What tells whether its type is plain, where that is not known yet.
    told_by: Option<Py<PyAny>>,
    plainness: OnceLock<Plainness>,
}

/// `None` is what a text hides.
fn plainness(plain: &Bound<'_, PyAny>) -> PyResult<Plainness> {
    Ok(match plain.extract::<Option<bool>>()? {
        Some(true) => Plainness::Plain,
        Some(false) => Plainness::Other,
        None => Plainness::Hidden,
    })
}

#[pymethods]
impl Member {
    #[new]
    #[pyo3(signature = (kind, signature=None, *, is_async=false, plain))]
    fn new(
        kind: Word<MemberKind>,
        signature: Option<PyRef<'_, Signature>>,
        is_async: bool,
        plain: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let is_told = plain.is_callable();
        let known = OnceLock::new();
        if !is_told {
            let _ = known.set(plainness(&plain)?);
        }
        Ok(Self {
            kind: kind.0,
            signature: signature.map(|signature| signature.0.clone()),
            is_async,
            told_by: is_told.then(|| plain.unbind()),
            plainness: known,
        })
    }
}

impl Member {
    fn plainness(&self, py: Python<'_>) -> PyResult<Plainness> {
        if let Some(known) = self.plainness.get() {
            return Ok(*known);
        }
        let found = match &self.told_by {
            Some(tells) => plainness(&tells.bind(py).call0()?)?,
            None => Plainness::Other,
        };
        Ok(*self.plainness.get_or_init(|| found))
    }

    /// Judges it; what raises while a type is looked up is raised.
    fn judged(
        &self,
        py: Python<'_>,
        claim: &Claim<'_>,
        name: &str,
        given: &Self,
    ) -> PyResult<Verdict> {
        let raised = RefCell::new(None);
        let look = |member: &Self| {
            member.plainness(py).unwrap_or_else(|error| {
                raised.borrow_mut().get_or_insert(error);
                Plainness::Other
            })
        };
        let (asked_plain, given_plain) = (|| look(self), || look(given));
        let verdict = claim.judge(name, self.seen(&asked_plain), given.seen(&given_plain));
        match raised.into_inner() {
            Some(error) => Err(error),
            None => Ok(verdict),
        }
    }

    fn seen<'a>(&'a self, plainness: &'a dyn Fn() -> Plainness) -> boot_orchestrator::Member<'a> {
        let signature = self.signature.as_ref();
        boot_orchestrator::Member { kind: self.kind, signature, is_async: self.is_async, plainness }
    }
}

/// What is wrong with a component that provides a Protocol.
///
/// `lookup` describes both classes: `made` and `protocol` are what people read for them, `is_whole` says whether all of
/// the class is known; `asked()` gives the Protocol's members by name, `given(name)` the class's or nothing, `is_open(name)`
/// whether an object may have it though its class does not tell; `place(name)` and `asked_place(name)` where they stand,
/// the one with whether the member itself stands there, the other with how it is written.
#[pyfunction]
pub(crate) fn contract_faults(
    py: Python<'_>,
    component: &str,
    lookup: &Bound<'_, PyAny>,
) -> PyResult<Vec<Diagnostic>> {
    let made: String = lookup.getattr("made")?.extract()?;
    let protocol: String = lookup.getattr("protocol")?.extract()?;
    let claim = Claim { component, made: &made, protocol: &protocol };
    let mut found = Vec::new();
    for entry in lookup.call_method0("asked")?.try_iter()? {
        let (name, asked): (String, PyRef<'_, Member>) = entry?.extract()?;
        if !boot_orchestrator::is_asked(&name, asked.kind) {
            continue;
        }
        let given: Option<PyRef<'_, Member>> = lookup.call_method1("given", (&name,))?.extract()?;
        let (text, is_hidden) = match &given {
            Some(given) => match asked.judged(py, &claim, &name, given)? {
                Verdict::Fits => continue,
                Verdict::Differs(text) => (text, false),
                Verdict::Hidden => (format!("`{made}.{name}` and `{protocol}.{name}`"), true),
            },
            None if lookup.call_method1("is_open", (&name,))?.extract()? => continue,
            None => {
                (claim.absent(&name, asked.kind), !lookup.getattr("is_whole")?.extract::<bool>()?)
            }
        };
        let (place, is_member): (Place, bool) =
            lookup.call_method1("place", (&name,))?.extract()?;
        found.push(Diagnostic(if is_hidden {
            claim.note(&text, place.0)
        } else {
            let (asked_place, wanted): (Place, Option<String>) =
                lookup.call_method1("asked_place", (&name,))?.extract()?;
            let given = if is_member { format!("{made}.{name}") } else { made.clone() };
            let asked = (asked_place.0, format!("{protocol}.{name}"));
            claim.fault(text, (place.0, given), asked, wanted.as_deref())
        }));
    }
    Ok(found)
}

/// The fault of a client's Protocol that names what its extension does not declare.
#[pyfunction]
pub(crate) fn client_fault(
    protocol: &str,
    method: &str,
    extension: &str,
    declared: Vec<String>,
    asked: Place,
    manifest: Place,
) -> Diagnostic {
    let (asked, manifest) = (asked.0, manifest.0);
    Diagnostic(boot_orchestrator::client_fault(
        protocol, method, extension, &declared, asked, manifest,
    ))
}

/// The note on something of which only its import would tell.
#[pyfunction]
pub(crate) fn unfollowed(component: &str, text: &str, place: Place) -> Diagnostic {
    Diagnostic(boot_orchestrator::unfollowed(component, text, place.0))
}
