//! What every handle holds of its member.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use boot_orchestrator::system::HandleUse;
use component::Code;
use pyo3::prelude::*;

use crate::door::error::Fields;

/// A member as its handle holds it.
///
/// A reference taken and given back is two locked instructions, as long as all the rest of an empty call. So the handle
/// keeps one reference, and a call is counted while the interpreter is held; whoever asks for the counts holds it too.
/// A member that is closed lets go of its files and of what users gave it, whoever still has the handle.
pub(super) struct MemberRef<T> {
    member: Arc<T>,
    name: &'static str,
    uses: Arc<HandleUse>,
    closed: Arc<AtomicBool>,
}

impl<T> MemberRef<T> {
    pub(super) fn new(
        member: Arc<T>,
        name: &'static str,
        uses: Arc<HandleUse>,
        closed: Arc<AtomicBool>,
    ) -> Self {
        uses.made();
        Self { member, name, uses, closed }
    }

    /// The member, as long as it is in its place.
    #[inline]
    pub(super) fn get(&self, py: Python<'_>) -> PyResult<Calling<'_, T>> {
        // A lease or an open artifact of a user's may outlive the system.
        if self.closed.load(Ordering::Relaxed) || self.uses.is_gone() {
            return Err(self.gone(py));
        }
        self.uses.begins();
        Ok(Calling { member: &self.member, uses: &self.uses, attached: PhantomData })
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

impl<T> Drop for MemberRef<T> {
    fn drop(&mut self) {
        self.uses.dropped();
    }
}

/// A call that is inside a member. It may be looked at by work that has left the interpreter, and ends where it began.
pub(super) struct Calling<'a, T> {
    member: &'a Arc<T>,
    uses: &'a HandleUse,
    /// As a guard of a lock it does not go to another thread, or into a closure that runs detached.
    attached: PhantomData<MutexGuard<'static, ()>>,
}

impl<T> Deref for Calling<'_, T> {
    type Target = Arc<T>;

    #[inline]
    fn deref(&self) -> &Arc<T> {
        self.member
    }
}

impl<T> Drop for Calling<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.uses.ends();
    }
}
