//! What the planner knows of a Python component: `ComponentSpec` and its edges.
//!
//! Made by `_components` at boot and by `_static` from text; read by the planner through `door/edge.rs`. The invariant kept
//! here: a spec holds what was read, in the same fields whether a component was imported or only parsed, and a word that is
//! none of its set is refused where it is written.

use boot_orchestrator::Life;
use boot_orchestrator::steps::ThreadKind;
use component::{NeedKind, Phase};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::door::words::{Word, Words};

/// What makes a component's object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Class,
    Function,
    Generator,
    AsyncFunction,
    AsyncGenerator,
    Instance,
    Member,
}

impl Words for Kind {
    const NAMES: (&'static str, &'static str) = ("kind of component", "kinds");
    const ALL: &'static [(&'static str, Self)] = &[
        ("class", Self::Class),
        ("function", Self::Function),
        ("generator", Self::Generator),
        ("async-function", Self::AsyncFunction),
        ("async-generator", Self::AsyncGenerator),
        ("instance", Self::Instance),
        ("member", Self::Member),
    ];
}

/// Whether an object has one of the optional steps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StepKind {
    Absent,
    Sync,
    Async,
}

impl Words for StepKind {
    const NAMES: (&'static str, &'static str) = ("kind of step", "kinds");
    const ALL: &'static [(&'static str, Self)] =
        &[("", Self::Absent), ("sync", Self::Sync), ("async", Self::Async)];
}

/// One edge: a parameter asks for a key.
#[pyclass(module = "symphony._core")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the need")]
pub(crate) struct NeedSpec {
    #[pyo3(get)]
    parameter: Py<PyString>,
    #[pyo3(get, set)]
    key: Option<Py<PyAny>>,
    kind: NeedKind,
    #[pyo3(get)]
    handle: bool,
    #[pyo3(get)]
    pub(crate) named: Option<String>,
    #[pyo3(get, set)]
    pub(crate) file: Option<Py<PyString>>,
    #[pyo3(get, set)]
    pub(crate) line: u32,
    #[pyo3(get, set)]
    pub(crate) column: u32,
    #[pyo3(get, set)]
    pub(crate) default: bool,
    #[pyo3(get, set)]
    pub(crate) positional: bool,
    /// Its name is a text, which may be no name.
    pub(crate) is_loose: bool,
    #[pyo3(get, set)]
    pub(crate) fits: Option<String>,
    #[pyo3(get, set)]
    pub(crate) is_class: bool,
}

#[pymethods]
impl NeedSpec {
    #[new]
    #[pyo3(signature = (parameter, key, kind, handle, named, file, line, column=0))]
    fn new(
        parameter: Py<PyString>,
        key: Option<Py<PyAny>>,
        kind: Word<NeedKind>,
        handle: bool,
        named: Option<String>,
        file: Option<Py<PyString>>,
        line: u32,
        column: u32,
    ) -> Self {
        let mut made = Self::plain(parameter, key, kind.0, handle, (file, line, column));
        made.named = named;
        made
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.word()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let key = self.key(py).repr()?;
        Ok(format!("<NeedSpec {}: {} {key}>", self.parameter.bind(py), self.kind()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.key)
    }

    fn __clear__(&mut self) {
        self.key = None;
    }
}

impl NeedSpec {
    /// A need of a key by any name, without a default.
    pub(crate) fn plain(
        parameter: Py<PyString>,
        key: Option<Py<PyAny>>,
        kind: NeedKind,
        handle: bool,
        (file, line, column): (Option<Py<PyString>>, u32, u32),
    ) -> Self {
        let (default, positional, is_loose, is_class) = (false, false, false, false);
        Self {
            parameter,
            key,
            kind,
            handle,
            named: None,
            file,
            line,
            column,
            default,
            positional,
            is_loose,
            fits: None,
            is_class,
        }
    }

    pub(crate) fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.key.as_ref().map_or_else(|| py.None(), |key| key.clone_ref(py)).into_bound(py)
    }

    /// Whether it is for the object itself of this component.
    pub(crate) fn asks(&self, spec: &Bound<'_, ComponentSpec>) -> PyResult<bool> {
        if self.kind == NeedKind::Late || self.handle {
            return Ok(false);
        }
        let py = spec.py();
        let provided = spec.borrow().provides.as_ref().map(|keys| keys.clone_ref(py));
        let is_provided =
            provided.map_or(Ok(false), |keys| keys.bind(py).as_any().contains(self.key(py)))?;
        let name = &spec.borrow().name;
        Ok(is_provided && self.named.as_ref().is_none_or(|named| named == name))
    }

    pub(crate) fn need_kind(&self) -> NeedKind {
        self.kind
    }

    pub(crate) fn parameter<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.parameter.bind(py)
    }
}

