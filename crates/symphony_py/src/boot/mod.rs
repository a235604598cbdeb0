//! One boot as Python drives it, from its registration to the running system and its report.

pub(crate) mod annotations;
pub(crate) mod check;
pub(crate) mod constructors;
pub(crate) mod contracts;
pub(crate) mod deployment;
pub(crate) mod driver;
pub(crate) mod engine_thread;
pub(crate) mod events;
pub(crate) mod fault_plan;
pub(crate) mod late_binding;
pub(crate) mod lawful;
pub(crate) mod log;
pub(crate) mod lookup;
pub(crate) mod report;
pub(crate) mod running;
pub(crate) mod watchdog;
