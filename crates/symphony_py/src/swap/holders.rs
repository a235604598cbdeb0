//! Who holds an object that a swap took out: the place, and the edit that lets a swap reach it.
//!
//! Caller: a swap whose old object was not drained; it looks at everything that the garbage collector knows. Invariant:
//! nothing is told twice, and at most twenty are.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyCode, PyDict, PyFrame, PyFunction, PyList, PyModule, PySet, PyTuple, PyType};

use super::drain::{frames_of, is_builtin, stacks, variables};
use super::holder::Holder;
use super::names::codes_of;
use super::report::SwapReport;
use crate::door::spec::{ComponentSpec, NeedSpec};

/// So many containers may lie between a holder and the object.
const DEPTH: usize = 6;
const MOST: usize = 20;
/// The interpreter's marks of classes that were made while it ran, among them all that are written in Python, and of those
/// that nobody may change, as those that native modules make are.
const HEAP_TYPE: u64 = 1 << 9;
const IMMUTABLE_TYPE: u64 = 1 << 8;

/// Adds to a report who holds the object of a component that was taken out; the consumers may be among them.
#[pyfunction]
pub(crate) fn tell_holders(
    report: &Bound<'_, SwapReport>,
    live: &Bound<'_, PyAny>,
    label: &str,
    consumers: Vec<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let mut all = Vec::new();
    for consumer in consumers.into_iter().filter(|consumer| !consumer.is(live)) {
        let instance = consumer.getattr("instance")?;
        let spec = consumer.getattr("spec")?.cast_into::<ComponentSpec>()?;
        all.push(Consumer { instance, spec });
    }
    let py = live.py();
    let mut search = Search {
        object: live.getattr("instance")?,
        spec: live.getattr("spec")?.cast_into()?,
        label,
        consumers: all,
        seen: HashSet::from([live.as_ptr() as usize]),
        found: Vec::new(),
        referrers: py.import("gc")?.getattr("get_referrers")?,
        referents: py.import("gc")?.getattr("get_referents")?,
        places: py.import("symphony._components.places")?,
    };
    let object = search.object.clone();
    search.climb(&object, DEPTH, "")?;
    search.stacks()?;
    search.found.truncate(MOST);
    report.borrow_mut().hold(search.found);
    Ok(())
}

struct Consumer<'py> {
    instance: Bound<'py, PyAny>,
    spec: Bound<'py, ComponentSpec>,
}

/// One search for the holders of an object.
struct Search<'a, 'py> {
    object: Bound<'py, PyAny>,
    spec: Bound<'py, ComponentSpec>,
    /// How the component's type is written.
    label: &'a str,
    consumers: Vec<Consumer<'py>>,
    /// What was looked at, by address.
    seen: HashSet<usize>,
    found: Vec<Holder>,
    referrers: Bound<'py, PyAny>,
    referents: Bound<'py, PyAny>,
    places: Bound<'py, PyModule>,
}

