//! `symphony._core`: the core as Python sees it. This crate converts and does nothing else; the facade is in
//! `python/symphony`, every rule in the crates below.
//!
//! One door ([`enter`]) leaves the interpreter; one file ([`error`]) makes exceptions.

#![expect(
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::too_many_arguments,
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    reason = "arguments and results of bindings have the shapes that Python gives and takes"
)]

mod boot;
mod bus;
mod check;
mod completions;
mod edge;
mod engine_thread;
mod enter;
mod error;
mod events;
mod extension;
mod fault_plan;
mod guest;
mod keeper;
mod kit;
mod live;
mod log;
mod lookup;
mod melody;
mod pit;
mod policy;
mod process;
mod python_component;
mod queue;
mod report;
mod running;
mod sources;
mod supervisor;
mod swap;
mod sync;
mod threads;
mod values;
mod versions;
mod watchdog;

/// The extension module: every class and function that the facade uses.
#[pyo3::pymodule(name = "_core")]
mod core {
    #[pymodule_export]
    use crate::boot::Boot;
    #[pymodule_export]
    use crate::bus::{IpcBus, Subscription, Topic};
    #[pymodule_export]
    use crate::check::{check_paths, find_extensions, plan_graph, plan_specs};
    #[pymodule_export]
    use crate::completions::Completions;
    #[pymodule_export]
    use crate::edge::Key;
    #[pymodule_export]
    use crate::events::{BootEvent, EventQueue};
    #[pymodule_export]
    use crate::extension::{ExtensionHandle, PendingCall, Stream};
    #[pymodule_export]
    use crate::fault_plan::FaultPlan;
    #[pymodule_export]
    use crate::guest::GuestLane;
    #[pymodule_export]
    use crate::kit::Kit;
    #[pymodule_export]
    use crate::log::LogFollower;
    #[pymodule_export]
    use crate::melody::{Melody, Run};
    #[pymodule_export]
    use crate::pit::{
        ArbitrationEngine, ArtifactFile, ArtifactStore, DagTracker, Grant, Lease, MemberPort,
        MemberRequest, MemberSeat, PoolManager, StaleManager,
    };
    #[pymodule_export]
    use crate::policy::{Outcome, PolicyPort, ReadyNode};
    #[pymodule_export]
    use crate::process::{is_main_thread, mark_forked};
    #[pymodule_export]
    use crate::report::{BootReport, baseline_fault};
    #[pymodule_export]
    use crate::running::{PendingHealth, PendingShutdown, Running};
    #[pymodule_export]
    use crate::supervisor::SupervisorServer;
    #[pymodule_export]
    use crate::swap::{PendingStep, Slot, Stepper};
    #[pymodule_export]
    use crate::threads::{Job, JobQueue, Keeper, StackRequest};
    #[pymodule_export]
    use crate::versions::{TriedVersions, Version, bring_up, swap_version, try_versions};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::lookup::add(module)
    }
}
