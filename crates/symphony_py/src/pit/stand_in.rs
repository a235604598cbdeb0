//! What took a Pit member's place, as the core calls it: for Melodies and guests that name the member's operations.
//!
//! Code of users never runs on a thread of Rust, so a call waits here until one of Python's own daemon threads has
//! served it (`symphony/_swap/members.py`). Invariant: each request is answered once, also when the port closes under it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use boot_orchestrator::system::{System, TakenMember};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ipc::{Payload, RemoteFailure};
use orchestra_kit::manifest::Member;
use orchestra_kit::operations::StandIn;
use orchestra_kit::{ExtensionError, KitError};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::enter::{enter, guard};
use crate::door::error::{Fields, raise};
use crate::door::values::{decode, encode};
use crate::steps::live::{Live, LiveThreads};
use crate::steps::swap::{Slot, Stepper};
use crate::steps::words::ThreadWord;

type Answer = Result<Payload, KitError>;

struct Asked {
    operation: &'static str,
    required: Vec<&'static str>,
    inputs: Payload,
    answer: Sender<Answer>,
}

/// The core's end.
struct Calls {
    member: Member,
    requests: Sender<Asked>,
}

impl StandIn for Calls {
    fn call(
        &self,
        operation: &'static str,
        required: &[&'static str],
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Answer {
        let begun = Instant::now();
        let (answer, answered) = bounded(1);
        let asked =
            Asked { operation, required: required.to_vec(), inputs: inputs.clone(), answer };
        let stopped = || KitError::Stopped { what: self.member.as_str() };
        self.requests.send(asked).map_err(|_| stopped())?;
        let answer = match deadline {
            None => answered.recv().map_err(|_| stopped()),
            Some(deadline) => answered.recv_deadline(deadline).map_err(|error| {
                if error.is_timeout() {
                    let what = format!("{}.{operation}", self.member.as_str());
                    KitError::TimedOut { what, seconds: begun.elapsed().as_secs_f64() }
                } else {
                    stopped()
                }
            }),
        };
        answer?
    }
}

/// Python's end of the calls of one member's operations.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct MemberPort {
    requests: Receiver<Asked>,
    /// Dropped, it lets the threads that wait for requests end.
    open: Mutex<Option<Arc<dyn StandIn>>>,
    member: Member,
}

#[pymethods]
impl MemberPort {
    /// Waits for the next request, detached and without a timeout; `None` when the port is closed.
    fn next(&self, py: Python<'_>) -> Option<MemberRequest> {
        let asked = py.detach(|| self.requests.recv().ok())?;
        Some(MemberRequest { member: self.member, asked: Mutex::new(Some(asked)) })
    }

    /// Lets the threads that serve it end.
    fn close(&self) {
        self.open.lock().take();
    }
}

/// One call of an operation.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct MemberRequest {
    member: Member,
    asked: Mutex<Option<Asked>>,
}

impl MemberRequest {
    fn tell(&self, py: Python<'_>, answer: Answer) {
        if let Some(asked) = self.asked.lock().take() {
            // Its deadline may have passed meanwhile.
            py.detach(|| drop(asked.answer.send(answer)));
        }
    }
}

#[pymethods]
impl MemberRequest {
    /// Operation, the inputs that it cannot do without, and all inputs.
    fn read(&self, py: Python<'_>) -> PyResult<(&'static str, Vec<&'static str>, Py<PyAny>)> {
        let asked = self.asked.lock();
        let Some(asked) = &*asked else {
            return Err(Fields::new(component::Code::INTERNAL, "it was answered").raise(py));
        };
        Ok((asked.operation, asked.required.clone(), decode(py, &asked.inputs)?))
    }

    /// It has this result.
    fn answer(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let payload = encode(value)?;
        self.tell(py, Ok(payload));
        Ok(())
    }

    /// It raised, or cannot be served.
    fn fail(&self, py: Python<'_>, message: String, type_name: String, traceback: String) {
        let mut failure = RemoteFailure::new(component::Code::REMOTE_ERROR, message);
        (failure.type_name, failure.traceback) = (type_name, traceback);
        let operation = {
            let asked = self.asked.lock();
            asked.as_ref().map_or_else(String::new, |asked| asked.operation.to_owned())
        };
        let name = self.member.as_str().to_owned();
        let error = ExtensionError::Remote { name, operation, failure: Box::new(failure) };
        self.tell(py, Err(KitError::Extension(error)));
    }
}

/// One place of the Pit, as `symphony/_swap/members.py` swaps what stands in it.
#[pyclass(frozen, module = "symphony._core")]
pub(crate) struct MemberSeat {
    system: Arc<System>,
    member: Member,
    threads: Arc<LiveThreads>,
    taken: Mutex<Option<TakenMember>>,
}

impl MemberSeat {
    pub(crate) const fn new(
        system: Arc<System>,
        member: Member,
        threads: Arc<LiveThreads>,
    ) -> Self {
        Self { system, member, threads, taken: Mutex::new(None) }
    }
}

#[pymethods]
impl MemberSeat {
    /// The steps of an object that may come into this place, or of the member itself.
    fn candidate(&self, live: Live, thread: ThreadWord) -> Stepper {
        Stepper::new(live, thread, &self.threads)
    }

    /// From now on the steps of this place are those, and of what is exchanged for them; `None` when the system is
    /// being shut down.
    fn occupy(&self, stepper: &Stepper) -> Option<Slot> {
        if self.system.closing().load(Ordering::Acquire) {
            return None;
        }
        let (place, slot) = stepper.alone(&self.threads);
        self.system.stand_in(self.member, Some(place));
        Some(slot)
    }

    /// The steps of this place are the member's own again.
    fn vacate(&self) {
        self.system.stand_in(self.member, None);
    }

    /// Takes the member itself out of its place: its operations are asked of the port from now on.
    fn take(&self, py: Python<'_>) -> PyResult<MemberPort> {
        guard(py)?;
        let (requests, receiver) = unbounded();
        let calls: Arc<dyn StandIn> = Arc::new(Calls { member: self.member, requests });
        let taken = py.detach(|| self.system.take_member(self.member, Arc::clone(&calls)));
        let Some(taken) = taken else {
            let message = format!("`{}` is not in its place", self.member.as_str());
            return Err(Fields::new(component::Code::STOPPED, message).raise(py));
        };
        *self.taken.lock() = Some(taken);
        Ok(MemberPort { requests: receiver, open: Mutex::new(Some(calls)), member: self.member })
    }

    /// Puts it back.
    fn give_back(&self, py: Python<'_>) {
        if let Some(taken) = self.taken.lock().take() {
            py.detach(|| self.system.give_back(taken));
        }
    }

    /// Whether no call is inside what was taken out.
    fn is_idle(&self) -> bool {
        self.taken.lock().as_ref().is_none_or(|taken| taken.calls() == 0)
    }

    /// Which part of the core keeps it at work, and which other member went with it.
    fn about(&self) -> (Option<&'static str>, Option<&'static str>) {
        let taken = self.taken.lock();
        let taken = taken.as_ref();
        (taken.and_then(TakenMember::keeper), taken.and_then(TakenMember::company))
    }

    /// Closes what was taken out; may be called twice.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self.taken.lock().take();
        let Some(taken) = taken else { return Ok(()) };
        enter(py, || taken.close())?.map_err(|error| raise(py, &error))
    }
}
