//! Calling an extension: the handle that everybody holds, whatever runs behind it.
//!
//! Called by Python's door, the melody engine and other guests' routed calls. Invariants: a ready extension is called on
//! the caller's own thread with one lock read in front of it; what the lane reports is told in terms of the extension.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::{Health, State};
use crossbeam_channel::bounded;
use ipc::{CallError, CallOptions, Closed, Operation, Payload};

use super::figures::Figures;
use super::life::Current;
use super::outcome::unexplained;
use super::submitted::{Call, CallDone, repeats};
use super::trial::{Begun, Tag, Trial};
use super::wait::{self, Unready};
use super::{Extension, StopReport, stop_all};
use crate::error::ExtensionError;
use crate::host::StartSpan;
use crate::sandbox::Enforcement;

/// How many bytes of inputs of several calls are under way at once.
const MANY: usize = 16 * 1024 * 1024;

/// How long a caller waits to hear how an extension crashed before it is told without that.
const OBITUARY: Duration = Duration::from_secs(2);

/// An extension, by which it is called, watched and restarted. Cheap to clone.
///
/// It is of the version that answers to the name when the kit gives it; whoever keeps the name and asks the kit for each
/// call is redirected by a swap.
#[derive(Clone)]
pub struct ExtensionHandle {
    pub(super) extension: Arc<Extension>,
    /// Set while several versions share the calls.
    trial: Option<Arc<Trial>>,
    /// By what a call is given to one of them, where its caller knows.
    key: Option<Arc<[u8]>>,
}

impl ExtensionHandle {
    pub(crate) const fn new(extension: Arc<Extension>, trial: Option<Arc<Trial>>) -> Self {
        Self { extension, trial, key: None }
    }

    /// What was given to the trial in which several versions share its calls at present.
    pub fn tag(&self) -> Option<&Tag> {
        self.trial.as_ref()?.tag()
    }

    /// The same for calls that are kept together by this key, while several versions share the calls.
    #[must_use]
    pub fn keyed(&self, key: &[u8]) -> Self {
        Self { key: Some(Arc::from(key)), ..self.clone() }
    }

    /// The version that has this call, and the call as it is counted there.
    pub(super) fn chosen(&self, inputs: &Payload) -> Option<(Self, Begun)> {
        let (extension, begun) = self.trial.as_ref()?.begin(inputs, self.key.as_deref());
        Some((Self::new(extension, None), begun))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.extension.name()
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Arc<crate::manifest::ExtensionManifest> {
        self.extension.manifest()
    }

    /// How far each of its permissions is held, as it would be started now.
    pub fn enforcement(&self) -> Vec<Enforcement> {
        self.extension.enforcement()
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.extension.state()
    }

    /// How it is, for the gate and `health()`.
    pub fn health(&self) -> Health {
        self.extension.health()
    }

    /// Why it is not ready, or how it crashed last.
    pub fn fault(&self) -> Option<ExtensionError> {
        self.extension.fault()
    }

    /// The number of its process, while it has one of its own.
    pub fn pid(&self) -> Option<u32> {
        self.extension.current().and_then(|current| current.guest.pid())
    }

    /// The number of its process and what its start's time went into: to be asked later, when both are known, and also
    /// when it has ended meanwhile. Nothing where it has no process of its own.
    pub fn start_account(&self) -> impl FnOnce() -> (Option<u32>, Vec<StartSpan>) + Send + use<> {
        let guest = self.extension.current().map(|current| current.guest);
        let ended = self.extension.account();
        move || match guest {
            // Its own word that it is ready may be faster than the word on its number, which is worth waiting for.
            Some(guest) => (guest.pid(), guest.start_account().1),
            None => ended.unwrap_or_default(),
        }
    }

    /// The operations that it said it has; None while it is not ready.
    pub fn operations(&self) -> Option<Vec<Operation>> {
        self.extension.current().map(|current| current.guest.operations())
    }

    /// Whether an operation runs beside others there, and holds up nobody who is called meanwhile; None while it is not
    /// ready.
    pub(crate) fn runs_beside(&self, operation: &str) -> Option<bool> {
        self.extension.current().map(|current| current.guest.runs_beside(operation))
    }

    /// What came of its calls, how often it was started again, and how it failed last.
    pub fn figures(&self) -> Figures {
        let current = self.extension.current();
        Figures {
            restarts: self.extension.starts().saturating_sub(1),
            pending: current.map_or(0, |current| current.guest.pending()),
            fault: self.fault().map(|fault| fault.to_string()),
            ..self.extension.counters.read()
        }
    }

    /// How many more calls its queue takes now.
    pub fn room(&self) -> usize {
        let queue = self.extension.manifest().limits.queue as usize;
        let pending = self.extension.current().map_or(0, |current| current.guest.pending());
        queue.saturating_sub(pending)
    }

    /// The same, where those that wait for its start have their places already.
    pub(crate) fn room_at_last(&self) -> usize {
        match self.extension.current() {
            Some(_) => self.room(),
            None => self.room().saturating_sub(self.extension.waiting()),
        }
    }

    /// How many bytes wait for it to read.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.extension.current().map_or(0, |current| current.guest.queued_bytes())
    }

