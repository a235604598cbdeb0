//! A streamed result of an extension, its errors told in terms of the extension.
//!
//! Made by [`ExtensionHandle::stream`] or [`ExtensionHandle::begin_stream`], taken from by Python's iterators, which wait
//! on their thread (`next_value`) or are told when to look (`try_value`, `watch`). Invariants: dropped before its end, it
//! cancels the call; `try_value` and `watch` never wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{CallError, CallOptions, Hook, Hooks, Payload};
use parking_lot::{Condvar, Mutex};

use super::ExtensionHandle;
use super::life::Current;
use super::outcome::told;
use super::trial::Begun;
use crate::error::ExtensionError;
use crate::host::Stream;

/// How often a thread that waits for the start asks its hook.
const POLL: Duration = Duration::from_millis(50);

/// The values of one call, as they come.
pub struct Values {
    handle: ExtensionHandle,
    operation: String,
    shared: Arc<Shared>,
    /// The call as a trial counts it.
    begun: Mutex<Option<Begun>>,
}

/// What the reader shares with those who bring news of it.
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
}

enum Phase {
    /// Something is awaited before the next look tells more: the extension's start, or how it ended.
    Awaited(Hooks),
    Running(Current, Arc<dyn Stream>),
    /// The next look tells this.
    Failed(ExtensionError),
    Over,
}

impl Shared {
    fn new(phase: Phase) -> Arc<Self> {
        Arc::new(Self { phase: Mutex::new(phase), changed: Condvar::new() })
    }

    /// What was awaited came. Nothing happens where the reader has left.
    fn settle(&self, outcome: Result<(Current, Arc<dyn Stream>), ExtensionError>) {
        let (hooks, unwanted) = {
            let mut phase = self.phase.lock();
            let Phase::Awaited(hooks) = &mut *phase else {
                drop(phase);
                // Outside of the lock: dropping it cancels the call.
                drop(outcome);
                return;
            };
            let hooks = hooks.take();
            let next = match outcome {
                Ok((current, stream)) => Phase::Running(current, stream),
                Err(error) => Phase::Failed(error),
            };
            (hooks, std::mem::replace(&mut *phase, next))
        };
        drop(unwanted);
        self.changed.notify_all();
        for hook in hooks {
            hook();
        }
    }

    fn is_awaited(&self) -> bool {
        matches!(&*self.phase.lock(), Phase::Awaited(_))
    }

    fn running(&self) -> Option<(Current, Arc<dyn Stream>)> {
        match &*self.phase.lock() {
            Phase::Running(current, stream) => Some((current.clone(), Arc::clone(stream))),
            _ => None,
        }
    }

    /// What there is to tell without a stream.
    fn verdict(&self) -> Result<(), ExtensionError> {
        let mut phase = self.phase.lock();
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Failed(error) => Err(error),
            Phase::Over => Ok(()),
            other => {
                *phase = other;
                Ok(())
            }
        }
    }
}

impl ExtensionHandle {
    /// Calls an operation whose values come one by one. Starts the extension where it does not run. An operation that
    /// gives a single value is a stream of one.
    ///
    /// # Errors
    /// [`ExtensionError`] when it was not sent.
    pub fn stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Values, ExtensionError> {
        if let Some((chosen, begun)) = self.chosen(inputs) {
            return Ok(chosen.stream(operation, inputs, options, poll)?.counted(begun));
        }
        let current = self.ready(operation, options.deadline, poll)?;
        self.started(current, operation, inputs, options, poll)
    }

    /// The same without waiting: where the extension does not run yet, it is started, and its first value, or why there is
    /// none, comes after that.
    ///
    /// # Errors
    /// [`ExtensionError`] when it runs, and the call was not sent.
    pub fn begin_stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Values, ExtensionError> {
        if let Some((chosen, begun)) = self.chosen(inputs) {
            return Ok(chosen.begin_stream(operation, inputs, options)?.counted(begun));
        }
        if let Some(current) = self.extension.current() {
            return self.started(current, operation, inputs, options, None);
        }
        let shared = Shared::new(Phase::Awaited(Hooks::default()));
        let (handle, told) = (self.clone(), Arc::downgrade(&shared));
        let (named, inputs, options) = (operation.to_owned(), inputs.clone(), options.of_here());
        if let Some(deadline) = options.deadline {
            let (name, operation, told) =
                (self.name().to_owned(), named.clone(), Arc::downgrade(&shared));
            let after = deadline.saturating_duration_since(Instant::now());
            self.extension.after(after, move || {
                if let Some(shared) = told.upgrade() {
                    shared.expire(ExtensionError::TimedOut { name, operation, after });
                }
            });
        }
        self.extension.when_ready(Box::new(move |ready| {
            // Nobody reads it any more, or its deadline has passed: it is not sent.
            let Some(shared) = told.upgrade().filter(|shared| shared.is_awaited()) else { return };
            shared.settle(ready.and_then(|current| {
                let sent = current.guest.stream(&named, &inputs, &options);
                let stream = sent.map_err(|error| handle.refused(&current, &named, error))?;
                Ok((current, Arc::from(stream)))
            }));
        }));
        let (handle, operation) = (self.clone(), operation.to_owned());
        Ok(Values { handle, operation, shared, begun: Mutex::default() })
    }

