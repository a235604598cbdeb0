//! The engine that plans and runs a boot, and (in `system`) the one place that wires the real one.
//!
//! A [`Registry`] of descriptors becomes a [`Plan`], or every fault of the graph at once. A [`Boot`] runs the plan: it ends
//! in a [`Running`] system, or in a [`BootFailure`] with nothing left. What happens is told as [`BootEvent`]s, of which the
//! [`BootReport`] is made.

mod event;
mod graph;
mod report;
mod run;
pub mod steps;
pub mod system;

pub use event::boot_event::{BootEvent, EventSink, Level, Stamped, Status};
pub use event::text::budget_figure;
pub use graph::annotation::{Asked, Form, Life, Look, Made, Mark, Unread, asked, made};
pub use graph::constructor::{Chosen, Maker, Passing, Refusal, constructor};
pub use graph::contract::{
    Claim, Member, MemberKind, Plainness, Verdict, client_fault, is_asked, unfollowed,
};
pub use graph::edges::Edge;
pub use graph::error::PlanFaults;
pub use graph::format::GraphFormat;
pub use graph::newcomer::newcomer_faults;
pub use graph::plan::{Plan, Planned};
pub use graph::registry::Registry;
pub use graph::remedy::{Help, Wanted, remedy};
pub use graph::signature::{Parameter, Signature};
pub use graph::specification::{
    Advice, Called, NotInjectable, Unusable, conductor_name, known_timeout, no_such,
    qualified_names, thread_faults,
};
pub use report::baseline::{
    Baseline, BaselineError, Change, Comparison, Kind, NOISE_SECONDS, NOISE_SHARE, Noise,
};
pub use report::boot_report::{
    BootReport, ComponentReport, ErrorReport, PhaseReport, SafeModeReport, Saving,
};
pub use report::budgets::{BudgetViolation, Budgets};
pub use report::children::{ChildSpan, ChildSpans};
pub use report::grants::{GrantReport, Grants};
pub use report::memory::{peak as peak_memory, process_start};
pub use report::outside::{AwaitedBy, Outside, OutsideWork};
pub use report::spans::SpanReport;
pub use report::swapped::{Swapped, assigned_at};
pub use report::trial::{VariantFigures, shares, trial_text};
pub use run::blocking_threads::{Job, Threads};
pub use run::default_deadlines;
pub use run::error::{BootFailure, StopFailure};
pub use run::executor::Boot;
pub use run::fault_injection::{FaultKind, FaultPlan, InjectedFault, UnknownFault};
pub use run::health::{ComponentHealth, SystemHealth};
pub use run::interruption::Interruption;
pub use run::launch::{Blocking, Immediate};
pub use run::options::{BootOptions, PhaseLimits, PhaseTable, Retry};
pub use run::phase_latch::{Passage, PhaseLatch};
pub use run::progress::{Progress, ProgressTable};
pub use run::running::{Running, ShutdownReport};
