//! Connects of guests whose manifest lists hosts (`network = ["host:port"]`), made for them.
//!
//! [`Broker`] is a part of the supervisor's loop: a guest's filter hands each `connect` to it, it copies the address, holds it
//! against the list ([`names`]), takes the guest's socket, connects it and answers. What has to wait waits in its epoll, never in
//! a call; names are looked up by a process of their own ([`resolver`]). Invariant: what was checked is what is connected to, and
//! whatever cannot be checked is refused.

mod address;
mod alarm;
mod broker;
mod gate;
mod handover;
mod names;
mod resolver;

pub(super) use alarm::give_back;
pub(super) use broker::Broker;
pub(super) use handover::hand_over;
pub use resolver::serve as resolve;
