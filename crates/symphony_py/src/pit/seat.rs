//! The place of a Pit member, with the methods of a component's, so that whatever swaps components swaps members too.
//!
//! Caller: `symphony/_swap/members.py`. Invariant: while something else stands in it, the member's operations are asked of
//! that; when the member itself comes back, they are its own again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use boot_orchestrator::steps::ThreadKind;
use boot_orchestrator::system::{System, TakenMember};
use component::Code;
use orchestra_kit::manifest::Member;
use orchestra_kit::operations::StandIn;
use parking_lot::Mutex;
use pyo3::prelude::*;

use super::stand_in::StandInThreads;
use crate::door::enter::{enter, guard};
use crate::door::error::{Fields, raise};
use crate::door::words::Word;
use crate::steps::live::{Live, LiveThreads};
use crate::steps::swap::{Slot, Stepper};
use crate::swap::holder::Holder;
use crate::swap::report::SwapReport;

/// The member itself, as the container has it: its `Live`, the container, and the class of its handle.
struct Owner {
    live: Live,
    container: Py<PyAny>,
    key: Py<PyAny>,
}

/// The place while something else stands in it.
struct Occupied {
    slot: Slot,
    /// The steps of the member itself.
    own: Stepper,
    /// Dropped, it lets the threads that answer for the member end.
    _calls: Arc<dyn StandIn>,
}

/// The place of one member of the Pit.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct MemberSeat {
    system: Arc<System>,
    member: Member,
    threads: Arc<LiveThreads>,
    owner: Mutex<Option<Owner>>,
    occupied: Mutex<Option<Occupied>>,
    taken: Mutex<Option<TakenMember>>,
}

impl MemberSeat {
    pub(crate) const fn new(
        system: Arc<System>,
        member: Member,
        threads: Arc<LiveThreads>,
    ) -> Self {
        Self {
            system,
            member,
            threads,
            owner: Mutex::new(None),
            occupied: Mutex::new(None),
            taken: Mutex::new(None),
        }
    }

    /// Takes the member out, and has what comes asked for its operations; gives the member's own steps.
    fn give(&self, py: Python<'_>, stepper: &Stepper) -> PyResult<Option<Stepper>> {
        guard(py)?;
        if self.system.closing().load(Ordering::Acquire) {
            return Ok(None);
        }
        let gone = || {
            let message = format!("`{}` is not in its place", self.member.as_str());
            Fields::new(Code::STOPPED, message).raise(py)
        };
        let (live, container, key) = {
            let owner = self.owner.lock();
            let owner = owner.as_ref().ok_or_else(gone)?;
            (owner.live.clone_ref(py), owner.container.clone_ref(py), owner.key.clone_ref(py))
        };
        let calls = StandInThreads::start(py, self.member, container, key)?;
        let taken = py.detach(|| self.system.take_member(self.member, Arc::clone(&calls)));
        *self.taken.lock() = Some(taken.ok_or_else(gone)?);
        let (place, slot) = stepper.alone(&self.threads);
        self.system.stand_in(self.member, Some(place));
        let own = Stepper::new(live, Word(ThreadKind::Own), &self.threads);
        *self.occupied.lock() = Some(Occupied { slot, own: own.again(), _calls: calls });
        Ok(Some(own))
    }
}

#[pymethods]
impl MemberSeat {
    /// Whose place it is.
    fn belong(&self, live: Live, container: Py<PyAny>, key: Py<PyAny>) {
        *self.owner.lock() = Some(Owner { live, container, key });
    }

    /// The steps of an object that may come into this place.
    fn candidate(&self, live: Live, thread: Word<ThreadKind>) -> Stepper {
        Stepper::new(live, thread, &self.threads)
    }

    /// Puts another object into the place: gives the steps of the one before, `None` at the shutdown.
    fn exchange(&self, py: Python<'_>, stepper: &Stepper) -> PyResult<Option<Stepper>> {
        if self.occupied.lock().is_none() {
            return self.give(py, stepper);
        }
        let (before, is_back) = {
            let occupied = self.occupied.lock();
            let Some(occupied) = &*occupied else { return Ok(None) };
            (occupied.slot.exchange(stepper), occupied.own.is(stepper))
        };
        if before.is_some() && is_back {
            self.system.stand_in(self.member, None);
            let taken = self.taken.lock().take();
            py.detach(|| taken.map(|taken| self.system.give_back(taken)));
            drop(self.occupied.lock().take());
        }
        Ok(before)
    }

    /// Leaves an object to be stopped with the place; false when that is being stopped already.
    fn retire(&self, stepper: &Stepper) -> bool {
        self.occupied.lock().as_ref().is_some_and(|occupied| occupied.slot.retire(stepper))
    }

    /// Takes back objects that were left; false when they are being stopped already.
    fn reclaim(&self, steppers: Vec<PyRef<'_, Stepper>>) -> bool {
        self.occupied.lock().as_ref().is_some_and(|occupied| occupied.slot.reclaim(steppers))
    }

    /// Whether no call is inside what was taken out.
    fn is_idle(&self) -> bool {
        self.taken.lock().as_ref().is_none_or(|taken| taken.calls() == 0)
    }

    /// Says in a report what went with the member, and who keeps it at work; whether anybody does.
    fn tell(&self, report: &mut SwapReport) -> bool {
        let (keeper, company) = {
            let taken = self.taken.lock();
            let taken = taken.as_ref();
            (taken.and_then(TakenMember::keeper), taken.and_then(TakenMember::company))
        };
        if let Some(company) = company {
            report.note(format!("stopped with it: `{company}`, which works inside it"));
        }
        let Some(keeper) = keeper else { return false };
        let edit = "none is needed: it is closed with the system";
        report.hold([Holder::new("symphony".to_owned(), keeper.to_owned(), edit.to_owned(), None)]);
        true
    }

    /// Closes what was taken out; may be called twice.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self.taken.lock().take();
        let Some(taken) = taken else { return Ok(()) };
        enter(py, || taken.close())?.map_err(|error| raise(py, &error))
    }

    /// The system is down: nobody asks for operations any more.
    fn end(&self) {
        let dropped = (self.owner.lock().take(), self.occupied.lock().take());
        drop(dropped);
    }
}
