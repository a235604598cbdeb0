//! Calls that guests make: granted, then sent on to the Pit or to another extension.
//!
//! Runs on a lane's reader, so nothing here waits: the Pit is called on a worker, an extension is submitted to.

use std::sync::Arc;

use component::{Code, Hint};
use ipc::RemoteFailure;

use super::extensions::Inner;
use crate::error::ExtensionError;
use crate::host::{Caller, Routed, Router, or_panicked};
use crate::manifest::Member;

impl Router for Inner {
    fn route(&self, caller: &Arc<Caller>, request: Routed) {
        let Routed { call, inputs, options, answer } = request;
        let manifest = caller.manifest();
        if !manifest.permissions.grants_call(&call) {
            let name = manifest.name.value.clone();
            return answer(Err(failure(&ExtensionError::NotGranted { name, call })));
        }
        let Some((target, operation)) = call.split_once('.') else {
            return answer(Err(failure(&crate::KitError::UnknownOperation { call })));
        };
        if let Some(member) = Member::parse(target) {
            let members = self.members();
            // What does not wait, as to give back a grant, never stands behind what does.
            let waits = members.may_wait(member, operation, &inputs);
            // Whoever does not get to run it has to answer, so both ways hold it.
            let answer = Arc::new(parking_lot::Mutex::new(Some(answer)));
            let (answering, asking) = (Arc::clone(&answer), Arc::clone(caller));
            let job = move || {
                let holdings = asking.holdings();
                // It may have waited for its turn longer than its caller was there.
                if holdings.has_ended() {
                    return;
                }
                let outcome = or_panicked(
                    || {
                        let outcome = members.call_for(holdings, &call, &inputs, options.deadline);
                        outcome.map_err(|error| failure(&error))
                    },
                    || {
                        Err(RemoteFailure::new(
                            Code::INTERNAL,
                            "the call panicked; please report it",
                        ))
                    },
                );
                if let Some(answer) = answering.lock().take() {
                    answer(outcome);
                }
            };
            let queued = if waits {
                self.shares.run(&self.workers, &manifest.name.value, job)
            } else {
                self.workers.run(job)
            };
            if queued.is_err()
                && let Some(answer) = answer.lock().take()
            {
                let message = "too many calls of extensions are waiting";
                answer(Err(RemoteFailure::new(Code::OVERLOADED, message)));
            }
            return;
        }
        match self.extension(target) {
            Ok(extension) => {
                let number = caller.calls();
                let asking = Arc::clone(caller);
                let done = Box::new(move |outcome: Result<_, ExtensionError>| {
                    asking.answered(number);
                    answer(outcome.map_err(|error| match error {
                        // What the called one told reaches the caller as it is.
                        ExtensionError::Remote { failure, .. } => *failure,
                        error => failure(&error),
                    }));
                });
                caller.made(number, extension.submit(operation, &inputs, &options, done));
            }
            Err(error) => answer(Err(failure(&error))),
        }
    }
}

fn failure(error: &dyn Hint) -> RemoteFailure {
    let mut failure = RemoteFailure::from_hint(error);
    // No hints go over a lane, and whoever reads this wrote the manifest.
    for hint in error.hints() {
        failure.message = format!("{}; {hint}", failure.message);
    }
    failure
}
