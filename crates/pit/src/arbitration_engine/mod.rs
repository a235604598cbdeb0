//! Who gets a scarce thing: a GPU, a rate, a number of slots. Decided by rule, told with its reason, kept for audit.
//!
//! The rule of one resource is an `Arbiter`: pure, without clock or lock, so the same asks and releases in the same
//! order give the same decisions. The engine around it adds waiting, deadlines and the audit. Invariants: no more than
//! the capacity is ever granted; nobody starves under any strategy: whoever stands first is not overtaken, and everyone
//! who waits comes to stand first; a thread that waits while it holds what makes its wait endless is told so.

mod arbiter;
mod ask;
mod audit;
mod deadlock;
mod engine;
mod fair;
mod grant;
mod lease_alarm;
mod ordered;
mod reason;
mod strategy;

pub use audit::{AuditEntry, Decision};
pub use engine::later::Waiting;
pub use engine::{ArbitrationEngine, Request, ResourceStatus};
pub use grant::{Answered, Grant, Outcome};
pub use lease_alarm::TakeBack;
pub use reason::Reason;
pub use strategy::{AGEING, Strategy};