    fn started(
        &self,
        current: Current,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Values, ExtensionError> {
        match current.guest.stream(operation, inputs, options) {
            Ok(stream) => {
                let (handle, operation) = (self.clone(), operation.to_owned());
                let shared = Shared::new(Phase::Running(current, Arc::from(stream)));
                Ok(Values { handle, operation, shared, begun: Mutex::default() })
            }
            Err(error) => Err(self.refusal(&current, operation, error, poll)),
        }
    }

    /// Why a call of that run has no result; waits a moment to hear how the run ended.
    pub(super) fn refusal(
        &self,
        current: &Current,
        operation: &str,
        error: CallError,
        poll: Option<&dyn Fn() -> bool>,
    ) -> ExtensionError {
        match error {
            CallError::Closed { reason, .. } => {
                self.obituary(current.run, operation, &reason, poll)
            }
            error => self.refused(current, operation, error),
        }
    }

    /// The same with what is known now.
    fn refused(&self, current: &Current, operation: &str, error: CallError) -> ExtensionError {
        told(&self.extension, Some(current), operation, error)
    }
}

impl Shared {
    /// The deadline passed before the extension was ready.
    fn expire(&self, error: ExtensionError) {
        if self.is_awaited() {
            self.settle(Err(error));
        }
    }
}

impl Values {
    fn counted(self, begun: Begun) -> Self {
        *self.begun.lock() = Some(begun);
        self
    }

    /// The next value; `None` at the end. `poll` is asked at least every 50 ms while it waits, and true gives the wait
    /// up; the stream goes on then. While it waits, [`Values::close`] ends it.
    ///
    /// # Errors
    /// [`ExtensionError`]; the stream is over then.
    pub fn next_value(
        &self,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Option<Payload>, ExtensionError> {
        loop {
            self.await_start(poll)?;
            let Some((current, stream)) = self.shared.running() else {
                return self.shared.verdict().map(|()| None);
            };
            let next = stream.next_item(poll);
            self.note(&next);
            match next {
                Ok(value) => return Ok(value),
                // How it ended is known a moment later, and that wait too is given up when the hook says so.
                Err(CallError::Closed { .. }) => self.await_end(&current),
                Err(error) => return Err(self.handle.refused(&current, &self.operation, error)),
            }
        }
    }

    /// The next value where it is there already, as [`Values::next_value`] gives it; `None` where it has to be waited for.
    pub fn try_value(&self) -> Option<Result<Option<Payload>, ExtensionError>> {
        let Some((current, stream)) = self.shared.running() else {
            if self.shared.is_awaited() {
                return None;
            }
            return Some(self.shared.verdict().map(|()| None));
        };
        let next = stream.try_next()?;
        self.note(&next);
        Some(match next {
            Ok(value) => Ok(value),
            // How it ended is known a moment later.
            Err(CallError::Closed { .. }) => {
                self.await_end(&current);
                return None;
            }
            Err(error) => Err(self.handle.refused(&current, &self.operation, error)),
        })
    }

    /// Has `hook` called once, when [`Values::try_value`] has something. False: it may have something now.
    pub fn watch(&self, key: u64, hook: Hook) -> bool {
        let stream = {
            match &mut *self.shared.phase.lock() {
                Phase::Awaited(hooks) => {
                    hooks.put(key, hook);
                    return true;
                }
                Phase::Running(_, stream) => Arc::clone(stream),
                Phase::Failed(_) | Phase::Over => return false,
            }
        };
        stream.watch(key, hook)
    }

    /// Takes a hook back.
    pub fn unwatch(&self, key: u64) {
        let stream = {
            match &mut *self.shared.phase.lock() {
                Phase::Awaited(hooks) => {
                    hooks.remove(key);
                    return;
                }
                Phase::Running(_, stream) => Arc::clone(stream),
                Phase::Failed(_) | Phase::Over => return,
            }
        };
        stream.unwatch(key);
    }

    /// Ends it from the reader's side: the call is cancelled, and whoever waits for a value hears of the end.
    pub fn close(&self) {
        let ended = std::mem::replace(&mut *self.shared.phase.lock(), Phase::Over);
        self.shared.changed.notify_all();
        match ended {
            Phase::Running(_, stream) => stream.close(),
            Phase::Awaited(mut hooks) => hooks.take().into_iter().for_each(|hook| hook()),
            Phase::Failed(_) | Phase::Over => {}
        }
    }

    /// A trial counts what came to a good end.
    fn note(&self, next: &Result<Option<Payload>, CallError>) {
        if let Ok(None) = next
            && let Some(begun) = &mut *self.begun.lock()
        {
            begun.went_well();
        }
    }

    /// The lane closed under the stream: the next look comes when it is known how the extension ended.
    fn await_end(&self, current: &Current) {
        {
            let mut phase = self.shared.phase.lock();
            if !matches!(*phase, Phase::Running(..)) {
                return;
            }
            *phase = Phase::Awaited(Hooks::default());
        }
        let shared = Arc::clone(&self.shared);
        let then = Box::new(move |error| shared.settle(Err(error)));
        self.handle.extension.when_ended(current.run, then);
    }

    /// Waits for what is awaited.
    fn await_start(&self, poll: Option<&dyn Fn() -> bool>) -> Result<(), ExtensionError> {
        loop {
            {
                let mut phase = self.shared.phase.lock();
                if !matches!(*phase, Phase::Awaited(_)) {
                    return Ok(());
                }
                self.shared.changed.wait_for(&mut phase, POLL);
            }
            if poll.is_some_and(|poll| poll()) {
                let (name, operation) = (self.handle.name().to_owned(), self.operation.clone());
                let source = Box::new(CallError::Interrupted);
                return Err(ExtensionError::Call { name, operation, source });
            }
        }
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Values").field("operation", &self.operation).finish_non_exhaustive()
    }
}
