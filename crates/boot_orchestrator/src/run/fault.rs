//! The first failure of a boot, before its rollback is done.

use std::any::Any;
use std::sync::Arc;

use component::{Code, ComponentName, Failure, Phase};

use crate::graph::error::PlanFaults;
use crate::report::boot_report::{BootReport, ErrorReport};
use crate::run::error::{BootFailure, StopFailure};

/// Why a boot fails.
#[derive(Clone)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) phase: Option<Phase>,
    pub(crate) component: Option<ComponentName>,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) payload: Option<Arc<dyn Any + Send + Sync>>,
}

impl Fault {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            phase: None,
            component: None,
            causes: Vec::new(),
            hints: Vec::new(),
            payload: None,
        }
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    pub(crate) fn of(mut self, component: &ComponentName) -> Self {
        self.component = Some(component.clone());
        self
    }

    /// A fault whose cause is the failure of a step. Its code, hints and payload are that failure's.
    pub(crate) fn caused_by(message: impl Into<String>, failure: Failure) -> Self {
        let mut fault = Self::new(failure.code, message);
        fault.causes.push(failure.message);
        fault.causes.extend(failure.causes);
        fault.hints = failure.hints;
        fault.payload = failure.payload;
        fault
    }

    pub(crate) fn report(&self) -> ErrorReport {
        ErrorReport {
            code: self.code.as_str(),
            message: self.message.clone(),
            phase: self.phase.map(Phase::as_str),
            component: self.component.as_ref().map(ToString::to_string),
            causes: self.causes.clone(),
            hints: self.hints.clone(),
        }
    }

    pub(crate) fn into_failure(
        self,
        rollback_errors: Vec<StopFailure>,
        report: Arc<BootReport>,
    ) -> BootFailure {
        let faults = self.payload.as_ref().and_then(|payload| payload.downcast_ref::<PlanFaults>());
        let diagnostics = faults.map(|faults| faults.diagnostics.clone()).unwrap_or_default();
        BootFailure {
            code: self.code,
            message: self.message,
            phase: self.phase,
            component: self.component,
            causes: self.causes,
            hints: self.hints,
            rollback_errors,
            report,
            diagnostics,
            payload: self.payload,
        }
    }
}
