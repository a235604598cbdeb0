//! Words of closed sets on their way across the border: one that is none of its set is an error and never a default.

use std::convert::Infallible;

use boot_orchestrator::steps::ThreadKind;
use boot_orchestrator::{Advice, no_such};
use component::{NeedKind, Phase, Step};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The error of a value that is not allowed there.
pub(crate) fn refused(py: Python<'_>, advice: Advice) -> PyErr {
    let made = || {
        let named = PyDict::new(py);
        named.set_item("code", advice.code.as_str())?;
        named.set_item("hints", [&advice.hint])?;
        let class = py.import("symphony.exceptions")?.getattr("InvalidValueError")?;
        class.call((&advice.message,), Some(&named))
    };
    made().map_or_else(|error| error, PyErr::from_value)
}

/// A word of a closed set.
#[derive(Clone, Copy)]
pub(crate) struct Word<T>(pub(crate) T);

/// A closed set of words.
pub(crate) trait Words: Copy + 'static {
    /// What one is called, and what several are.
    const NAMES: (&'static str, &'static str);
    /// Each word with what it stands for.
    const ALL: &'static [(&'static str, Self)];

    /// Its word.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| word)
    }
}

impl Words for Phase {
    const NAMES: (&'static str, &'static str) = ("phase", "phases");
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::Foundation.as_str(), Self::Foundation),
        (Self::IpcBus.as_str(), Self::IpcBus),
        (Self::Pit.as_str(), Self::Pit),
        (Self::OrchestraKit.as_str(), Self::OrchestraKit),
        (Self::Conductor.as_str(), Self::Conductor),
    ];
}

impl Words for NeedKind {
    const NAMES: (&'static str, &'static str) = ("kind of need", "kinds");
    const ALL: &'static [(&'static str, Self)] = &[
        ("one", Self::One),
        ("optional", Self::Optional),
        ("every", Self::Every),
        ("late", Self::Late),
    ];
}

impl Words for ThreadKind {
    const NAMES: (&'static str, &'static str) = ("kind of thread", "kinds");
    const ALL: &'static [(&'static str, Self)] =
        &[("shared", Self::Shared), ("own", Self::Own), ("calling", Self::Calling)];
}

impl Words for Step {
    const NAMES: (&'static str, &'static str) = ("step", "steps");
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::Start.as_str(), Self::Start),
        (Self::Health.as_str(), Self::Health),
        (Self::Stop.as_str(), Self::Stop),
    ];
}

impl<'py, T: Words + PartialEq> IntoPyObject<'py> for Word<T> {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyString::intern(py, self.0.word()))
    }
}

impl<T: Words> FromPyObject<'_, '_> for Word<T> {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let text = word.extract::<&str>()?;
        let found = T::ALL.iter().find(|(known, _)| *known == text);
        found.map(|(_, value)| Self(*value)).ok_or_else(|| {
            let (one, many) = T::NAMES;
            let known = T::ALL.iter().map(|(known, _)| *known);
            refused(word.py(), no_such(one, many, text, known))
        })
    }
}
