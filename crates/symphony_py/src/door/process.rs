//! What concerns the whole process: the at-fork guard, which thread is the main one, exceptions that nobody can catch.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use boot_orchestrator::system::{Inherited, System};
use orchestra_kit::supervisor::Environment;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::door::enter;

/// What the systems of this process have open, so that a forked child can let go of it.
static SYSTEMS: Mutex<Vec<Inherited>> = Mutex::new(Vec::new());

/// Remembers a system for the at-fork guard, until nothing works for it any more.
pub(crate) fn remember(system: &System) {
    let mut systems = SYSTEMS.lock();
    systems.retain(|known| !known.is_gone());
    systems.push(system.inherited());
}

/// In a forked child: every handle raises from now on. Gives the descriptors that the child must let go of.
#[pyfunction]
pub(crate) fn mark_forked() -> Vec<i32> {
    enter::mark_forked();
    // Another thread of the parent may have held the lock at the fork: then nothing can be said.
    let Some(systems) = SYSTEMS.try_lock() else { return Vec::new() };
    systems.iter().flat_map(Inherited::descriptors).collect()
}

/// Whether this is the thread that the process began with, where Python lets signals be handled.
#[pyfunction]
pub(crate) fn is_main_thread() -> bool {
    enter::is_main_thread()
}

/// Starts a daemon thread of Python's own: code of users runs on no other.
pub(crate) fn start_thread(call: &Bound<'_, PyAny>, arguments: Bound<'_, PyTuple>) -> PyResult<()> {
    call.py().import("_thread")?.call_method1("start_new_thread", (call, arguments)).map(drop)
}

/// Tells an exception that nobody can catch, as the interpreter does: to `sys.unraisablehook`, with what it expects.
/// A hook that raises is told too and ends nothing.
#[pyfunction]
pub(crate) fn write_unraisable(error: Bound<'_, PyAny>, source: &Bound<'_, PyAny>) {
    let py = error.py();
    PyErr::from_value(error).write_unraisable(py, Some(source));
}

/// The variables as Python knows them.
///
/// Never those of the C library: another thread may be setting one, as an imported native module does. A variable that
/// another thread takes away meanwhile is left out.
pub(crate) fn environment(py: Python<'_>) -> PyResult<Environment> {
    let variables = py.import(intern!(py, "os"))?.getattr(intern!(py, "environ"))?;
    let get = variables.getattr(intern!(py, "get"))?;
    let mut given: BTreeMap<OsString, OsString> = BTreeMap::new();
    for name in variables.try_iter()? {
        let name = name?;
        if let Some(value) = get.call1((&name,))?.extract()? {
            given.insert(name.extract()?, value);
        }
    }
    leave_the_bundle(&mut given);
    Ok(given.into_iter().collect())
}

/// PyInstaller's loader leads the C library's into the application's folder and keeps beside it what the user had: that
/// is what an extension is granted.
fn leave_the_bundle(given: &mut BTreeMap<OsString, OsString>) {
    if !given.contains_key(OsStr::new("_PYI_APPLICATION_HOME_DIR")) {
        return;
    }
    given.remove(OsStr::new("LD_LIBRARY_PATH"));
    if let Some(own) = given.remove(OsStr::new("LD_LIBRARY_PATH_ORIG")) {
        given.insert(OsStr::new("LD_LIBRARY_PATH").to_owned(), own);
    }
}
