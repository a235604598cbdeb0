//! The supervisor's process, driven from its Python side: `symphony/_guest/fork_server.py` forks, this does the rest.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::PathBuf;

use orchestra_kit::sandbox::Interpreter;
use orchestra_kit::supervisor::{Beside, Order, Prepared, Program, RESOLVER, Server, Span, Start};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::error::raise;

/// The supervisor's loop. Lives in the one thread of that process.
#[pyclass(unsendable, module = "symphony._core")]
pub(crate) struct SupervisorServer {
    server: Server,
    current: Option<Child>,
    bridge: Option<Bridge>,
    /// In the process that looks names up: the other end of its link is the supervisor's.
    questions: Option<OwnedFd>,
}

/// What the next fork becomes.
enum Child {
    Guest(Box<Start>),
    Resolver(OwnedFd),
}

/// What a bridge is made of, from its process's preparation to its service.
struct Bridge {
    beside: Beside,
    lane: OwnedFd,
    settings: String,
}

#[pymethods]
impl SupervisorServer {
    /// Takes over the descriptors that the root left in this process.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let server = Server::inherited().map_err(|error| raise(py, &error))?;
        Ok(Self { server, current: None, bridge: None, questions: None })
    }

    /// Says what this interpreter reads: the prefixes of its installation, where modules come from, and the files of the
    /// import hooks that find editable packages.
    fn interpreter(&mut self, prefixes: Vec<PathBuf>, path: Vec<PathBuf>, finders: Vec<PathBuf>) {
        self.server.interpreter(Interpreter::told(prefixes, path, finders));
    }

    /// Tells the root that orders are taken, with the spans of the start: name, begin, end.
    fn up(&mut self, py: Python<'_>, spans: Vec<(String, f64, f64)>) -> PyResult<()> {
        let spans = spans.into_iter().map(|(name, start, end)| Span { name, start, end }).collect();
        self.server.up(spans).map_err(|error| raise(py, &error))
    }

    /// Waits for the next fork that the root wants: its number, or `None` at the end.
    ///
    /// The process has one thread, so the interpreter stays attached: nobody waits for it.
    fn next(&mut self, py: Python<'_>) -> PyResult<Option<u64>> {
        match self.server.next_order().map_err(|error| raise(py, &error))? {
            Order::Fork(start) | Order::Exec(start) => {
                let id = start.request.id;
                self.current = Some(Child::Guest(Box::new(start)));
                Ok(Some(id))
            }
            Order::Resolver(link) => {
                self.current = Some(Child::Resolver(link));
                Ok(Some(RESOLVER))
            }
            Order::Exit => Ok(None),
        }
    }

    /// In the parent: the child of this number runs.
    fn spawned(&mut self, py: Python<'_>, id: u64, pid: i32) -> PyResult<()> {
        self.current = None;
        self.server.spawned(id, pid).map_err(|error| raise(py, &error))
    }

    /// In the parent: the fork failed.
    fn not_started(&mut self, py: Python<'_>, id: u64, reason: &str) -> PyResult<()> {
        self.current = None;
        self.server.not_started(id, reason).map_err(|error| raise(py, &error))
    }

    /// In the child: becomes the guest. Gives a dict with `name`, `lane`, `environment` and either `entry` and
    /// `paths`, or `argv`; with `beside`, the program is a server, for which this process forks once more. With `resolver`
    /// alone it is no guest: [`SupervisorServer::resolve`] follows.
    fn prepare_child<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let guest = PyDict::new(py);
        let start = match self.current.take() {
            Some(Child::Guest(start)) => start,
            Some(Child::Resolver(link)) => {
                self.server.prepare_resolver(&link).map_err(|error| raise(py, &error))?;
                self.questions = Some(link);
                guest.set_item("resolver", true)?;
                return Ok(guest);
            }
            None => return Ok(guest),
        };
        let Prepared { name, program, folder, lane, environment, beside } =
            self.server.prepare_child(*start).map_err(|error| raise(py, &error))?;
        guest.set_item("name", name)?;
        guest.set_item("environment", environment)?;
        // Texts: a path would become a `pathlib.Path`, whose import costs every guest 3 MB of its own and 5 ms.
        guest.set_item("folder", folder.into_os_string())?;
        match program {
            Program::Python { entry, paths } => {
                guest.set_item("entry", entry)?;
                let paths: Vec<OsString> = paths.into_iter().map(PathBuf::into_os_string).collect();
                guest.set_item("paths", paths)?;
                guest.set_item("lane", lane.into_raw_fd())?;
            }
            Program::Command { argv } => {
                guest.set_item("argv", argv)?;
                guest.set_item("lane", lane.as_raw_fd())?;
                // The program inherits it across `exec`: it must not be closed here.
                let _ = lane.into_raw_fd();
            }
            Program::Server { argv, settings } => {
                guest.set_item("argv", argv)?;
                guest.set_item("beside", true)?;
                guest.set_item("lane", lane.as_raw_fd())?;
                self.bridge = beside.map(|beside| Bridge { beside, lane, settings });
            }
        }
        Ok(guest)
    }

    /// In the process that looks names up: does so until the supervisor goes.
    fn resolve(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(link) = self.questions.take() else { return Ok(()) };
        let served = py.detach(|| orchestra_kit::supervisor::resolve(link));
        served.map_err(|error| raise(py, &error))
    }

    /// In the fork of a bridge: everything but the execution of the server.
    fn become_server(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(Bridge { beside, .. }) = self.bridge.take() else { return Ok(()) };
        beside.become_server().map_err(|error| raise(py, &error))
    }

    /// In the bridge: serves the host by the server of that number, a child of this process, until either goes. The
    /// exit code for this process.
    fn bridge(&mut self, py: Python<'_>, server: i32) -> PyResult<i32> {
        let Some(Bridge { beside, lane, settings }) = self.bridge.take() else { return Ok(1) };
        let settings = bridge::Settings::parse(&settings).map_err(|error| raise(py, &error))?;
        let (stdin, stdout, kept) = beside.into_ends();
        let end_below = orchestra_kit::supervisor::end_below;
        let pipes = bridge::Pipes { lane, stdin, stdout, server, kept, end_below };
        Ok(py.detach(|| bridge::serve(&settings, pipes)))
    }
}
