//! The engine that plans and runs a boot, and (in `system`) the one place that wires the real one.
//!
//! A [`Registry`] of descriptors becomes a [`Plan`], or every fault of the graph at once. A [`Boot`] runs the plan: it ends
//! in a [`Running`] system, or in a [`BootFailure`] with nothing left. What happens is told as [`BootEvent`]s, of which the
//! [`BootReport`] is made.

mod baseline;
mod cancel;
mod children;
mod critical_path;
mod cut;
mod cut_short;
mod deadline;
mod desk;
mod error;
mod event;
mod event_text;
mod executor;
mod fault;
mod fault_plan;
mod faults;
mod gate;
mod graph;
mod graph_format;
mod health;
mod latch;
#[cfg(test)]
mod latch_test;
mod launch;
mod memory;
mod options;
mod outside;
mod overhead;
mod plan;
mod registry;
mod report;
mod rollback;
mod running;
mod savings;
mod spans;
mod standing;
mod start;
mod sync;
pub mod system;
mod threads;
mod ticket;
mod timeline;
mod waterfall;

pub use baseline::{
    Baseline, BaselineError, Change, Comparison, Kind, NOISE_SECONDS, NOISE_SHARE, Noise,
};
pub use cancel::Cancel;
pub use children::{ChildSpan, ChildSpans};
pub use error::{BootFailure, PlanFaults, StopFailure};
pub use event::{BootEvent, EventSink, Level, Stamped, Status};
pub use executor::Boot;
pub use fault_plan::{FaultKind, FaultPlan, InjectedFault, UnknownFault};
pub use graph::Edge;
pub use graph_format::GraphFormat;
pub use health::{ComponentHealth, SystemHealth};
pub use latch::{Passage, PhaseLatch};
pub use launch::{Blocking, Immediate, Task};
pub use memory::{peak as peak_memory, process_start};
pub use options::{BootOptions, Budgets, PhaseLimits, PhaseTable, Retry};
pub use outside::{Outside, OutsideWork};
pub use plan::{Plan, Planned};
pub use registry::Registry;
pub use report::{
    BootReport, BudgetViolation, ComponentReport, ErrorReport, PhaseReport, Saving, SpanReport,
};
pub use running::{Running, ShutdownReport};
pub use standing::{Standing, Standings};
pub use threads::{Job, Threads};
