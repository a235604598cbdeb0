//! The names under which a constructor may have stored what was injected, read from its code; and what an attribute holds.
//!
//! Callers: `sites.rs` and `holders.rs`. Invariant: no property of a user's class runs, and no object's `__dict__` is
//! touched, because that slows the object for good.

use std::collections::VecDeque;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCode, PyDict, PySet, PyString, PyTuple, PyType};

/// The methods in which a consumer may store what it was given.
const MAKERS: [&str; 3] = ["__new__", "__init__", "start"];
/// So deep may decorators lie in one another; an object that claims to wrap something without end is no function.
const WRAPPED: usize = 100;

/// What a class itself has under a name, without what it inherits.
pub(super) fn own<'py>(
    class: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let space = class.getattr("__dict__")?;
    if space.contains(name)? { space.get_item(name).map(Some) } else { Ok(None) }
}

/// What an attribute holds; nothing where it is a property of its class, or has nothing.
pub(super) fn attribute<'py>(
    instance: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = instance.py();
    for base in instance.get_type().mro() {
        let Some(found) = own(&base, name)? else { continue };
        if found.hasattr("__get__")? && !found.get_type().is(slot_type(py)?) {
            return Ok(None);
        }
        break;
    }
    match instance.getattr(name) {
        Ok(value) => Ok(Some(value)),
        // What raises when it is read is no place of ours.
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The type of what stands in a class for each of its slots.
fn slot_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static SLOT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let found = SLOT.get_or_try_init(py, || {
        let handle = py.import("symphony._components.handles")?.getattr("Handle")?;
        let slot = handle.getattr("__dict__")?.get_item("value")?;
        PyResult::Ok(slot.get_type().unbind())
    })?;
    Ok(found.bind(py))
}

/// The names under which a constructor may have stored something, in the order in which they stand there.
///
/// Methods and properties that it uses are followed.
pub(super) fn names_of<'py>(class: &Bound<'py, PyType>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let py = class.py();
    let names = PyDict::new(py);
    let seen = PySet::empty(py)?;
    let mut waiting = VecDeque::new();
    for base in class.mro() {
        if let Some(slots) = own(&base, &PyString::intern(py, "__slots__"))? {
            for slot in slots_of(&slots)? {
                names.set_item(mangled(&base, &slot)?, ())?;
            }
        }
        for maker in MAKERS {
            waiting.extend(own(&base, &PyString::intern(py, maker))?);
        }
    }
    while let Some(member) = waiting.pop_front() {
        for code in codes_of(&member)? {
            if seen.contains(&code)? {
                continue;
            }
            seen.add(&code)?;
            let constants = code.getattr("co_consts")?.cast_into::<PyTuple>()?;
            let mut written = Vec::new();
            for name in code.getattr("co_names")?.try_iter()? {
                written.push(name?.cast_into::<PyString>()?);
            }
            for constant in &constants {
                // `setattr(self, "name", …)` has it as a text.
                if let Ok(text) = constant.cast::<PyString>()
                    && text.call_method0("isidentifier")?.is_truthy()?
                {
                    written.push(text.clone());
                }
            }
            for name in written {
                if names.contains(&name)? {
                    continue;
                }
                names.set_item(&name, ())?;
                for base in class.mro() {
                    waiting.extend(own(&base, &name)?);
                }
            }
            waiting.extend(constants.iter().filter(PyAnyMethods::is_instance_of::<PyCode>));
        }
    }
    names.iter().map(|(name, _)| Ok(name.cast_into::<PyString>()?)).collect()
}

/// The names that a class gives as its slots: one, or several.
fn slots_of<'py>(slots: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    if let Ok(one) = slots.cast::<PyString>() {
        return Ok(vec![one.clone()]);
    }
    slots.try_iter()?.map(|slot| Ok(slot?.cast_into::<PyString>()?)).collect()
}

/// The name of a slot as the interpreter has it.
fn mangled(class: &Bound<'_, PyAny>, slot: &Bound<'_, PyString>) -> PyResult<String> {
    let slot = slot.to_str()?;
    if !slot.starts_with("__") || slot.ends_with("__") {
        return Ok(slot.to_owned());
    }
    let owner = class.getattr("__name__")?.extract::<String>()?;
    Ok(format!("_{}{slot}", owner.trim_start_matches('_')))
}

/// The code of a function, of a property's functions, or of what a decorator wrapped.
pub(super) fn codes_of<'py>(member: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyCode>>> {
    if let Ok(code) = member.cast::<PyCode>() {
        return Ok(vec![code.clone()]);
    }
    if member.is_instance(&member.py().import("builtins")?.getattr("property")?)? {
        let mut codes = Vec::new();
        for name in ["fget", "fset"] {
            codes.extend(codes_of(&member.getattr(name)?)?);
        }
        return Ok(codes);
    }
    let mut function = member.getattr_opt("__func__")?.unwrap_or_else(|| member.clone());
    for _ in 0..WRAPPED {
        let Some(wrapped) = function.getattr_opt("__wrapped__")? else { break };
        function = wrapped;
    }
    let code = function.getattr_opt("__code__")?;
    Ok(code.and_then(|code| code.cast_into::<PyCode>().ok()).into_iter().collect())
}
