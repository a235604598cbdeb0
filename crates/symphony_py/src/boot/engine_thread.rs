//! What the engine's thread does with a boot: plan it, and run it.
//!
//! `driver` starts the thread and hands back what comes of it.

use std::sync::Arc;

use boot_orchestrator::steps::ThreadOrder;
use boot_orchestrator::system::System;
use boot_orchestrator::{
    Boot as Engine, BootFailure, BootOptions, FaultPlan, Registry, Running, UnknownFault,
};
use component::{Descriptor, Diagnostic};

use crate::door::diagnostic::working_directory;
use crate::steps::live::{LivePlace, LiveThreads};

pub(crate) type Outcome = Result<Running, Ended>;

/// How a boot ended without a system.
pub(crate) enum Ended {
    /// It never began: what Python found, and what the plan found.
    Faults(Vec<Diagnostic>, Vec<Diagnostic>),
    /// It never began: a fault that was planned for it can never happen.
    NeverHappens(UnknownFault),
    /// It failed, and was rolled back.
    Failed(Box<BootFailure>),
}

/// The components of the core together with those of Python.
pub(crate) fn registry(system: &System, components: Vec<(Descriptor, Arc<LivePlace>)>) -> Registry {
    let mut registry = Registry::new();
    if let Some(directory) = working_directory() {
        registry.relative_to(directory);
    }
    system.register(&mut registry);
    for (descriptor, component) in components {
        registry.add(descriptor, component);
    }
    registry
}

/// What the engine's thread takes with it.
pub(crate) struct EngineThread {
    pub(crate) system: Arc<System>,
    pub(crate) components: Vec<(Descriptor, Arc<LivePlace>)>,
    pub(crate) faults: Vec<Diagnostic>,
    pub(crate) injected: Option<Arc<FaultPlan>>,
    pub(crate) options: BootOptions,
    pub(crate) threads: Arc<LiveThreads>,
}

impl EngineThread {
    /// Runs the boot; its calling thread is freed when it fails.
    pub(crate) fn run(self) -> Outcome {
        let mut registry = registry(&self.system, self.components);
        let (mut faults, mut options) = (self.faults, self.options);
        match self.system.leave_out(&mut registry) {
            Ok(told) => options.told_first.extend(told),
            Err(found) => faults.extend(found),
        }
        let injected = self.injected.map_or(Ok(()), |faults| registry.inject(&faults));
        let plan = match registry.plan() {
            Ok(plan) if faults.is_empty() => plan,
            other => {
                let planned = other.err().map(|found| found.diagnostics).unwrap_or_default();
                return Err(Ended::Faults(faults, planned));
            }
        };
        injected.map_err(Ended::NeverHappens)?;
        options.sinks.extend(self.system.recorder(&plan, &options.interruption));
        let outcome = Engine::new(plan, options).run();
        if outcome.is_err() {
            // The calling thread may be inside an import that nobody waits for any more.
            self.threads.order(ThreadOrder::Interrupt);
        }
        outcome.map_err(Ended::Failed)
    }
}
