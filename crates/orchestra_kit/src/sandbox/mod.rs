//! What an extension's manifest grants, held by the operating system.
//!
//! [`Policy`] is made in the root from a manifest and travels with the order to start a guest; the supervisor's freshly
//! forked child applies it to itself before any code of the extension runs ([`Policy::apply`]). What a kernel can hold is
//! asked once ([`Kernel`]), and told grant by grant ([`enforcement`]). Invariant: what is reported as enforced was
//! applied, or the guest does not run: a step that fails ends the child.

mod always;
mod apply;
mod enforcement;
mod files;
mod filter;
mod kernel;
mod listener;
mod policy;
mod programs;
mod python;
mod refusal;
mod system_calls;
#[cfg(test)]
mod tests;

pub use apply::SandboxError;
pub use enforcement::{Enforcement, Level, enforcement};
pub use kernel::{HostLists, Kernel};
pub use listener::{ADDRESS, Connect, Listener};
pub(crate) use policy::own_program;
pub use policy::{Places, Policy};
pub use python::Interpreter;
pub use refusal::Refusals;
