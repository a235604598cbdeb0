//! Specifications as `symphony/_components/spec.py` has them, on their way to the planner: the one place that reads them.
//!
//! Callers: `boot/driver.rs` for a boot and what comes to it, `boot/check.rs` for the command line. Invariants: a word that
//! is none of its set is an error and never a default; needs that were written in their component's file share its text.

use std::collections::HashMap;
use std::sync::Arc;

use boot_orchestrator::steps::ThreadKind;
use boot_orchestrator::system::own_parts;
use boot_orchestrator::{Advice, Called, no_such};
use component::{ComponentName, Descriptor, Location, Need, NeedKind, Phase, Remedy, Work};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};
use pyo3::{PyTypeInfo as _, intern};

use crate::door::error::Fields;

/// A word of a closed set.
pub(crate) struct Word<T>(pub(crate) T);

/// A closed set of words.
pub(crate) trait Words: Copy + 'static {
    /// What one is called, and what several are.
    const NAMES: (&'static str, &'static str);
    /// Each word with what it stands for.
    const ALL: &'static [(&'static str, Self)];
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

impl<T: Words> FromPyObject<'_, '_> for Word<T> {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let text = word.extract::<&str>()?;
        let found = T::ALL.iter().find(|(known, _)| *known == text);
        found.map(|(_, value)| Self(*value)).ok_or_else(|| {
            let (one, many) = T::NAMES;
            let Advice { code, message, hint } =
                no_such(one, many, text, T::ALL.iter().map(|(known, _)| *known));
            let mut fields = Fields::new(code, message);
            fields.hints.push(hint);
            fields.raise(word.py())
        })
    }
}

/// A part of Symphony that has a handle in Python.
#[pyclass(frozen, get_all, module = "symphony._core")]
pub(crate) struct OwnPart {
    /// Its component's name.
    name: &'static str,
    /// The attribute of `Pit` that has it, where it is a member.
    attribute: Option<&'static str>,
    /// The phase in which it starts.
    phase: &'static str,
    /// What people call it.
    label: &'static str,
}

static OWN: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Symphony's own parts by the classes of their handles, and by the names of these in the package.
#[pyfunction]
pub(crate) fn own_parts_by_class(py: Python<'_>) -> PyResult<Py<PyDict>> {
    let found = OWN.get_or_try_init(py, || {
        let found = PyDict::new(py);
        let package = py.import("symphony")?;
        for part in own_parts() {
            let (name, attribute) = (part.name, part.attribute);
            let own = OwnPart { name, attribute, phase: part.phase.as_str(), label: part.class };
            let own = Bound::new(py, own)?;
            found.set_item(package.getattr(part.class)?, &own)?;
            found.set_item(format!("symphony.{}", part.class), own)?;
        }
        PyResult::Ok(found.unbind())
    })?;
    Ok(found.clone_ref(py))
}

/// One edge, as it was read.
pub(crate) struct NeedSpec<'py> {
    key: Bound<'py, PyAny>,
    kind: Word<NeedKind>,
    named: Option<String>,
    parameter: String,
    file: Option<Bound<'py, PyString>>,
    line: u32,
    column: u32,
    fits: Option<String>,
    is_class: bool,
}

/// One component, as it was read.
pub(crate) struct ComponentSpec<'py> {
    pub(crate) name: String,
    phase: Word<Phase>,
    provides: Vec<Bound<'py, PyAny>>,
    needs: Vec<NeedSpec<'py>>,
    pub(crate) thread: Word<ThreadKind>,
    required: bool,
    timeout: Option<f64>,
    pub(crate) target: Bound<'py, PyAny>,
    file: Option<Bound<'py, PyString>>,
    line: u32,
    column: u32,
}

/// A field, with its own error: the derived conversion would tell every fault as a `TypeError`.
fn field<'py, T: FromPyObjectOwned<'py>>(
    object: Borrowed<'_, 'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<T> {
    object.getattr(name)?.extract::<T>().map_err(Into::into)
}

impl<'py> FromPyObject<'_, 'py> for NeedSpec<'py> {
    type Error = PyErr;

    fn extract(need: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = need.py();
        Ok(Self {
            key: field(need, intern!(py, "key"))?,
            kind: field(need, intern!(py, "kind"))?,
            named: field(need, intern!(py, "named"))?,
            parameter: field(need, intern!(py, "parameter"))?,
            file: field(need, intern!(py, "file"))?,
            line: field(need, intern!(py, "line"))?,
            column: field(need, intern!(py, "column"))?,
            fits: field(need, intern!(py, "fits"))?,
            is_class: field(need, intern!(py, "is_class"))?,
        })
    }
}

impl<'py> FromPyObject<'_, 'py> for ComponentSpec<'py> {
    type Error = PyErr;

    fn extract(spec: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = spec.py();
        Ok(Self {
            name: field(spec, intern!(py, "name"))?,
            phase: field(spec, intern!(py, "phase"))?,
            provides: field(spec, intern!(py, "provides"))?,
            needs: field(spec, intern!(py, "needs"))?,
            thread: field(spec, intern!(py, "thread"))?,
            required: field(spec, intern!(py, "required"))?,
            timeout: field(spec, intern!(py, "timeout"))?,
            target: field(spec, intern!(py, "target"))?,
            file: field(spec, intern!(py, "file"))?,
            line: field(spec, intern!(py, "line"))?,
            column: field(spec, intern!(py, "column"))?,
        })
    }
}

impl ComponentSpec<'_> {
    /// Whether it is a Conductor named by a string whose source tells nothing.
    pub(crate) fn is_unread(&self) -> bool {
        self.target.is_none() && self.file.is_none()
    }
}

