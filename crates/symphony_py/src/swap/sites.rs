//! Injection sites: where a consumer holds what was injected, and how all are rewritten at once.
//!
//! Callers: a swap, an experiment and an override. A site is an attribute or slot, found by identity among the names in the
//! constructor's code. Invariant: [`Sites::put`] is whole or it did not happen.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyString, PyTuple,
    PyType,
};
use pyo3::{PyTraverseError, PyVisit};

use super::names::{attribute, names_of};
use crate::door::spec::{ComponentSpec, NeedSpec};

/// An attribute: the object and the name.
type ObjectAttribute = (Py<PyAny>, Py<PyString>);
/// The consumer, as its `Live`, and the name of the attribute.
type Site = (Py<PyAny>, Py<PyString>);

/// Every place that holds one object which was injected, ready to be rewritten.
#[pyclass(module = "symphony._core")]
pub(crate) struct Sites {
    container: Option<Py<PyAny>>,
    /// Of classes that set attributes as every object does.
    plain: Vec<ObjectAttribute>,
    /// Of frozen data classes, whose own way to set would refuse.
    frozen: Vec<ObjectAttribute>,
    /// Of classes with a `__setattr__` of their own: code of users.
    custom: Vec<ObjectAttribute>,
    lists: Vec<(Py<PyList>, usize)>,
    /// The keys that are rewritten; `None` for every one that has the object.
    provided: Option<Py<PyAny>>,
    attributes: Vec<Site>,
    /// Consumer and attribute of each site, in words.
    #[pyo3(get)]
    rewritten: Vec<(String, String)>,
    /// How many handles hold it.
    #[pyo3(get)]
    handles: usize,
}

#[pymethods]
impl Sites {
    /// Finds every place that holds the object which consumers see of a component.
    #[staticmethod]
    fn find(
        container: &Bound<'_, PyAny>,
        live: &Bound<'_, PyAny>,
        shown: &Bound<'_, PyAny>,
        consumers: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut sites = Self::empty(container);
        for consumer in consumers.try_iter()? {
            let consumer = consumer?;
            if !consumer.is(live) {
                sites.of_consumer(&consumer, live, shown)?;
            }
        }
        sites.of_handles(&container.call_method0("handles")?, shown)?;
        Ok(sites)
    }

    /// Finds the places that were found once, whatever they hold now, and those that came to hold the object since.
    #[staticmethod]
    fn find_again(
        container: &Bound<'_, PyAny>,
        before: Vec<(Bound<'_, PyAny>, Bound<'_, PyString>)>,
        live: &Bound<'_, PyAny>,
        shown: &Bound<'_, PyAny>,
        consumers: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut sites = Self::empty(container);
        for (consumer, name) in before {
            if consumer.getattr("is_built")?.is_truthy()? {
                sites.add(&consumer.getattr("instance")?, &name)?;
                sites.rewritten.push((name_of(&consumer)?, name.extract()?));
            }
        }
        for consumer in consumers.try_iter()? {
            sites.of_consumer(&consumer?, live, shown)?;
        }
        let provided = live.getattr("spec")?.getattr("provides")?;
        sites.of_handles(&container.call_method1("handles_of", (&provided,))?, shown)?;
        for entry in container.getattr("lists")?.try_iter()? {
            let (every, need, _) = parts(&entry?)?;
            let known = sites.lists.iter().any(|(one, _)| one.is(&every));
            let key = need.borrow().key(container.py());
            if let Some(place) = place_in(&every, shown)
                && !known
                && provided.contains(key)?
            {
                sites.lists.push((every.unbind(), place));
            }
        }
        sites.provided = Some(provided.unbind());
        Ok(sites)
    }

    /// Adds the attributes of the Pit's handle that hold it.
    fn add_pit(&mut self, pit: &Bound<'_, PyAny>, shown: &Bound<'_, PyAny>) -> PyResult<()> {
        for name in pit.get_type().getattr("__slots__")?.try_iter()? {
            let name = name?.cast_into::<PyString>()?;
            // A member that was not started is in no attribute.
            if pit.getattr(&name).is_ok_and(|found| found.is(shown)) {
                self.add(pit, &name)?;
                self.rewritten.push(("Pit".to_owned(), name.extract()?));
            }
        }
        Ok(())
    }

