//! `_core.FaultPlan`: faults on purpose, as `symphony/testing/_faults.py` plans them.

use std::sync::Arc;

use boot_orchestrator::{FaultKind, FaultPlan as EnginePlan, InjectedFault};
use component::{Code, ComponentName, Step};
use pyo3::prelude::*;

use crate::door::enter::enter;
use crate::door::error::Fields;

/// Component, step, kind, call, seconds, message.
type Planned = (String, String, String, u32, f64, String);

/// Faults for one boot. Its steps that hang do so as long as it lives.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct FaultPlan(Arc<EnginePlan>);

impl FaultPlan {
    pub(crate) fn plan(&self) -> Arc<EnginePlan> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl FaultPlan {
    #[new]
    fn new(py: Python<'_>, faults: Vec<Planned>) -> PyResult<Self> {
        let faults: Result<Vec<_>, String> = faults.into_iter().map(fault_of).collect();
        let faults = faults.map_err(|text| Fields::new(Code::INVALID_VALUE, text).raise(py))?;
        Ok(Self(Arc::new(EnginePlan::new(faults))))
    }

    /// Which of the faults happened, in order, by their places in the plan.
    #[getter]
    fn fired(&self) -> Vec<usize> {
        self.0.fired_at()
    }

    /// Ends every hang and every wait: the components' own steps begin.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.0.release())
    }

    /// Ends every hang and every wait; the components' own steps never begin.
    fn discard(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.0.discard())
    }
}

fn fault_of(
    (component, step, kind, call, seconds, message): Planned,
) -> Result<InjectedFault, String> {
    let step = match step.as_str() {
        "start" => Step::Start,
        "health" => Step::Health,
        "stop" => Step::Stop,
        _ => return Err(format!("there is no step `{step}`")),
    };
    let kind = match kind.as_str() {
        "fail" => FaultKind::Fail(message),
        "hang" => FaultKind::Hang,
        "panic" => FaultKind::Panic(message),
        "slow" => {
            let span = component::span(seconds);
            FaultKind::Slow(span.ok_or_else(|| format!("`seconds` cannot be {seconds}"))?)
        }
        _ => return Err(format!("there is no kind `{kind}`")),
    };
    Ok(InjectedFault { component: ComponentName::from(component), step, kind, call })
}