/// One component, before anything of it runs.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in Python")]
#[pyclass(module = "symphony._core")]
pub(crate) struct ComponentSpec {
    #[pyo3(get, set)]
    pub(crate) name: String,
    #[pyo3(get, set)]
    pub(crate) named: bool,
    #[pyo3(get, set)]
    pub(crate) target: Option<Py<PyAny>>,
    kind: Kind,
    #[pyo3(get, set)]
    pub(crate) module: String,
    #[pyo3(get, set)]
    pub(crate) qualname: String,
    #[pyo3(get, set)]
    pub(crate) made: Option<Py<PyAny>>,
    #[pyo3(get, set)]
    pub(crate) may_be_none: bool,
    #[pyo3(get, set)]
    entered: bool,
    #[pyo3(get, set)]
    pub(crate) provides: Option<Py<PyList>>,
    #[pyo3(get, set)]
    pub(crate) needs: Option<Py<PyList>>,
    pub(crate) phase: Phase,
    #[pyo3(get, set)]
    pub(crate) timeout: Option<f64>,
    #[pyo3(get, set)]
    pub(crate) required: bool,
    #[pyo3(get, set)]
    main_thread: bool,
    #[pyo3(get, set)]
    start: Word<StepKind>,
    #[pyo3(get, set)]
    health: Word<StepKind>,
    #[pyo3(get, set)]
    stop: Word<StepKind>,
    #[pyo3(get, set)]
    pub(crate) file: Option<Py<PyString>>,
    #[pyo3(get, set)]
    pub(crate) line: u32,
    #[pyo3(get, set)]
    pub(crate) column: u32,
}

#[pymethods]
impl ComponentSpec {
    /// A required component of the last phase that needs and provides nothing yet.
    #[new]
    fn new(
        py: Python<'_>,
        name: String,
        target: Option<Py<PyAny>>,
        kind: Word<Kind>,
        module: String,
        qualname: String,
    ) -> Self {
        Self {
            name,
            named: false,
            target,
            kind: kind.0,
            module,
            qualname,
            made: None,
            may_be_none: false,
            entered: false,
            provides: Some(PyList::empty(py).unbind()),
            needs: Some(PyList::empty(py).unbind()),
            phase: Phase::Conductor,
            timeout: None,
            required: true,
            main_thread: false,
            start: Word(StepKind::Absent),
            health: Word(StepKind::Absent),
            stop: Word(StepKind::Absent),
            file: None,
            line: 0,
            column: 0,
        }
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.word()
    }

    #[setter]
    fn set_kind(&mut self, kind: Word<Kind>) {
        self.kind = kind.0;
    }

    #[getter]
    fn phase(&self) -> &'static str {
        self.phase.as_str()
    }

    #[setter]
    fn set_phase(&mut self, phase: Word<Phase>) {
        self.phase = phase.0;
    }

    /// Where its steps run: on a thread of its own if there are some after its construction.
    #[getter]
    fn thread(&self) -> &'static str {
        self.thread_kind().word()
    }

    /// Whether one of its steps is.
    #[getter]
    fn is_async(&self) -> bool {
        matches!(self.kind, Kind::AsyncFunction | Kind::AsyncGenerator)
            || self.steps().contains(&StepKind::Async)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let needs = self.needs.as_ref().map(|needs| needs.bind(py).repr()).transpose()?;
        let needs = needs.map(|needs| needs.to_string()).unwrap_or_default();
        Ok(format!("<ComponentSpec {} ({}) needs {needs}>", self.name, self.kind()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.target)?;
        visit.call(&self.made)?;
        visit.call(&self.provides)?;
        visit.call(&self.needs)
    }

    fn __clear__(&mut self) {
        self.target = None;
        self.made = None;
        self.provides = None;
        self.needs = None;
    }
}

impl ComponentSpec {
    fn steps(&self) -> [StepKind; 3] {
        [self.start.0, self.health.0, self.stop.0]
    }

    pub(crate) fn thread_kind(&self) -> ThreadKind {
        let is_generator = matches!(self.kind, Kind::Generator | Kind::AsyncGenerator);
        if self.main_thread {
            ThreadKind::Calling
        } else if is_generator || self.steps().iter().any(|step| *step != StepKind::Absent) {
            ThreadKind::Own
        } else {
            ThreadKind::Shared
        }
    }

    /// How its target gives what it makes.
    pub(crate) fn life(&self) -> Life {
        match self.kind {
            _ if self.entered => Life::Entered,
            Kind::Generator => Life::Yielded,
            Kind::AsyncGenerator => Life::AsyncYielded,
            _ => Life::Returned,
        }
    }

    /// What is entered starts and ends as a generator does.
    pub(crate) fn lives_as_generator(&mut self, is_async: bool) {
        self.kind = if is_async { Kind::AsyncGenerator } else { Kind::Generator };
    }

    /// Whether it is an object that was given.
    pub(crate) fn is_instance(&self) -> bool {
        self.kind == Kind::Instance
    }

    /// Whether it is a Conductor named by a string whose source tells nothing.
    pub(crate) fn is_unread(&self) -> bool {
        self.target.is_none() && self.file.is_none()
    }
}