    /// Consumer and name of each attribute.
    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.attributes)
    }

    /// Rewrites all places; where one refuses, every one has the old object again.
    fn put(&self, old: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = old.py();
        let mut keys = Vec::new();
        let outcome = self.put_all(old, new, &mut keys);
        if outcome.is_err() {
            for (instance, name) in self.plain.iter().chain(&self.custom) {
                // The place is the user's; the others go on.
                let _refused = set_one(instance.bind(py), name.bind(py), old);
            }
            set_frozen(py, &self.frozen, old)?;
            self.store(&keys, old)?;
        }
        outcome
    }

    /// Rewrites every place that lets itself be rewritten, then raises what the first one raised that did not.
    fn restore(&self, shown: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = shown.py();
        let mut refused = Ok(());
        for (instance, name) in self.plain.iter().chain(&self.custom) {
            match set_one(instance.bind(py), name.bind(py), value) {
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    refused = refused.and(Err(error));
                }
                outcome => outcome?,
            }
        }
        set_frozen(py, &self.frozen, value)?;
        self.store(&self.known(shown)?, value)?;
        refused
    }

    /// The attributes that nothing can rewrite: what is there is put there again.
    fn fixed(&self, shown: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let py = shown.py();
        let mut found = Vec::new();
        for (instance, name) in &self.custom {
            let (instance, name) = (instance.bind(py), name.bind(py));
            let is_settable = set_without(instance, name, shown).is_ok()
                || set_one(instance, name, shown).is_ok();
            if !is_settable {
                found.push(format!("{}.{name}", instance.get_type().name()?));
            }
        }
        Ok(found)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.container)?;
        for (object, _) in self.plain.iter().chain(&self.frozen).chain(&self.custom) {
            visit.call(object)?;
        }
        for (every, _) in &self.lists {
            visit.call(every)?;
        }
        for (consumer, _) in &self.attributes {
            visit.call(consumer)?;
        }
        visit.call(&self.provided)
    }

    fn __clear__(&mut self) {
        (self.container, self.provided) = (None, None);
        for places in [&mut self.plain, &mut self.frozen, &mut self.custom, &mut self.attributes] {
            places.clear();
        }
        self.lists.clear();
    }
}

impl Sites {
    fn empty(container: &Bound<'_, PyAny>) -> Self {
        Self {
            container: Some(container.clone().unbind()),
            plain: Vec::new(),
            frozen: Vec::new(),
            custom: Vec::new(),
            lists: Vec::new(),
            provided: None,
            attributes: Vec::new(),
            rewritten: Vec::new(),
            handles: 0,
        }
    }

    /// Adds what one consumer holds.
    fn of_consumer(
        &mut self,
        consumer: &Bound<'_, PyAny>,
        live: &Bound<'_, PyAny>,
        shown: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = shown.py();
        let parameters = parameters(consumer, live)?;
        let Some(container) = self.container.as_ref().filter(|_| !parameters.is_empty()) else {
            return Ok(());
        };
        let mut lists = Vec::new();
        for entry in container.bind(py).getattr("lists")?.try_iter()? {
            let (every, _, owner) = parts(&entry?)?;
            if owner.is(consumer)
                && let Some(place) = place_in(&every, shown)
            {
                lists.push((every, place));
            }
        }
        let instance = consumer.getattr("instance")?;
        let is_shared = is_shared(shown);
        let mut names = names_of(&instance.get_type())?;
        for parameter in &parameters {
            // What is kept by what made the class, a model, is nowhere in the code of its constructor.
            for text in [parameter.clone(), format!("_{parameter}")] {
                if !names.iter().any(|known| *known == *text.as_str()) {
                    names.push(PyString::new(py, &text));
                }
            }
        }
        for name in names {
            let Some(value) = attribute(&instance, &name)? else { continue };
            let text = name.to_str()?;
            if value.is(shown) {
                let is_named = parameters.iter().any(|known| known == text.trim_matches('_'));
                if is_shared && !is_named {
                    continue;
                }
                self.add(&instance, &name)?;
                self.rewritten.push((name_of(consumer)?, text.to_owned()));
                self.attributes.push((consumer.clone().unbind(), name.unbind()));
                continue;
            }
            for (every, place) in &lists {
                if value.is(every) {
                    self.rewritten.push((name_of(consumer)?, format!("{text}[{place}]")));
                }
            }
        }
        self.lists.extend(lists.into_iter().map(|(every, place)| (every.unbind(), place)));
        Ok(())
    }

