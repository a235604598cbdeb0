//! When an object that was taken out is drained: nobody can call it any more.
//!
//! Callers: a swap, an experiment and an override. Drained means that the reference count is back to the container's own:
//! what is left are references that the object holds to itself, and those of its generator and of its own threads and
//! tasks. Invariant: a wait here holds nothing and lets signals through.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use boot_orchestrator::steps::{Referring, shared_objects};
use pyo3::prelude::*;
use pyo3::types::{PyFrame, PyFunction, PyList, PyModule, PyType};

use super::sites::is_shared;
use crate::door::enter::enter;
use crate::door::span::span;

/// So many objects are looked at, at most.
const LIMIT: usize = 5000;
/// The first pause between two looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(20));
/// So long a ring that is garbage may keep the object before it is collected.
const GARBAGE: Duration = Duration::from_millis(250);
/// The pause between two looks at the threads' stacks.
const CALLS_PAUSE: Duration = Duration::from_millis(2);

/// Waits until nobody can call the object of a component that was taken out.
///
/// What the other objects refer to is not its own. `idle` says whether no call is known to be in progress.
#[pyfunction]
pub(crate) fn wait_drained(
    py: Python<'_>,
    live: &Bound<'_, PyAny>,
    others: &Bound<'_, PyList>,
    seconds: f64,
    idle: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    if is_shared(&live.getattr("instance")?) {
        return Ok(true);
    }
    let begun = Instant::now();
    let limit = span(py, "drain", seconds)?;
    let mut collect_at = Some(GARBAGE.min(limit / 2));
    let mut pause = PAUSES.0;
    loop {
        if idle.call0()?.is_truthy()? && is_drained(live, others)? {
            return Ok(true);
        }
        let elapsed = begun.elapsed();
        if elapsed >= limit {
            return Ok(false);
        }
        if collect_at.is_some_and(|at| elapsed >= at) {
            // A ring that is garbage already, such as an exception's traceback, may refer to it.
            py.import("gc")?.call_method0("collect")?;
            collect_at = None;
        }
        rest(py, pause.min(limit.saturating_sub(elapsed)))?;
        pause = PAUSES.1.min(pause * 2);
    }
}

/// Waits until no other thread is inside a call of the object.
#[pyfunction]
pub(crate) fn wait_for_calls(instance: &Bound<'_, PyAny>, seconds: f64) -> PyResult<()> {
    let py = instance.py();
    let begun = Instant::now();
    let limit = span(py, "drain", seconds)?;
    while is_called(instance)? && begun.elapsed() < limit {
        rest(py, CALLS_PAUSE)?;
    }
    Ok(())
}

fn rest(py: Python<'_>, pause: Duration) -> PyResult<()> {
    enter(py, || std::thread::sleep(pause))?;
    py.check_signals()
}