/// The planner's keys of Python's objects, made when they are first asked for.
///
/// A class is remembered by its address: whoever has specifications of it keeps it.
#[derive(Default)]
pub(crate) struct Keys(HashMap<usize, component::Key>);

impl Keys {
    /// What the planner is to know of a component.
    pub(crate) fn descriptor(&mut self, spec: &ComponentSpec<'_>) -> PyResult<Descriptor> {
        let file: Option<Arc<str>> = match &spec.file {
            Some(file) => Some(Arc::from(file.extract::<&str>()?)),
            None => None,
        };
        let mut descriptor = Descriptor::new(ComponentName::from(spec.name.as_str()), spec.phase.0);
        for key in &spec.provides {
            descriptor.provides.push(self.of(key)?);
        }
        if descriptor.provides.is_empty() {
            // A Conductor whose factory does not say what it makes.
            descriptor.provides.push(component::Key::labelled("conductor", "Conductor"));
        }
        descriptor.needs.reserve(spec.needs.len());
        for need in &spec.needs {
            let own = match (&need.file, &spec.file) {
                (Some(one), Some(other)) if one.is(other) => file.clone(),
                (Some(one), _) => Some(Arc::from(one.extract::<&str>()?)),
                (None, _) => None,
            };
            let (line, column) = (need.line, need.column);
            let remedy = match (&need.fits, need.is_class) {
                (Some(class), _) => Remedy::Mark(Arc::from(class.as_str())),
                (None, true) => Remedy::Register,
                (None, false) => Remedy::Unknown,
            };
            descriptor.needs.push(Need {
                key: self.of(&need.key)?,
                kind: need.kind.0,
                named: need.named.as_deref().map(ComponentName::from),
                parameter: Some(Arc::from(need.parameter.as_str())),
                location: own.map(|file| Location { file, line, column }),
                remedy,
            });
        }
        descriptor.required = spec.required;
        descriptor.work = Work::Other;
        descriptor.deadline = spec.timeout.and_then(component::span);
        let (line, column) = (spec.line, spec.column);
        descriptor.location = file.map(|file| Location { file, line, column });
        Ok(descriptor)
    }

    /// The key of an object: what the core provides by its own name, a class by its identity.
    fn of(&mut self, key: &Bound<'_, PyAny>) -> PyResult<component::Key> {
        let is_plain = key.get_type().is(PyType::type_object(key.py()));
        if let Some(known) = self.0.get(&(key.as_ptr() as usize)).filter(|_| is_plain) {
            return Ok(known.clone());
        }
        let made = made(key, is_plain)?;
        if is_plain {
            self.0.insert(key.as_ptr() as usize, made.clone());
        }
        Ok(made)
    }
}

fn made(key: &Bound<'_, PyAny>, is_plain: bool) -> PyResult<component::Key> {
    let py = key.py();
    if let Some(own) = own_parts_by_class(py)?.bind(py).get_item(key)? {
        let own = own.cast_into::<OwnPart>()?;
        return Ok(component::Key::labelled(own.get().name, own.get().label));
    }
    if let Ok(name) = key.extract::<&str>() {
        return Ok(component::Key::labelled(name, label_of(name)));
    }
    let label = if is_plain {
        key.getattr("__name__")?.to_string()
    } else {
        let texts = py.import("symphony._components.annotations")?;
        texts.getattr("text_of")?.call1((key,))?.extract::<String>()?
    };
    if !is_plain && !key.getattr("__args__").is_ok_and(|found| !found.is_none()) {
        let module = key.getattr("__module__").map(|module| module.to_string()).unwrap_or_default();
        return Ok(by_identity(key, &module, label));
    }
    if is_plain {
        let module = key.getattr("__module__")?.to_string();
        return Ok(by_identity(key, &module, label));
    }
    // `Box[int]` is another object each time it is written, and the same key.
    Ok(component::Key::labelled(format!("{label}#{:x}", key.hash()?), label))
}

fn by_identity(key: &Bound<'_, PyAny>, module: &str, label: String) -> component::Key {
    component::Key::labelled(format!("{module}.{label}#{:x}", key.as_ptr() as usize), label)
}

/// What people read for a qualified name, as `text_of` has it for the object itself.
fn label_of(name: &str) -> String {
    if name.contains('[') {
        return name.replace("builtins.", "").replace("typing.", "");
    }
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// How a specification is called.
pub(crate) fn called(spec: &Bound<'_, PyAny>) -> PyResult<Called> {
    let module: String = spec.getattr("module")?.extract()?;
    let target = spec.getattr("target")?;
    let identity = if target.is_none() {
        format!("{module}:{}", spec.getattr("qualname")?.extract::<String>()?)
    } else {
        format!("#{:x}", target.as_ptr() as usize)
    };
    let (name, is_given) = (spec.getattr("name")?.extract()?, spec.getattr("named")?.extract()?);
    Ok(Called { name, is_given, module, identity })
}
