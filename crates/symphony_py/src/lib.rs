//! `symphony._core`: the core as Python sees it. This crate converts and does nothing else; the facade is in
//! `python/symphony`, every rule in the crates below.
//!
//! One door ([`door::enter`]) leaves the interpreter; one file ([`door::error`]) makes exceptions.

#![expect(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments and results of bindings have the shapes that Python gives and takes"
)]
#![expect(
    clippy::doc_markdown,
    reason = "the text of a method of a class is what Python's `help()` shows, in the form of its docstrings"
)]

mod boot;
mod door;
mod pit;
mod steps;
mod swap;
mod work;

/// The extension module: every class and function that the facade uses.
/// It asks for the interpreter lock: what is counted while that is held is counted without locked instructions.
#[pyo3::pymodule(name = "_core", gil_used = true)]
mod core {
    #[pymodule_export]
    use crate::boot::annotations::{read_need, read_result, settle_names};
    #[pymodule_export]
    use crate::boot::check::{
        asked_permissions, check_paths, count_paths, declared_in, find_extensions, find_melodies,
        find_systems, plan_graph, plan_specs, watched_paths,
    };
    #[pymodule_export]
    use crate::boot::constructors::{Rest, enter, known_timeout, not_injectable, parameters_of};
    #[pymodule_export]
    use crate::boot::contracts::{Member, Signature, client_fault, contract_faults, unfollowed};
    #[pymodule_export]
    use crate::boot::deployment::{deployment, eager_extensions, store_settings};
    #[pymodule_export]
    use crate::boot::driver::Boot;
    #[pymodule_export]
    use crate::boot::events::{BootEvent, EventQueue};
    #[pymodule_export]
    use crate::boot::fault_plan::FaultPlan;
    #[pymodule_export]
    use crate::boot::late_binding::{LateBinding, bind_late};
    #[pymodule_export]
    use crate::boot::lawful::{
        annotation_fault, find_remedies, known_phase, main_thread_faults, qualify, stand_in,
    };
    #[pymodule_export]
    use crate::boot::log::LogFollower;
    #[pymodule_export]
    use crate::boot::report::{
        BootReport, baseline_fault, budget_text, empty_report, seconds_text,
    };
    #[pymodule_export]
    use crate::boot::running::{PendingHealth, PendingShutdown, Running};
    #[pymodule_export]
    use crate::door::diagnostic::Diagnostic;
    #[pymodule_export]
    use crate::door::edge::{OwnPart, own_parts_by_class};
    #[pymodule_export]
    use crate::door::exception::{boot_error, plan_error};
    #[pymodule_export]
    use crate::door::health::{Health, SystemHealth};
    #[pymodule_export]
    use crate::door::process::{is_main_thread, mark_forked, write_unraisable};
    #[pymodule_export]
    use crate::door::span::checked_seconds;
    #[pymodule_export]
    use crate::door::spec::{ComponentSpec, NeedSpec};
    #[pymodule_export]
    use crate::pit::{
        ArbitrationEngine, ArtifactFile, ArtifactStore, ArtifactWriter, DagTracker, Grant, Lease,
        MemberSeat, PoolManager, PoolUpkeep, StaleManager,
    };
    #[pymodule_export]
    use crate::steps::swap::{PendingStep, Slot, Stepper};
    #[pymodule_export]
    use crate::steps::threads::{Job, JobQueue, Keeper, StackRequest};
    #[pymodule_export]
    use crate::swap::drain::{wait_drained, wait_for_calls};
    #[pymodule_export]
    use crate::swap::holder::Holder;
    #[pymodule_export]
    use crate::swap::holders::tell_holders;
    #[pymodule_export]
    use crate::swap::report::SwapReport;
    #[pymodule_export]
    use crate::swap::sites::{Sites, is_shared, refresh};
    #[pymodule_export]
    use crate::swap::trial::{CallBegun, CallCounts, ExperimentReport, VariantReport, shares_of};
    #[pymodule_export]
    use crate::work::bus::{IpcBus, Subscription, Topic};
    #[pymodule_export]
    use crate::work::completions::Completions;
    #[pymodule_export]
    use crate::work::extension::{ExtensionHandle, PendingCall};
    #[pymodule_export]
    use crate::work::figures::{extension_figures, extension_grants, stop_extension};
    #[pymodule_export]
    use crate::work::file_watch::FileWatch;
    #[pymodule_export]
    use crate::work::guest::{GuestCall, GuestLane};
    #[pymodule_export]
    use crate::work::in_process::{InProcessRun, InProcessRuns};
    #[pymodule_export]
    use crate::work::kit::Kit;
    #[pymodule_export]
    use crate::work::melody::{Melody, NodeRecord, Run};
    #[pymodule_export]
    use crate::work::policy::{Outcome, PolicyPort, ReadyNode};
    #[pymodule_export]
    use crate::work::stream::Stream;
    #[pymodule_export]
    use crate::work::supervisor::SupervisorServer;
    #[pymodule_export]
    use crate::work::trust::{distrust_extension, trust_extension, trusted_extensions};
    #[pymodule_export]
    use crate::work::versions::{TriedVersions, swap_version, try_versions};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods as _;

        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::boot::lookup::add(module)?;
        crate::pit::add(module)
    }
}
