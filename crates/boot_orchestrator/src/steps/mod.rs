//! Steps that run on threads of somebody else: queued here, and taken out by whoever owns those threads.
//!
//! Caller: the bindings of a language whose code may run on threads of its own only. Everything is generic over the object
//! that the steps belong to, and knows nothing of it.

mod awaited;
mod beside;
mod component;
mod own_objects;
mod queue;
mod receiver;
mod swap_place;
mod sync;
mod threads;

pub use awaited::{AwaitedStep, CallingStep, StepEnd};
pub use beside::WorkBeside;
pub use component::{QueuedComponent, ThreadKind};
pub use own_objects::{Referring, shared_objects};
pub use queue::{QueuedStep, StepQueue, Taken};
pub use receiver::StepReceiver;
pub use swap_place::SwapPlace;
pub use threads::{StepThreads, ThreadOrder};