    /// Starts it where it does not run and waits until it is ready.
    ///
    /// # Errors
    /// Why it is not ready; [`ExtensionError::TimedOut`] when the deadline passed.
    pub fn activate(&self, deadline: Option<Instant>) -> Result<(), ExtensionError> {
        self.activate_polling(deadline, None)
    }

    /// The same; `poll` is asked at least every 50 ms, and true gives the wait up.
    ///
    /// # Errors
    /// As [`ExtensionHandle::activate`]; the code is `interrupted` when `poll` gave up.
    pub fn activate_polling(
        &self,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<(), ExtensionError> {
        self.ready("activate", deadline, poll).map(|_| ())
    }

    /// The same without waiting: `then` is called once, on whichever thread knows. It must not block.
    pub fn activated(&self, then: impl FnOnce(Result<(), ExtensionError>) + Send + 'static) {
        self.extension.when_ready(Box::new(move |ready| then(ready.map(|_| ()))));
    }

    /// Calls an operation and waits on this thread. Starts the extension where it does not run.
    ///
    /// # Errors
    /// [`ExtensionError`].
    pub fn call(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Payload, ExtensionError> {
        self.call_polling(operation, inputs, options, None)
    }

    /// As [`ExtensionHandle::call`]; `poll` is asked at least every 50 ms while it waits, and true gives the call up.
    ///
    /// # Errors
    /// [`ExtensionError`]; its code is `interrupted` when `poll` gave up.
    pub fn call_polling(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, ExtensionError> {
        if let Some((chosen, mut begun)) = self.chosen(inputs) {
            let outcome = chosen.call_polling(operation, inputs, options, poll);
            if outcome.is_ok() {
                begun.went_well();
            }
            return outcome;
        }
        let begun = Instant::now();
        let mut is_again = false;
        let outcome = loop {
            let current = match self.ready(operation, options.deadline, poll) {
                Ok(current) => current,
                Err(error) => break Err(error),
            };
            let called = current.guest.call(operation, inputs, options, poll);
            let refused = called.map_err(|error| self.refusal(&current, operation, error, poll));
            let crashed = matches!(refused, Err(ExtensionError::Crashed { .. }));
            if is_again || !crashed || !repeats(&self.extension, &current, operation) {
                break refused;
            }
            is_again = true;
        };
        self.extension.counters.count(begun, outcome.is_ok());
        outcome
    }

    /// Calls an operation; the outcome comes to `done`, also when the extension has to be started first.
    pub fn submit(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        done: CallDone,
    ) -> Call {
        if let Some((chosen, mut begun)) = self.chosen(inputs) {
            let counted = Box::new(move |outcome: Result<Payload, ExtensionError>| {
                if outcome.is_ok() {
                    begun.went_well();
                }
                drop(begun);
                done(outcome);
            });
            return chosen.submit(operation, inputs, options, counted);
        }
        let (begun, counting) = (Instant::now(), Arc::downgrade(&self.extension));
        let done: CallDone = Box::new(move |outcome| {
            if let Some(extension) = counting.upgrade() {
                extension.counters.count(begun, outcome.is_ok());
            }
            done(outcome);
        });
        let call = Call::new(Arc::clone(&self.extension), done);
        match self.extension.current() {
            Some(current) => call.send(Ok(current), operation, inputs, options),
            None => call.send_when_ready(operation.to_owned(), inputs.clone(), options.of_here()),
        }
        call
    }

    /// Calls one operation many times and waits for all of them; each has its own outcome, in order.
    ///
    /// `poll` is asked at least every 50 ms, and true gives up what has no outcome yet.
    pub fn call_many(
        &self,
        operation: &str,
        inputs: &[Payload],
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Vec<Result<Payload, ExtensionError>> {
        // Never more at once than its queue takes, and than its lane has room for.
        let window = (self.extension.manifest().limits.queue as usize).clamp(2, 256) / 2;
        let mut bytes = 0;
        let (tell, told) = bounded(inputs.len());
        let mut outcomes: Vec<Option<Result<Payload, ExtensionError>>> = Vec::new();
        outcomes.resize_with(inputs.len(), || None);
        let mut calls = BTreeMap::new();
        let mut next = inputs.iter().enumerate();
        loop {
            while calls.len() < window
                && (calls.is_empty() || bytes < MANY)
                && let Some((index, inputs)) = next.next()
            {
                bytes += inputs.size();
                let tell = tell.clone();
                let done: CallDone = Box::new(move |outcome| {
                    // Its receiver waits below until the last one came, or until it is given up.
                    let _ = tell.send((index, outcome));
                });
                calls.insert(index, self.submit(operation, inputs, options, done));
            }
            if calls.is_empty() {
                break;
            }
            // Each submitted call has exactly one outcome, and this function holds a sender.
            let Ok((index, outcome)) = wait::receive(&told, None, poll) else {
                calls.values().for_each(Call::cancel);
                break;
            };
            outcomes[index] = Some(outcome);
            bytes -= inputs[index].size();
            calls.remove(&index);
        }
        let given_up = || Err(self.interrupted(operation));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(given_up)).collect()
    }

    /// Stops it and starts it anew, also out of quarantine; waits until it is ready. Calls made meanwhile wait with it.
    /// Several at once come to one new run. `poll` is asked at least every 50 ms, and true gives the wait up; the restart
    /// goes on.
    ///
    /// # Errors
    /// Why it is not ready again; [`ExtensionError::TimedOut`] when the deadline passed; `interrupted`.
    pub fn restart(
        &self,
        deadline: Instant,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<(), ExtensionError> {
        let run = self.extension.begin_restart()?;
        self.ready_in(run, "restart", Some(deadline), poll).map(|_| ())
    }

    /// Stops it for good, by `deadline`.
    pub fn stop(&self, deadline: Instant) -> StopReport {
        stop_all(std::slice::from_ref(&self.extension), deadline)
    }

    pub(super) fn ready(
        &self,
        operation: &str,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Current, ExtensionError> {
        match self.extension.current() {
            Some(current) => Ok(current),
            None => self.ready_in(0, operation, deadline, poll),
        }
    }

    /// Waits for a run of that number or a later one to be ready.
    fn ready_in(
        &self,
        run: u64,
        operation: &str,
        deadline: Option<Instant>,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Current, ExtensionError> {
        let begun = Instant::now();
        self.extension.wait_run(run, deadline, poll).unwrap_or_else(|wait| {
            let (name, operation) = (self.name().to_owned(), operation.to_owned());
            Err(match wait {
                Unready::TimedOut => {
                    ExtensionError::TimedOut { name, operation, after: begun.elapsed() }
                }
                Unready::Interrupted => self.interrupted(&operation),
            })
        })
    }

    fn interrupted(&self, operation: &str) -> ExtensionError {
        let (name, operation) = (self.name().to_owned(), operation.to_owned());
        ExtensionError::Call { name, operation, source: Box::new(CallError::Interrupted) }
    }

    /// The lane closed under a call: how the extension ended is known a moment later.
    pub(super) fn obituary(
        &self,
        run: u64,
        operation: &str,
        reason: &Closed,
        poll: Option<&dyn Fn() -> bool>,
    ) -> ExtensionError {
        let (tell, told) = bounded(1);
        self.extension.when_ended(
            run,
            Box::new(move |error| {
                // The caller may have stopped waiting.
                let _ = tell.send(error);
            }),
        );
        match wait::receive(&told, Some(Instant::now() + OBITUARY), poll) {
            Ok(error) => error,
            Err(Unready::Interrupted) => self.interrupted(operation),
            Err(Unready::TimedOut) => unexplained(&self.extension, reason),
        }
    }
}

impl std::fmt::Debug for ExtensionHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ExtensionHandle")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish()
    }
}
