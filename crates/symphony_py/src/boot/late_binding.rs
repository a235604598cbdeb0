//! The boot's component `late-binding`: once every consumer and target has started, each `Late[T]` gets its object.
//!
//! Caller: `driver.rs`. Invariant: what started is bound before its health is asked, or the boot fails and names every edge
//! that could not be bound.

use component::{Code, Phase};
use pyo3::prelude::*;

use crate::door::error::Fields;
use crate::door::spec::{ComponentSpec, NeedSpec};

/// The name of the component.
pub(super) const NAME: &str = "late-binding";

/// The component, as the threads of the boot see it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct LateBinding {
    container: Py<PyAny>,
}

impl LateBinding {
    pub(super) const fn new(container: Py<PyAny>) -> Self {
        Self { container }
    }

    /// Binds every late edge of what started; the error says which could not be.
    pub(super) fn bind(&self, py: Python<'_>) -> PyResult<Result<(), Fields>> {
        let missing = self.container.bind(py).call_method0("bind_late")?;
        let mut edges = Edges::default();
        for edge in missing.try_iter()? {
            edges.add(&edge?)?;
        }
        if edges.lines.is_empty() {
            return Ok(Ok(()));
        }
        let mut fields = Fields::new(Code::LATE_BINDING, edges.lines.join("\n"));
        fields.hints = edges.hints;
        Ok(Err(fields))
    }
}

#[pymethods]
#[expect(
    clippy::unused_self,
    reason = "steps of a component are methods, also those with nothing to do"
)]
impl LateBinding {
    /// The threads that run a step of its system, each as often as it does.
    #[getter]
    fn threads_in_step<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.container.bind(py).getattr("threads_in_step")
    }

    /// Binds every late edge of what started.
    fn start(&self, py: Python<'_>, _job: Py<PyAny>) -> PyResult<()> {
        self.bind(py)?.map_err(|fields| fields.raise(py))
    }

    /// Healthy: it has nothing of its own.
    const fn health(&self) {}

    /// Nothing: the container lets go of every handle.
    const fn stop(&self) {}
}

/// Binds the late edges of a system that is up: its Conductor asked for what its source did not tell.
#[pyfunction]
pub(crate) fn bind_late(py: Python<'_>, container: Py<PyAny>) -> PyResult<()> {
    let Err(cause) = LateBinding::new(container).bind(py)? else { return Ok(()) };
    let told = cause.message.replace('\n', "\n  ");
    let message = format!("`{NAME}` failed to start in phase `conductor`\n  {told}");
    let mut fields = Fields::new(Code::LATE_BINDING, message);
    fields.hints.clone_from(&cause.hints);
    fields.boot = true;
    fields.phase = Some(Phase::Conductor.as_str().to_owned());
    fields.component = Some(NAME.to_owned());
    let error = fields.raise(py);
    error.set_cause(py, Some(cause.raise(py)));
    Err(error)
}

/// What is said of edges whose target did not start.
#[derive(Default)]
struct Edges {
    lines: Vec<String>,
    hints: Vec<String>,
}

impl Edges {
    /// Adds the edge of a need: consumer, target, and where the need is written.
    fn add(&mut self, edge: &Bound<'_, PyAny>) -> PyResult<()> {
        let (need, consumer, targets) =
            edge.extract::<(Bound<'_, NeedSpec>, Bound<'_, PyAny>, Vec<Bound<'_, PyAny>>)>()?;
        let py = edge.py();
        let texts = py.import("symphony._components.annotations")?;
        let key = need.borrow().key(py);
        let label = texts.getattr("text_of")?.call1((key,))?.extract::<String>()?;
        let spec_of = |live: &Bound<'_, PyAny>| -> PyResult<Py<ComponentSpec>> {
            Ok(live.getattr("spec")?.cast_into::<ComponentSpec>()?.unbind())
        };
        let consumer = spec_of(&consumer)?;
        let name = consumer.borrow(py).name.clone();
        let targets = targets.iter().map(spec_of).collect::<PyResult<Vec<_>>>()?;
        let target = match &targets[..] {
            [only] => only.borrow(py).name.clone(),
            _ => label.clone(),
        };
        self.lines.push(format!("`{name}` needs `Late[{label}]`, and `{target}` did not start"));
        let parameter = need.borrow().parameter(py).to_string();
        if let Some(place) = place(py, &consumer, Some(&parameter))? {
            self.lines.push(format!("  {place}  `{parameter}: Late[{label}]` of `{name}`"));
        }
        let hint = match targets.first() {
            None => format!("add it: `boot(components=[{label}])`"),
            Some(first) => {
                let at = place(py, first, None)?.map(|place| format!(" at {place}"));
                let at = at.unwrap_or_default();
                format!("a late need has no default: take `required=False` of `{target}` out{at}")
            }
        };
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        Ok(())
    }
}

/// Where a person wrote a component, or one of its parameters.
fn place(
    py: Python<'_>,
    spec: &Py<ComponentSpec>,
    parameter: Option<&str>,
) -> PyResult<Option<String>> {
    let places = py.import("symphony._components.places")?;
    let found = places.getattr("place")?.call1((spec, parameter))?;
    let (file, line, _) = found.extract::<(Option<String>, u32, u32)>()?;
    let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(None) };
    let file = places.getattr("relative")?.call1((file,))?;
    Ok(Some(format!("{file}:{line}")))
}