/// Whether another thread is in a function whose first argument is the object.
fn is_called(instance: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = instance.py();
    let mine = py.import("_thread")?.call_method0("get_ident")?.extract::<u64>()?;
    for (thread, top) in stacks(py)? {
        if thread == mine {
            continue;
        }
        for frame in frames_of(top)? {
            let code = frame.getattr("f_code")?;
            if code.getattr("co_argcount")?.extract::<usize>()? == 0 {
                continue;
            }
            let first = code.getattr("co_varnames")?.get_item(0)?;
            let locals = frame.getattr("f_locals")?;
            if locals.contains(&first)? && locals.get_item(first)?.is(instance) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The innermost frame of each thread.
pub(super) fn stacks(py: Python<'_>) -> PyResult<HashMap<u64, Bound<'_, PyAny>>> {
    py.import("sys")?.call_method0("_current_frames")?.extract()
}

/// A frame and those that called it, the innermost first.
pub(super) fn frames_of(top: Bound<'_, PyAny>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let mut frames = Vec::new();
    let mut next = top;
    while !next.is_none() {
        let outer = next.getattr("f_back")?;
        frames.push(std::mem::replace(&mut next, outer));
    }
    Ok(frames)
}

/// Whether a variable of a frame is the object, and how many are.
pub(super) fn variables(frame: &Bound<'_, PyAny>, object: &Bound<'_, PyAny>) -> PyResult<usize> {
    let mut found = 0;
    for value in frame.getattr("f_locals")?.call_method0("values")?.try_iter()? {
        found += usize::from(value?.is(object));
    }
    Ok(found)
}

/// The references of an object but those that hold it here.
///
/// The interpreter's own count is asked; what asking adds is known from an object that has no other reference.
struct Counter<'py> {
    count: Bound<'py, PyAny>,
    surplus: usize,
}

impl<'py> Counter<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        let count = py.import("sys")?.getattr("getrefcount")?;
        let fresh = PyList::empty(py).into_any();
        let surplus = count.call1((&fresh,))?.extract()?;
        Ok(Self { count, surplus })
    }

    fn of(&self, object: &Bound<'py, PyAny>) -> PyResult<usize> {
        Ok(self.count.call1((object,))?.extract::<usize>()?.saturating_sub(self.surplus))
    }
}

fn is_drained(live: &Bound<'_, PyAny>, others: &Bound<'_, PyList>) -> PyResult<bool> {
    let object = live.getattr("instance")?;
    let counter = Counter::new(live.py())?;
    // One is the container's.
    let count = || Ok::<_, PyErr>(counter.of(&object)?.saturating_sub(1));
    let before = count()?;
    if before == 0 {
        return Ok(true);
    }
    let mut own = Own::new(&object, others)?;
    own.walk(live.getattr("generator")?)?;
    let held = own.count(&counter)?;
    drop(own);
    // An own thread may have moved meanwhile; then the next look decides.
    Ok(held >= before && count()? == before)
}

/// The references to a component's object that it holds itself.
///
/// What the object refers to is its own as long as nobody else refers to that too, as in a garbage collector.
struct Own<'a, 'py> {
    root: &'a Bound<'py, PyAny>,
    /// The other components' objects, by address.
    skipped: HashSet<usize>,
    found: Vec<Bound<'py, PyAny>>,
    referring: Vec<Referring>,
    places: HashMap<usize, usize>,
    /// Objects that others may refer to, by address.
    allowed: HashSet<usize>,
    threads: Vec<usize>,
    /// The classes of threads and of tasks, where somebody has imported them.
    runners: [Option<Bound<'py, PyAny>>; 2],
    gc: Bound<'py, PyModule>,
}

impl<'a, 'py> Own<'a, 'py> {
    fn new(root: &'a Bound<'py, PyAny>, others: &Bound<'py, PyList>) -> PyResult<Self> {
        Ok(Self {
            root,
            skipped: others.iter().map(|other| address(&other)).collect(),
            found: Vec::new(),
            referring: Vec::new(),
            places: HashMap::new(),
            allowed: HashSet::from([address(root)]),
            threads: Vec::new(),
            runners: [
                imported(root.py(), "threading", "Thread")?,
                imported(root.py(), "asyncio", "Task")?,
            ],
            gc: root.py().import("gc")?,
        })
    }

    fn walk(&mut self, generator: Bound<'py, PyAny>) -> PyResult<()> {
        self.put(self.root.clone());
        if !generator.is_none() {
            self.allowed.insert(address(&generator));
            self.put(generator);
        }
        let mut at = 0;
        while let Some(item) = self.found.get(at).cloned() {
            self.mark(&item, at)?;
            for referent in referents(&self.gc, &item)? {
                if referent.is(self.root) {
                    self.referring[at].to_root += 1;
                } else if self.is_followed(&referent)?
                    && let Some(place) = self.put(referent)
                {
                    self.referring[at].refers_to.push(place);
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// The place of an object among those that are looked at; none where they are too many.
    fn put(&mut self, item: Bound<'py, PyAny>) -> Option<usize> {
        if let Some(place) = self.places.get(&address(&item)) {
            return Some(*place);
        }
        let place = self.found.len();
        if place >= LIMIT {
            return None;
        }
        self.places.insert(address(&item), place);
        self.found.push(item);
        self.referring.push(Referring::default());
        Some(place)
    }

    fn is_followed(&self, item: &Bound<'py, PyAny>) -> PyResult<bool> {
        let is_left = item.is_instance_of::<PyType>()
            || item.is_instance_of::<PyModule>()
            || item.is_instance_of::<PyFrame>()
            || self.skipped.contains(&address(item));
        Ok(!is_left && self.gc.call_method1("is_tracked", (item,))?.is_truthy()?)
    }

    /// Threads and tasks are its own, although the interpreter and the loop refer to them too.
    fn mark(&mut self, item: &Bound<'py, PyAny>, at: usize) -> PyResult<()> {
        let [thread, task] = &self.runners;
        let is_of = |class: &Option<Bound<'py, PyAny>>| {
            class.as_ref().map_or(Ok(false), |class| item.is_instance(class))
        };
        let (is_thread, is_task) = (is_of(thread)?, is_of(task)?);
        if is_thread {
            self.threads.push(at);
            self.allowed.insert(address(item));
            for name in ["_target", "_args"] {
                self.allowed.extend(item.getattr_opt(name)?.map(|part| address(&part)));
            }
        }
        if is_task {
            self.allowed.extend([address(item), address(&item.call_method0("get_coro")?)]);
        }
        Ok(())
    }

    /// How many they are.
    fn count(&mut self, counter: &Counter<'py>) -> PyResult<usize> {
        for (item, referring) in self.found.iter().zip(&mut self.referring) {
            referring.references = counter.of(item)?;
            referring.is_allowed = self.allowed.contains(&address(item));
        }
        let shared = shared_objects(&self.referring);
        let own = self.referring.iter().zip(&shared).filter(|(_, is_shared)| !**is_shared);
        let mut count: usize = own.map(|(referring, _)| referring.to_root).sum();
        let py = self.root.py();
        let mut threads = Vec::new();
        for at in self.threads.iter().filter(|at| !shared[**at]) {
            threads.extend(self.found[*at].getattr("ident")?.extract::<Option<u64>>()?);
        }
        if threads.is_empty() {
            return Ok(count);
        }
        // Before 3.13 a look at a frame's variables leaves a copy of them behind, which refers to each a second time.
        let times = if py.version_info() >= (3, 13) { 1 } else { 2 };
        for (thread, top) in stacks(py)? {
            if threads.contains(&thread) {
                for frame in frames_of(top)? {
                    count += times * variables(&frame, self.root)?;
                }
            }
        }
        Ok(count)
    }
}

/// What an object refers to; of a function only what it closes over, not its module.
fn referents<'py>(
    gc: &Bound<'py, PyModule>,
    item: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if item.is_exact_instance_of::<PyFunction>() {
        let names = ["__closure__", "__defaults__", "__kwdefaults__"];
        let parts = names.iter().map(|name| item.getattr(*name));
        return parts.filter(|part| !part.as_ref().is_ok_and(PyAnyMethods::is_none)).collect();
    }
    let found = gc.call_method1("get_referents", (item,))?.cast_into::<PyList>()?;
    let mut parts = Vec::new();
    for part in found {
        // Before 3.11 the frame stands between a generator and its variables.
        if gc.py().version_info() < (3, 11) && part.is_instance_of::<PyFrame>() {
            let inside = gc.call_method1("get_referents", (part,))?.cast_into::<PyList>()?;
            parts.extend(inside);
        } else {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// A class of a module, where somebody has imported that.
fn imported<'py>(
    py: Python<'py>,
    module: &str,
    class: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let modules = py.import("sys")?.getattr("modules")?;
    if modules.contains(module)? { modules.get_item(module)?.getattr_opt(class) } else { Ok(None) }
}

/// Whether an object is of this type of the interpreter's.
pub(super) fn is_builtin(item: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    Ok(item.get_type().fully_qualified_name()? == name)
}

fn address(item: &Bound<'_, PyAny>) -> usize {
    item.as_ptr() as usize
}
