//! Specifications on their way to the planner: their keys, and Symphony's own parts.
//!
//! Callers: `boot/driver.rs` for a boot and what comes to it, `boot/check.rs` for the command line. Invariant: needs that
//! were written in their component's file share its text.

use std::collections::HashMap;
use std::sync::Arc;

use boot_orchestrator::Called;
use boot_orchestrator::system::own_parts;
use component::{ComponentName, Descriptor, Location, Need, Phase, Remedy, Work};
use pyo3::PyTypeInfo as _;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::door::spec::{ComponentSpec, NeedSpec};

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

/// The phase and the name of the part of Symphony that a key is, where it is one.
pub(crate) fn own_part(key: &Bound<'_, PyAny>) -> PyResult<Option<(Phase, &'static str)>> {
    let py = key.py();
    let Some(own) = own_parts_by_class(py)?.bind(py).get_item(key)? else { return Ok(None) };
    let name = own.cast_into::<OwnPart>()?.get().name;
    Ok(own_parts().find(|part| part.name == name).map(|part| (part.phase, part.name)))
}

/// The planner's keys of Python's objects, made when they are first asked for.
///
/// A class is remembered by its address: whoever has specifications of it keeps it.
#[derive(Default)]
pub(crate) struct Keys(HashMap<usize, component::Key>);

impl Keys {
    /// What the planner is to know of a component.
    pub(crate) fn descriptor(
        &mut self,
        py: Python<'_>,
        spec: &ComponentSpec,
    ) -> PyResult<Descriptor> {
        let file: Option<Arc<str>> = match &spec.file {
            Some(file) => Some(Arc::from(file.bind(py).extract::<&str>()?)),
            None => None,
        };
        let mut descriptor = Descriptor::new(ComponentName::from(spec.name.as_str()), spec.phase);
        for key in spec.provides.iter().flat_map(|keys| keys.bind(py).iter()) {
            descriptor.provides.push(self.of(&key)?);
        }
        if descriptor.provides.is_empty() {
            // A Conductor whose factory does not say what it makes.
            descriptor.provides.push(component::Key::labelled("conductor", "Conductor"));
        }
        for need in spec.needs.iter().flat_map(|needs| needs.bind(py).iter()) {
            let need = need.cast::<NeedSpec>()?.borrow();
            let own = match (&need.file, &spec.file) {
                (Some(one), Some(other)) if one.is(other) => file.clone(),
                (Some(one), _) => Some(Arc::from(one.bind(py).extract::<&str>()?)),
                (None, _) => None,
            };
            let (line, column) = (need.line, need.column);
            let remedy = match (&need.fits, need.is_class) {
                (Some(class), _) => Remedy::Mark(Arc::from(class.as_str())),
                (None, true) => Remedy::Register,
                (None, false) => Remedy::Unknown,
            };
            descriptor.needs.push(Need {
                key: self.of(&need.key(py))?,
                kind: need.need_kind(),
                named: need.named.as_deref().map(ComponentName::from),
                parameter: Some(Arc::from(need.parameter(py).extract::<&str>()?)),
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

/// How a specification is called; two objects of one class are one name twice, as in the text of their sources.
pub(crate) fn called(spec: &ComponentSpec) -> Called {
    let target = spec.target.as_ref().filter(|_| !spec.is_instance());
    let identity = target.map_or_else(
        || format!("{}:{}", spec.module, spec.qualname),
        |target| format!("#{:x}", target.as_ptr() as usize),
    );
    let (name, module) = (spec.name.clone(), spec.module.clone());
    Called { name, is_given: spec.named, module, identity }
}
