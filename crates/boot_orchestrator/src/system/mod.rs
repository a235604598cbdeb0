//! The composition root: the one place that names concrete components and wires the real system.
//!
//! [`System::open`] starts the supervisor and reads the manifests; [`System::register`] adds every component of
//! Symphony's own to a registry; what they make is found in the system's parts while it runs.

mod abandoned;
mod child_starts;
mod extensions;
mod foundation;
mod handle_use;
mod inherited;
mod member_place;
mod members;
mod open;
mod options;
mod own;
mod parts;
mod replaced;
mod safe_mode;
mod state_folder;
mod state_lock;
mod state_place;
mod swap;

pub use handle_use::HandleUse;
pub use inherited::Inherited;
pub use open::System;
pub use options::SystemOptions;
pub use own::{OwnPart, own_parts};
pub use swap::TakenMember;