impl<'py> Search<'_, 'py> {
    /// Goes from an object to those that refer to it, until one has a place.
    fn climb(&mut self, item: &Bound<'py, PyAny>, depth: usize, way: &str) -> PyResult<()> {
        let list = self.referrers.call1((item,))?.cast_into::<PyList>()?;
        let referrers: Vec<_> = list.iter().collect();
        // The list itself refers to them, and would be found as their holder.
        drop(list);
        for referrer in &referrers {
            if referrer.is_instance_of::<PyFrame>() || !self.seen.insert(referrer.as_ptr() as usize)
            {
                continue;
            }
            if self.found.len() >= MOST || self.tell(referrer, item, way)? {
                continue;
            }
            if depth > 0 {
                let own = if way.is_empty() { kind(referrer)? } else { way.to_owned() };
                self.climb(referrer, depth - 1, &own)?;
            }
        }
        Ok(())
    }

    /// Adds the holder where it has a place; false when what holds it in turn has to be asked.
    fn tell(
        &mut self,
        holder: &Bound<'py, PyAny>,
        held: &Bound<'py, PyAny>,
        way: &str,
    ) -> PyResult<bool> {
        let within = if way.is_empty() { String::new() } else { format!(" ({way})") };
        let at = self.consumers.iter().position(|consumer| consumer.instance.is(holder));
        if let Some(at) = at {
            let place = self.place_of(at)?;
            let name = self.consumers[at].spec.borrow().name.clone();
            self.add(place, format!("`{name}` keeps it in an attribute{within}"), Some(at))?;
        } else if holder.is_instance_of::<PyFunction>() {
            let code = holder.getattr("__code__")?;
            let name = qualified_name(holder)?;
            let maker = self.maker(&code)?;
            self.add(self.at(&code)?, format!("the function `{name}`{within}"), maker)?;
        } else if let Some(code) = suspended(holder)? {
            let name = code.getattr("co_name")?.to_string();
            let what = format!("`{name}`, which is suspended{within}");
            let maker = self.maker(&code)?;
            self.add(self.at(&code)?, what, maker)?;
        } else if let Some(names) = globals_of(holder)? {
            let (place, what) = self.global(&names, held)?;
            self.add(place, format!("{what}{within}"), None)?;
        } else if let Ok(class) = holder.cast::<PyType>() {
            let name = qualified_name(holder)?;
            self.add(self.class_place(class)?, format!("the class `{name}`{within}"), None)?;
        } else if is_of_user(holder)? {
            let class = holder.get_type();
            let what = format!("an object of the class `{}`{within}", qualified_name(&class)?);
            let owner = self.owner(holder)?;
            self.add(self.class_place(&class)?, what, owner)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Calls in progress, and variables of functions that still run.
    fn stacks(&mut self) -> PyResult<()> {
        let py = self.object.py();
        let package = py.import("symphony")?.getattr("__path__")?.get_item(0)?.to_string();
        for top in stacks(py)?.into_values() {
            for frame in frames_of(top)?.into_iter().rev() {
                let code = frame.getattr("f_code")?;
                let file = code.getattr("co_filename")?.extract::<String>()?;
                let is_ours = file.strip_prefix(&package).is_some_and(|rest| rest.starts_with('/'));
                if is_ours || variables(&frame, &self.object)? == 0 {
                    continue;
                }
                let line = frame.getattr("f_lineno")?.to_string();
                let name = code.getattr("co_name")?.to_string();
                let place = format!("{}:{line}", self.relative(&file)?);
                self.add(place, format!("a variable of `{name}`, which still runs"), None)?;
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, place: String, what: String, consumer: Option<usize>) -> PyResult<()> {
        let label = self.label;
        let edit = match consumer {
            None => format!("keep `system.handle({label})` there and read `.value` at each use"),
            Some(at) => format!(
                "declare `{}: Handle[{label}]` at {} and read `.value` at each use",
                self.parameter(at)?.unwrap_or_default(),
                self.place_of(at)?
            ),
        };
        let name = consumer.map(|at| self.consumers[at].spec.borrow().name.clone());
        let holder = Holder::new(place, what, edit, name);
        if !self.found.contains(&holder) {
            self.found.push(holder);
        }
        Ok(())
    }

    /// The parameter in which a consumer asks for the object.
    fn parameter(&self, at: usize) -> PyResult<Option<String>> {
        let needs = self.consumers[at].spec.getattr("needs")?;
        for need in needs.try_iter()? {
            let need = need?.cast_into::<NeedSpec>()?;
            if need.borrow().asks(&self.spec)? {
                return need.borrow().parameter(needs.py()).extract().map(Some);
            }
        }
        Ok(None)
    }

    fn place_of(&self, at: usize) -> PyResult<String> {
        let spec = &self.consumers[at].spec;
        let place = self.places.getattr("place")?.call1((spec, self.parameter(at)?))?;
        let (file, line, _) = place.extract::<(Option<String>, u32, u32)>()?;
        let file = file.unwrap_or_else(|| spec.borrow().module.clone());
        if line == 0 { Ok(file) } else { Ok(format!("{}:{line}", self.relative(&file)?)) }
    }

    /// The consumer that was given the object and has handed it to something of its own.
    fn owner(&self, own: &Bound<'py, PyAny>) -> PyResult<Option<usize>> {
        for (at, consumer) in self.consumers.iter().enumerate() {
            if self.parameter(at)?.is_none() {
                continue;
            }
            for held in self.referents.call1((&consumer.instance,))?.try_iter()? {
                let held = held?;
                let within = held
                    .cast::<PyDict>()
                    .is_ok_and(|names| names.values().iter().any(|value| value.is(own)));
                if within || held.is(own) {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// The consumer in whose constructor or factory that code was written.
    fn maker(&self, code: &Bound<'py, PyAny>) -> PyResult<Option<usize>> {
        for (at, consumer) in self.consumers.iter().enumerate() {
            if self.parameter(at)?.is_none() {
                continue;
            }
            for own in written(&consumer.spec)? {
                if is_within(code, &own)? {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// Place and text of a module's global.
    fn global(
        &self,
        names: &Bound<'py, PyDict>,
        held: &Bound<'py, PyAny>,
    ) -> PyResult<(String, String)> {
        let name = names.iter().find(|(_, value)| value.is(held));
        let name = name.map_or_else(|| "?".to_owned(), |(name, _)| name.to_string());
        let module = names.get_item("__name__")?.map_or_else(String::new, |name| name.to_string());
        let file = names.get_item("__file__")?.filter(|file| !file.is_none());
        let file = file.map_or_else(|| module.clone(), |file| file.to_string());
        let text = std::fs::read(&file).unwrap_or_default();
        let line = boot_orchestrator::assigned_at(&String::from_utf8_lossy(&text), &name);
        Ok((self.with_line(&file, line)?, format!("the global `{name}` of `{module}`")))
    }

    /// Where a class was written: the first line that is known of it.
    fn class_place(&self, class: &Bound<'py, PyType>) -> PyResult<String> {
        let module = class.getattr("__module__")?;
        let modules = class.py().import("sys")?.getattr("modules")?;
        let loaded = modules.call_method1("get", (&module,))?;
        let file = loaded.getattr_opt("__file__")?.filter(|file| !file.is_none());
        let file = file.unwrap_or(module).to_string();
        let members = class.getattr("__dict__")?;
        let first = members.call_method1("get", ("__firstlineno__",))?;
        if let Ok(line) = first.extract::<usize>() {
            return self.with_line(&file, Some(line));
        }
        let mut lines = Vec::new();
        for member in members.call_method0("values")?.try_iter()? {
            for code in codes_of(&member?)? {
                lines.push(code.getattr("co_firstlineno")?.extract::<usize>()?);
            }
        }
        self.with_line(&file, lines.into_iter().min())
    }

    fn at(&self, code: &Bound<'py, PyAny>) -> PyResult<String> {
        let file = code.getattr("co_filename")?.to_string();
        self.with_line(&file, Some(code.getattr("co_firstlineno")?.extract()?))
    }

    fn with_line(&self, file: &str, line: Option<usize>) -> PyResult<String> {
        let file = self.relative(file)?;
        Ok(line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
    }

    fn relative(&self, file: &str) -> PyResult<String> {
        self.places.getattr("relative")?.call1((file,))?.extract()
    }
}

/// The code of a component's class with all that it inherits, or of its factory.
fn written<'py>(spec: &Bound<'py, ComponentSpec>) -> PyResult<Vec<Bound<'py, PyCode>>> {
    let target = spec.getattr("target")?;
    let Ok(class) = target.cast::<PyType>() else { return codes_of(&target) };
    let mut codes = Vec::new();
    for base in class.mro() {
        for member in base.getattr("__dict__")?.call_method0("values")?.try_iter()? {
            codes.extend(codes_of(&member?)?);
        }
    }
    Ok(codes)
}

/// Whether some code is this one, or was written inside it.
fn is_within(code: &Bound<'_, PyAny>, outer: &Bound<'_, PyAny>) -> PyResult<bool> {
    if code.is(outer) {
        return Ok(true);
    }
    for constant in outer.getattr("co_consts")?.try_iter()? {
        let constant = constant?;
        if constant.is_instance_of::<PyCode>() && is_within(code, &constant)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The code of a generator, a coroutine or an async generator.
fn suspended<'py>(holder: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let kinds =
        [("generator", "gi_code"), ("coroutine", "cr_code"), ("async_generator", "ag_code")];
    for (kind, name) in kinds {
        if is_builtin(holder, kind)? {
            return holder.getattr(name).map(Some);
        }
    }
    Ok(None)
}

/// The names of a module, where that is what holds.
fn globals_of<'py>(holder: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Ok(names) = holder.cast::<PyDict>() else { return Ok(None) };
    let Some(found) = names.get_item("__spec__")? else { return Ok(None) };
    let spec = holder.py().import("sys")?.getattr("__spec__")?.get_type();
    Ok((found.is_none() || found.is_instance(&spec)?).then(|| names.clone()))
}

/// Whether its class was written in Python.
fn is_of_user(holder: &Bound<'_, PyAny>) -> PyResult<bool> {
    let flags = holder.get_type().getattr("__flags__")?.extract::<u64>()?;
    let is_container = holder.is_instance_of::<PyDict>()
        || holder.is_instance_of::<PyList>()
        || holder.is_instance_of::<PyTuple>()
        || holder.is_instance_of::<PySet>();
    Ok(flags & (HEAP_TYPE | IMMUTABLE_TYPE) == HEAP_TYPE && !is_container)
}

/// How a container without a place is told.
fn kind(holder: &Bound<'_, PyAny>) -> PyResult<String> {
    if is_builtin(holder, "cell")? {
        return Ok("in its closure".to_owned());
    }
    let name = holder.get_type().name()?.to_string();
    if name == "method" {
        let method = holder.getattr("__name__")?;
        return Ok(format!("as the bound method `{method}`"));
    }
    Ok(format!("in a {name}"))
}

fn qualified_name(named: &Bound<'_, PyAny>) -> PyResult<String> {
    named.getattr("__qualname__")?.extract()
}