    /// Adds the handles among these that hold the object.
    fn of_handles(&mut self, handles: &Bound<'_, PyAny>, shown: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = shown.py();
        let module = py.import("symphony._components.handles")?;
        let (bound, late) = (module.getattr("Handle")?, module.getattr("Late")?);
        let name = PyString::intern(py, "value");
        for handle in handles.try_iter()? {
            let handle = handle?;
            let class = handle.get_type();
            // One that is not bound yet, or was stopped, is of another class and raises.
            if (class.is(&bound) || class.is(&late)) && handle.getattr(&name)?.is(shown) {
                self.plain.push((handle.unbind(), name.clone().unbind()));
                self.handles += 1;
            }
        }
        Ok(())
    }

    /// Adds one attribute.
    fn add(&mut self, instance: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<()> {
        let class = instance.get_type();
        let setter = class.getattr("__setattr__")?;
        let parameters = class.getattr_opt("__dataclass_params__")?;
        let frozen = parameters.map(|all| all.getattr_opt("frozen")).transpose()?.flatten();
        let places = if setter.is(&instance.py().get_type::<PyAny>().getattr("__setattr__")?) {
            &mut self.plain
        } else if frozen.map_or(Ok(false), |frozen| frozen.is_truthy())? {
            &mut self.frozen
        } else {
            &mut self.custom
        };
        places.push((instance.clone().unbind(), name.clone().unbind()));
        Ok(())
    }

    fn put_all<'py>(
        &self,
        old: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
        keys: &mut Vec<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = old.py();
        // Nothing of Python's runs in the first two loops, and so no other thread of it.
        set_all(py, &self.plain, new)?;
        set_frozen(py, &self.frozen, new)?;
        for (instance, name) in &self.custom {
            set_one(instance.bind(py), name.bind(py), new)?;
        }
        *keys = self.known(old)?;
        self.store(keys, new)
    }

    /// The keys under which the container keeps it, also those that were asked for since it was looked for.
    fn known<'py>(&self, shown: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let Some(container) = &self.container else { return Ok(Vec::new()) };
        let instances = container.bind(shown.py()).getattr("instances")?.cast_into::<PyDict>()?;
        let mut known = Vec::new();
        for (key, held) in instances.copy()? {
            let provided = self.provided.as_ref().map(|keys| keys.bind(shown.py()));
            if held.is(shown) && provided.map_or(Ok(true), |keys| keys.contains(&key))? {
                known.push(key);
            }
        }
        Ok(known)
    }

    /// Puts an object into the lists, and under these keys of the container.
    fn store(&self, keys: &[Bound<'_, PyAny>], value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        for (every, place) in &self.lists {
            every.bind(py).set_item(*place, value)?;
        }
        let Some(container) = &self.container else { return Ok(()) };
        let container = container.bind(py);
        let turn = container.getattr("turn")?.extract::<u64>()?;
        container.setattr("turn", turn + 1)?;
        let instances = container.getattr("instances")?;
        let found = container.getattr("found")?;
        for key in keys {
            instances.set_item(key, value)?;
            if found.contains(key)? {
                found.set_item(key, value)?;
            }
        }
        // Once more: one that asked in between kept what it had read before.
        container.setattr("turn", turn + 2)
    }
}

