//! The two traits between an extension's life and where it runs, and the stream of an operation's values.
//!
//! Implemented by `process` and `pit`, called by [`crate::extension`]; the invariant that every run ends exactly once is
//! told in the module above and held by both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{CallError, CallId, CallOptions, Done, Hook, Operation, Payload, RemoteFailure};

use crate::extension::{Ended, Report};
use crate::manifest::ExtensionManifest;
use crate::sandbox::{Enforcement, Kernel, enforcement};

/// Brings extensions up.
pub trait Host: Send + Sync {
    /// Begins one run and returns at once; what becomes of it is told to `report`.
    ///
    /// # Errors
    /// When it cannot even be begun; `report` is then not used.
    fn start(
        &self,
        manifest: &Arc<ExtensionManifest>,
        report: Report,
    ) -> Result<Arc<dyn Guest>, Ended>;

    /// How far an extension's permissions are held where it would run now.
    fn enforcement(&self, manifest: &ExtensionManifest) -> Vec<Enforcement> {
        enforcement(manifest, None, Kernel::default())
    }
}

/// How firmly a guest is asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By the protocol: finish and exit.
    Ask,
    /// By SIGTERM.
    Terminate,
    /// By SIGKILL, its whole tree.
    Kill,
}

/// The values of a streamed result, one after the other. Dropping it before the end cancels the call.
pub trait Stream: Send + Sync {
    /// The next value; `None` at the end. `poll` is as in [`Guest::call`]; after it gave up, the stream goes on.
    ///
    /// # Errors
    /// [`CallError`] when the stream failed; it is over then.
    fn next_item(&self, poll: Option<&dyn Fn() -> bool>) -> Result<Option<Payload>, CallError>;

    /// The same where it is there already; `None` where it has to be waited for.
    fn try_next(&self) -> Option<Result<Option<Payload>, CallError>>;

    /// Has `hook` called once, when [`Stream::try_next`] has something. False: it has something now.
    fn watch(&self, key: u64, hook: Hook) -> bool;

    /// Takes a hook back.
    fn unwatch(&self, key: u64);

    /// Ends it from the reader's side; whoever waits in [`Stream::next_item`] hears of the end.
    fn close(&self);
}

impl Stream for ipc::Items {
    fn next_item(&self, poll: Option<&dyn Fn() -> bool>) -> Result<Option<Payload>, CallError> {
        Self::next_item(self, poll)
    }

    fn try_next(&self) -> Option<Result<Option<Payload>, CallError>> {
        Self::try_next(self)
    }

    fn watch(&self, key: u64, hook: Hook) -> bool {
        Self::watch(self, key, hook)
    }

    fn unwatch(&self, key: u64) {
        Self::unwatch(self, key);
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// A stretch of a guest's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartSpan {
    /// What took the time: `fork`, `set-up`, `import`, `handshake`, `ready`.
    pub name: String,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
}

/// One run of an extension. Dropping the last handle of it leaves nothing behind.
pub trait Guest: Send + Sync {
    /// Calls and waits on the caller's own thread. `poll` is asked at least every 50 ms, and true gives the call up.
    ///
    /// # Errors
    /// [`CallError`].
    fn call(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        poll: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError>;

    /// Calls; the answer comes to `done`, on whichever thread has it. The id serves to cancel, where there is one.
    ///
    /// # Errors
    /// [`CallError`] when it was not sent; `done` is then not called.
    fn submit(
        self: Arc<Self>,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
        done: Done,
    ) -> Result<Option<CallId>, CallError>;

    /// Calls an operation whose values come one by one. One that gives a single value is a stream of one.
    ///
    /// # Errors
    /// [`CallError`] when it was not sent.
    fn stream(
        &self,
        operation: &str,
        inputs: &Payload,
        options: &CallOptions,
    ) -> Result<Box<dyn Stream>, CallError>;

    /// Gives a submitted call up.
    fn cancel(&self, call: CallId);

    /// Asks it to go, or makes it.
    fn stop(&self, how: Stop);

    /// For how long it has owed an answer to a ping; asks for another where it is time. Zero: all is well.
    fn silence(&self) -> Duration;

    /// The operations that it said it has.
    fn operations(&self) -> Vec<Operation>;

    /// Whether an operation runs beside others, and holds up nobody who is called meanwhile.
    fn runs_beside(&self, _operation: &str) -> bool {
        false
    }

    /// Whether an operation said that it changes nothing.
    fn reads(&self, _operation: &str) -> bool {
        false
    }

    /// The operation that holds up the calls behind it, where one does.
    fn held_up(&self) -> Option<String> {
        None
    }

    /// How many calls it has not answered yet.
    fn pending(&self) -> usize;

    /// How many bytes wait for it to read.
    fn queued_bytes(&self) -> usize {
        0
    }

    /// Which key of its manifest would grant what the sandbox refused it, where that is why a call or a start failed.
    fn refusal_of(&self, _failure: &RemoteFailure) -> Option<String> {
        None
    }

    /// The same of a process that ended with these last lines.
    fn refusal_in(&self, _lines: &[String]) -> Option<String> {
        None
    }

    /// The last lines of its stderr.
    fn lines(&self) -> Vec<String>;

    /// The number of its process, where it has one of its own.
    fn pid(&self) -> Option<u32>;

    /// The number of its process, where that has arrived, and what the time until it was ready went into, one after the
    /// other; nothing where it has no process of its own.
    fn start_account(&self) -> (Option<u32>, Vec<StartSpan>) {
        (None, Vec::new())
    }
}
