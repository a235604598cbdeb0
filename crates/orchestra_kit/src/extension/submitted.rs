//! A call that was submitted: it is sent when its extension is ready, and has one outcome.
//!
//! Made by [`ExtensionHandle::submit`](super::ExtensionHandle::submit). Invariant: the outcome comes once, from whoever is first: the
//! answer, a refusal, the deadline, a cancel, the end of the extension.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{CallError, CallId, CallOptions, Payload};
use parking_lot::Mutex;

use super::Extension;
use super::life::Current;
use super::outcome::told;
use crate::error::ExtensionError;
use crate::host::Guest;
use crate::manifest::Protocol;

/// Receives a submitted call's outcome, once, on whichever thread has it. It must not block.
pub type CallDone = Box<dyn FnOnce(Result<Payload, ExtensionError>) + Send>;

/// A submitted call, by which it can be cancelled.
#[derive(Clone)]
pub struct Call {
    pub(super) extension: Arc<Extension>,
    state: Arc<Mutex<State>>,
    /// Whether it is made for the second time.
    is_again: bool,
}

struct State {
    stage: Stage,
    /// Whether it was given up: also where nobody could be told yet, since it was just being sent, or made again.
    is_cancelled: bool,
}

enum Stage {
    /// The extension is not ready yet; the ticket of the wait.
    Waiting(Option<u64>, Option<CallDone>),
    /// It was sent.
    Sent(Arc<dyn Guest>, Option<CallId>),
    /// It has its outcome, or was not sent.
    Over,
}

impl Call {
    /// One that is not sent yet.
    pub(super) fn new(extension: Arc<Extension>, done: CallDone) -> Self {
        let state = State { stage: Stage::Waiting(None, Some(done)), is_cancelled: false };
        Self { extension, state: Arc::new(Mutex::new(state)), is_again: false }
    }

    /// Gives the call up; its outcome is then that it was cancelled, unless it already has another.
    pub fn cancel(&self) {
        let mut state = self.state.lock();
        state.is_cancelled = true;
        match &mut state.stage {
            Stage::Waiting(ticket, done) => {
                let (ticket, done) = (*ticket, done.take());
                // Where `done` is not here, it is just being sent: whoever does so finds that it was given up.
                state.stage = Stage::Over;
                drop(state);
                if let Some(ticket) = ticket {
                    self.extension.withdraw(ticket);
                }
                if let Some(done) = done {
                    self.tell_cancelled(done);
                }
            }
            Stage::Sent(guest, Some(id)) => {
                let (guest, id) = (Arc::clone(guest), *id);
                drop(state);
                guest.cancel(id);
            }
            Stage::Sent(_, None) | Stage::Over => {}
        }
    }

    /// Sends it as soon as the extension is ready, within its deadline.
    pub(super) fn send_when_ready(&self, operation: String, inputs: Payload, options: CallOptions) {
        if let Some(deadline) = options.deadline {
            let (call, operation) = (self.clone(), operation.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            self.extension.after(left, move || call.expire(&operation, left));
        }
        let waiting = self.clone();
        let ticket = self.extension.when_ready(Box::new(move |ready| {
            waiting.send(ready, &operation, &inputs, &options);
        }));
        if let Stage::Waiting(place, _) = &mut self.state.lock().stage {
            *place = Some(ticket);
        }
    }

    /// What is done when the server ends under it: it is made again, where that changes nothing. Nothing where it is not.
    fn repeated(
        &self,
        current: &Current,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Option<impl FnOnce(CallDone) + Send + use<>> {
        if self.is_again || !repeats(&self.extension, current, operation) {
            return None;
        }
        let again = Self { is_again: true, ..self.clone() };
        let (operation, inputs, options) =
            (operation.to_owned(), inputs.clone(), options.of_here());
        let run = current.run;
        Some(move |done: CallDone| {
            let mut state = again.state.lock();
            if state.is_cancelled {
                drop(state);
                again.tell_cancelled(done);
                return;
            }
            // It can be given up meanwhile.
            state.stage = Stage::Waiting(None, Some(done));
            drop(state);
            let extension = Arc::clone(&again.extension);
            let then = Box::new(move |error: ExtensionError| match error {
                ExtensionError::Crashed { .. } => again.send_when_ready(operation, inputs, options),
                error => again.send(Err(error), &operation, &inputs, &options),
            });
            extension.when_ended(run, then);
        })
    }

    fn expire(&self, operation: &str, after: Duration) {
        let done = match &mut self.state.lock().stage {
            Stage::Waiting(_, done) => done.take(),
            // The lane keeps the deadline of what was sent.
            Stage::Sent(..) | Stage::Over => None,
        };
        if let Some(done) = done {
            self.state.lock().stage = Stage::Over;
            done(Err(ExtensionError::TimedOut {
                name: self.extension.name().to_owned(),
                operation: operation.to_owned(),
                after,
            }));
        }
    }

    fn tell_cancelled(&self, done: CallDone) {
        done(Err(told(&self.extension, None, "", CallError::Cancelled)));
    }

    /// The extension is ready, or will not be.
    pub(super) fn send(
        &self,
        ready: Result<Current, ExtensionError>,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) {
        let done = match &mut self.state.lock().stage {
            Stage::Waiting(_, done) => done.take(),
            Stage::Sent(..) | Stage::Over => None,
        };
        let Some(done) = done else { return };
        let current = match ready {
            Ok(current) => current,
            Err(error) => {
                self.state.lock().stage = Stage::Over;
                done(Err(error));
                return;
            }
        };
        // The answer and a refusal can both come; whichever is first takes it.
        let done = Arc::new(Mutex::new(Some(done)));
        let (extension, answered, name) =
            (Arc::clone(&self.extension), Arc::clone(&done), operation.to_owned());
        let seen = current.clone();
        let repeated = self.repeated(&current, operation, inputs, options);
        let answer = Box::new(move |outcome: Result<Payload, CallError>| {
            let Some(done) = answered.lock().take() else { return };
            match outcome {
                Ok(result) => done(Ok(result)),
                Err(CallError::Closed { .. }) => match repeated {
                    Some(repeat) => repeat(done),
                    None => {
                        extension.when_ended(seen.run, Box::new(move |error| done(Err(error))));
                    }
                },
                Err(error) => done(Err(told(&extension, Some(&seen), &name, error))),
            }
        });
        match Arc::clone(&current.guest).submit(operation, inputs, options, answer) {
            Ok(id) => {
                let mut state = self.state.lock();
                if state.is_cancelled {
                    drop(state);
                    if let Some(id) = id {
                        current.guest.cancel(id);
                    }
                    return;
                }
                // The server may have ended since, and the call wait for the next one.
                if self.is_again || matches!(state.stage, Stage::Waiting(_, None)) {
                    state.stage = Stage::Sent(Arc::clone(&current.guest), id);
                }
            }
            Err(error) => {
                self.state.lock().stage = Stage::Over;
                let Some(done) = done.lock().take() else { return };
                match error {
                    CallError::Closed { .. } => {
                        let then = Box::new(move |error| done(Err(error)));
                        self.extension.when_ended(current.run, then);
                    }
                    error => done(Err(told(&self.extension, Some(&current), operation, error))),
                }
            }
        }
    }
}

/// Whether a call of that operation is made again, once, when the server ends under it: what only reads does no harm twice.
pub(super) fn repeats(extension: &Extension, current: &Current, operation: &str) -> bool {
    extension.manifest().protocol != Protocol::Lane && current.guest.reads(operation)
}

#[cfg(test)]
#[path = "submitted_tests.rs"]
mod tests;
