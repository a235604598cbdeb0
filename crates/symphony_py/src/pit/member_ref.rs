//! What every handle holds of its member.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use component::Code;
use pyo3::prelude::*;

use crate::door::error::Fields;

/// A member as its handle holds it: weakly, so that whoever keeps the handle keeps no member.
///
/// A call holds the member itself for as long as it lasts. The members' own counts of references are therefore the
/// counts of their calls, by which a swap knows that the last one has ended; nothing else is counted on the way.
pub(super) struct MemberRef<T> {
    member: Weak<T>,
    name: &'static str,
    closed: Arc<AtomicBool>,
}

impl<T> MemberRef<T> {
    pub(super) fn new(member: &Arc<T>, name: &'static str, closed: Arc<AtomicBool>) -> Self {
        Self { member: Arc::downgrade(member), name, closed }
    }

    /// The member, as long as it is in its place.
    #[inline]
    pub(super) fn get(&self, py: Python<'_>) -> PyResult<Arc<T>> {
        // A lease or an open artifact of a user's may outlive the system, and with it the member.
        match self.member.upgrade() {
            Some(member) if !self.closed.load(Ordering::Relaxed) => Ok(member),
            _ => Err(self.gone(py)),
        }
    }

    #[cold]
    fn gone(&self, py: Python<'_>) -> PyErr {
        let closed = self.closed.load(Ordering::Relaxed);
        let why = if closed { "with its system" } else { "when another took its place" };
        let mut fields = Fields::new(Code::STOPPED, format!("`{}` was stopped {why}", self.name));
        if !closed {
            let hint = "use the object that `system[…]` gives now, or keep a `Handle`";
            fields.hints.push(hint.to_owned());
        }
        fields.raise(py)
    }
}
