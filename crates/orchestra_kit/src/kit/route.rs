//! Calls that guests make: granted, then sent on to the Pit or to another extension.
//!
//! Runs on a lane's reader, so nothing here waits: the Pit is called on a worker, or waits on no thread; an extension is
//! submitted to. Invariant: what one guest asks leaves room for what the others ask.

use std::sync::Arc;

use component::{Code, Hint};
use ipc::{Blocks, MAX_LENGTH, RemoteFailure};

use super::call_cycles::{Version, Waiting};
use super::extensions::Inner;
use crate::error::ExtensionError;
use crate::extension::ExtensionHandle;
use crate::host::{Caller, Errand, Kind, Routed, Router, Way};
use crate::manifest::Member;

impl Router for Inner {
    fn wait(
        &self,
        caller: &Caller,
        blocks: Blocks,
        call: &str,
    ) -> Result<Option<Box<dyn Send>>, RemoteFailure> {
        // What is not granted is refused for that.
        let known =
            call.split_once('.').filter(|_| caller.manifest().permissions.grants_call(call));
        let Some((target, operation)) = known else { return Ok(None) };
        let Ok(extension) = self.extension(target) else { return Ok(None) };
        // While several versions share the calls nobody knows yet which one gets this.
        if extension.tag().is_some() {
            return Ok(None);
        }
        let (target, operation) = (Version::of(extension.manifest()), operation.to_owned());
        let waiting = Waiting::new(call, target, move || extension.runs_beside(&operation));
        match self.cycles.begin(Version::of(caller.manifest()), blocks, waiting) {
            Ok(wait) => Ok(Some(Box::new(wait))),
            Err(ring) => {
                let name = caller.manifest().name.value.clone();
                Err(failure(&ExtensionError::Cycle { name, ring: ring.into() }))
            }
        }
    }

    fn route(&self, caller: &Arc<Caller>, request: Routed) {
        let manifest = caller.manifest();
        if !manifest.permissions.grants_call(&request.call) {
            let (name, call) = (manifest.name.value.clone(), request.call);
            return (request.answer)(Err(failure(&ExtensionError::NotGranted { name, call })));
        }
        let Some((target, operation)) = request.call.split_once('.') else {
            let call = request.call;
            return (request.answer)(Err(failure(&crate::KitError::UnknownOperation { call })));
        };
        let (target, operation) = (target.to_owned(), operation.to_owned());
        match Member::parse(&target) {
            Some(member) => self.to_member(caller, member, operation, request),
            None => match self
                .numbers
                .get(&target)
                .and_then(|number| Some((*number, self.at(*number)?)))
            {
                Some((number, extension)) => {
                    send_on(caller, number, &extension, &operation, request);
                }
                None => (request.answer)(Err(failure(&self.not_found(&target)))),
            },
        }
    }
}

impl Inner {
    fn to_member(&self, caller: &Arc<Caller>, member: Member, operation: String, request: Routed) {
        let Routed { id, inputs, options, answer, .. } = request;
        let members = self.members();
        caller.calls(id, None, inputs.size());
        let asking = Arc::clone(caller);
        if members.waits_for_others(member, &operation) {
            let answer = Box::new(move |outcome: Result<_, crate::KitError>| {
                asking.answered(id);
                answer(outcome.map_err(|error| failure(&error)));
            });
            let (operation, deadline) = ((member, operation.as_str()), options.deadline);
            let waits =
                self.begin_waiting(Some(caller.holdings()), operation, &inputs, deadline, answer);
            if let Some(call) = waits {
                caller.made(id, Way::Waiting(call));
            }
            return;
        }
        let kind =
            if members.may_wait(member, &operation, &inputs) { Kind::Long } else { Kind::Short };
        let holdings = Arc::clone(caller.holdings());
        let work = move || {
            let outcome =
                members.call_for(&holdings, member, &operation, &inputs, options.deadline);
            outcome.map_err(|error| failure(&error))
        };
        let respond = Box::new(move |outcome| {
            asking.answered(id);
            answer(outcome);
        });
        let errand = Arc::new(Errand::new(work, respond));
        caller.made(id, Way::Working(Arc::clone(&errand)));
        let running = Arc::clone(&errand);
        let name = &caller.manifest().name.value;
        if self.shares.run(&self.workers, name, kind, move || running.run()).is_err() {
            errand.refuse(Code::OVERLOADED, "too many calls of extensions are waiting");
        }
    }
}

/// Sends a guest's call on to another extension, unless its calls have as much there as is left for all others. So
/// however many guests fill a queue, there is room for one more, and only they hear that it is full.
fn send_on(
    caller: &Arc<Caller>,
    number: u32,
    extension: &ExtensionHandle,
    operation: &str,
    request: Routed,
) {
    let Routed { id, inputs, options, answer, .. } = request;
    let (calls, bytes) = caller.load_on(number);
    let free = (MAX_LENGTH as usize).saturating_sub(extension.queued_bytes());
    if calls > 0
        && (calls >= extension.room_at_last() || bytes.saturating_add(inputs.size()) > free)
    {
        let (name, from) = (extension.name(), &caller.manifest().name.value);
        let message = format!(
            "`{from}` has {calls} calls with {bytes} bytes at `{name}`, which has no more room for it"
        );
        return answer(Err(RemoteFailure::new(Code::OVERLOADED, message)));
    }
    caller.calls(id, Some(number), inputs.size());
    let asking = Arc::clone(caller);
    let done = Box::new(move |outcome: Result<_, ExtensionError>| {
        asking.answered(id);
        answer(outcome.map_err(|error| match error {
            // What the called one told reaches the caller as it is.
            ExtensionError::Remote { mut failure, refusal, .. } => {
                if let Some(hint) = refusal {
                    failure.message = format!("{}; {hint}", failure.message);
                }
                *failure
            }
            error => failure(&error),
        }));
    });
    caller.made(id, Way::Called(extension.submit(operation, &inputs, &options, done)));
}

fn failure(error: &dyn Hint) -> RemoteFailure {
    let mut failure = RemoteFailure::from_hint(error);
    // No hints go over a lane, and whoever reads this wrote the manifest.
    for hint in error.hints() {
        failure.message = format!("{}; {hint}", failure.message);
    }
    failure
}