/// What was injected into a component that is about to come may have been swapped while it was built.
#[pyfunction]
pub(crate) fn refresh(container: &Bound<'_, PyAny>, live: &Bound<'_, PyAny>) -> PyResult<()> {
    let injected = live.getattr("injected")?;
    live.setattr("injected", container.py().None())?;
    let instance = live.getattr("instance")?;
    let absent = container.py().import("symphony._boot.container")?.getattr("ABSENT")?;
    for entry in injected.try_iter()? {
        let (need, value) = entry?.extract::<(Bound<'_, NeedSpec>, Bound<'_, PyAny>)>()?;
        let (key, named) = (need.getattr("key")?, need.getattr("named")?);
        let current = container.call_method1("lookup", (key, named))?;
        let is_handle = need.getattr("handle")?.is_truthy()?;
        if current.is(&value) || current.is(&absent) || is_handle || is_shared(&value) {
            continue;
        }
        for name in names_of(&instance.get_type())? {
            if attribute(&instance, &name)?.is_some_and(|held| held.is(&value)) {
                instance.setattr(name, &current)?;
            }
        }
    }
    Ok(())
}

/// Whether a value is shared by whoever writes the same one: identity alone does not say that it was injected.
#[pyfunction]
pub(crate) fn is_shared(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyComplex>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PyFrozenSet>()
        || value.is_instance_of::<PyType>()
}

/// The parameters of a consumer that ask for the object itself of a component.
fn parameters(consumer: &Bound<'_, PyAny>, live: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let needs = consumer.getattr("spec")?.getattr("needs")?;
    let spec = live.getattr("spec")?.cast_into::<ComponentSpec>()?;
    let mut found = Vec::new();
    for need in needs.try_iter()? {
        let need = need?.cast_into::<NeedSpec>()?;
        if need.borrow().asks(&spec)? {
            found.push(need.borrow().parameter(spec.py()).extract()?);
        }
    }
    Ok(found)
}

/// The name of a component.
fn name_of(live: &Bound<'_, PyAny>) -> PyResult<String> {
    live.getattr("spec")?.getattr("name")?.extract()
}

/// A list of every provider, the need that it was made for, and who has that.
type Every<'py> = (Bound<'py, PyList>, Bound<'py, NeedSpec>, Bound<'py, PyAny>);

fn parts<'py>(entry: &Bound<'py, PyAny>) -> PyResult<Every<'py>> {
    entry.extract()
}

fn place_in(every: &Bound<'_, PyList>, shown: &Bound<'_, PyAny>) -> Option<usize> {
    every.iter().position(|value| value.is(shown))
}

fn set_all(py: Python<'_>, places: &[ObjectAttribute], value: &Bound<'_, PyAny>) -> PyResult<()> {
    places.iter().try_for_each(|(instance, name)| instance.bind(py).setattr(name.bind(py), value))
}

/// Rewrites a place of a class with a way to set of its own; without it where that refuses what is there already, too, as
/// a frozen class does. Who refuses only the new one is heard.
fn set_one(
    instance: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = instance.py();
    let Err(refused) = instance.setattr(name, value) else { return Ok(()) };
    if !refused.is_instance_of::<PyException>(py) {
        return Err(refused);
    }
    let is_frozen = instance.getattr(name).is_ok_and(|held| instance.setattr(name, held).is_err());
    if is_frozen && set_without(instance, name, value).is_ok() {
        return Ok(());
    }
    Err(refused)
}

/// Rewrites a place by what every object has, whatever its class says.
fn set_without(
    instance: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let set = instance.py().get_type::<PyAny>().getattr("__setattr__")?;
    set.call1((instance, name, value)).map(drop)
}

fn set_frozen(
    py: Python<'_>,
    places: &[ObjectAttribute],
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if places.is_empty() {
        return Ok(());
    }
    let set = py.get_type::<PyAny>().getattr("__setattr__")?;
    places.iter().try_for_each(|(instance, name)| set.call1((instance, name, value)).map(drop))
}
