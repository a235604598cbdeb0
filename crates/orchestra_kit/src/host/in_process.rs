//! Extensions that are served by this very process, on threads of whoever runs the system: for tests and debuggers.
//!
//! The process host asks here in the supervisor's place; everything else of a run (lane, limits, grants, deadlines) is as
//! with a process. Invariant: a run is told to have ended once, by whoever serves it or, where it does not heed a kill,
//! by this module; its thread is then nobody's any more.

use std::fmt::{self, Debug, Formatter};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ipc::Lane;
use parking_lot::Mutex;

use crate::supervisor::{Ending, Status, Termination, Watch};

/// The signal that a run which was killed is said to have died of.
const KILLED: i32 = 9;

/// Who serves extensions in this process.
pub trait InProcess: Send + Sync + Debug {
    /// Whether that extension is served here.
    fn serves(&self, extension: &str) -> bool;

    /// A run of it begins. Must not block.
    fn begin(&self, run: Arc<InProcessRun>);

    /// A run does not heed the word to stop: what it does is interrupted, where that can be. Must not block.
    fn interrupt(&self, run: Arc<InProcessRun>);
}

/// One run of an extension in this process.
pub struct InProcessRun {
    extension: String,
    server: Arc<dyn InProcess>,
    host_end: Lane,
    guest_end: Mutex<Option<OwnedFd>>,
    watch: Mutex<Option<Arc<dyn Watch>>>,
}

impl Debug for InProcessRun {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("InProcessRun").field("extension", &self.extension).finish_non_exhaustive()
    }
}

impl InProcessRun {
    pub(super) fn new(
        extension: String,
        server: Arc<dyn InProcess>,
        host_end: Lane,
        guest_end: OwnedFd,
    ) -> Self {
        let guest_end = Mutex::new(Some(guest_end));
        Self { extension, server, host_end, guest_end, watch: Mutex::default() }
    }

    /// From now on it is served, and its end is told.
    pub(super) fn begin(self: &Arc<Self>, watch: Arc<dyn Watch>) {
        *self.watch.lock() = Some(watch);
        self.server.begin(Arc::clone(self));
    }

    /// Ends it from the host's side.
    pub(super) fn end(self: &Arc<Self>, how: Termination) {
        self.server.interrupt(Arc::clone(self));
        if how == Termination::Kill {
            self.tell(Status::Signal(KILLED));
        }
    }

    /// The extension's name.
    pub fn extension(&self) -> &str {
        &self.extension
    }

    /// The guest's end of its lane; nothing where it was taken already.
    pub fn take_lane(&self) -> Option<OwnedFd> {
        self.guest_end.lock().take()
    }

    /// Has the host ask it to stop, as the host would by itself.
    pub fn leave(&self) {
        // A lane that is closed ends it just as well.
        let _ = self.host_end.stop();
    }

    /// Its server has come to its end, by that exit code.
    pub fn ended(&self, code: i32) {
        self.tell(Status::Code(code));
    }

    fn tell(&self, status: Status) {
        let watch = self.watch.lock().take();
        if let Some(watch) = watch {
            watch.ended(Ending::Exited(status));
        }
    }
}
