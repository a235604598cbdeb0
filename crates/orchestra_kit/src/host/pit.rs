//! An extension as a library in this process (`execution = "pit"`).
//!
//! Loaded on a worker, called on the caller's own thread. Its code cannot be interrupted or unloaded: a deadline is not
//! kept inside it, and a crash of it is the process's. Invariant: what is stopped is called no more.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use component::{Code, Hint, chain};
use ipc::{CallError, CallId, CallOptions, Closed, Done, Hook, Operation, Payload, RemoteFailure};
use parking_lot::Mutex;
use pit::PitError;
use pit::library::{LoadOptions, PitLibrary};
use rustix::io::Errno;

use super::workers::{Workers, or_panicked};
use super::{Guest, Host, Stop, Stream};
use crate::extension::{Ended, Report};
use crate::manifest::{Entry, ExtensionManifest};
use crate::supervisor::{Status, is_shortage};

/// Loads libraries.
pub(crate) struct PitHost {
    workers: Arc<Workers>,
    sentinels: Option<PathBuf>,
}

impl PitHost {
    /// `sentinels` is the folder for the marks of libraries that are being started.
    pub(crate) const fn new(workers: Arc<Workers>, sentinels: Option<PathBuf>) -> Self {
        Self { workers, sentinels }
    }
}

impl Host for PitHost {
    fn start(
        &self,
        manifest: &Arc<ExtensionManifest>,
        report: Report,
    ) -> Result<Arc<dyn Guest>, Ended> {
        let Entry::Library { file, sha256 } = &manifest.entry else {
            return Err(Ended::NotStarted("only a library runs in this process".to_owned()));
        };
        let (file, options) = (
            file.value.clone(),
            LoadOptions {
                sha256: sha256.as_ref().map(|digest| digest.value.clone()),
                sentinels: self.sentinels.clone(),
            },
        );
        let guest = Arc::new(GuestLibrary {
            name: manifest.name.value.clone(),
            library: std::sync::OnceLock::new(),
            workers: Arc::clone(&self.workers),
            report,
            running: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let loading = Arc::clone(&guest);
        let queued = self.workers.run(move || match PitLibrary::load(&file, &options) {
            Ok(library) => loading.loaded(library),
            Err(error) => {
                loading.report.ended(unloaded(&error), Vec::new());
            }
        });
        match queued {
            Ok(()) => Ok(guest),
            Err(_) => Err(Ended::Refused("too much else is being done".to_owned())),
        }
    }
}

/// Why a library did not start. A file that could not be opened because nothing can be opened says nothing of it.
fn unloaded(error: &PitError) -> Ended {
    let reason = chain(error);
    match error {
        PitError::Io { source, .. } if Errno::from_io_error(source).is_some_and(is_shortage) => {
            Ended::Refused(reason)
        }
        _ => Ended::Library { code: error.code(), reason, hints: error.hints() },
    }
}

/// One run of a library.
struct GuestLibrary {
    name: String,
    library: std::sync::OnceLock<PitLibrary>,
    workers: Arc<Workers>,
    report: Report,
    running: AtomicUsize,
    stopped: AtomicBool,
}

impl GuestLibrary {
    fn loaded(self: &Arc<Self>, library: PitLibrary) {
        if self.library.set(library).is_err() {
            tracing::error!(extension = self.name, "a library was loaded twice");
        }
        let me: Arc<dyn Guest> = Arc::<Self>::clone(self);
        self.report.ready(me);
    }

    fn run(&self, operation: &str, inputs: &Payload) -> Result<Payload, CallError> {
        let library = match self.library.get() {
            Some(library) if !self.stopped.load(Ordering::Acquire) => library,
            _ => return Err(CallError::Closed { lane: self.name.clone(), reason: Closed::Local }),
        };
        self.running.fetch_add(1, Ordering::AcqRel);
        let output = library.call(operation, inputs.bytes());
        self.running.fetch_sub(1, Ordering::AcqRel);
        match output {
            // Its bytes are checked as those of any other guest.
            Ok(output) => Ok(Payload::new(Bytes::from(output))?),
            Err(PitError::NotFound { .. }) => Err(CallError::UnknownOperation {
                lane: self.name.clone(),
                operation: operation.to_owned(),
            }),
            Err(error) => {
                let mut failure = RemoteFailure::from_hint(&error);
                // Its own failure, not one of its loading.
                if error.code() == Code::PIT_LIBRARY {
                    Code::REMOTE_ERROR.as_str().clone_into(&mut failure.code);
                }
                Err(CallError::Remote(failure))
            }
        }
    }
}

/// A library's one value as a stream.
struct Single(Mutex<Option<Payload>>);

impl Stream for Single {
    fn next_item(&self, _: Option<&dyn Fn() -> bool>) -> Result<Option<Payload>, CallError> {
        Ok(self.0.lock().take())
    }

    fn try_next(&self) -> Option<Result<Option<Payload>, CallError>> {
        Some(self.next_item(None))
    }

    fn watch(&self, _: u64, _: Hook) -> bool {
        false
    }

    fn unwatch(&self, _: u64) {}

    fn close(&self) {
        self.0.lock().take();
    }
}

impl Guest for GuestLibrary {
    fn call(
        &self,
        operation: &str,
        inputs: &Payload,
        _: &CallOptions,
        _: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        self.run(operation, inputs)
    }

    fn submit(
        self: Arc<Self>,
        operation: &str,
        inputs: &Payload,
        _: &CallOptions,
        done: Done,
    ) -> Result<Option<CallId>, CallError> {
        let (operation, inputs) = (operation.to_owned(), inputs.clone());
        let name = self.name.clone();
        let queued = self.workers.run({
            let me = Arc::clone(&self);
            move || {
                let panicked = || {
                    let message = "the call panicked; please report it";
                    Err(CallError::Remote(RemoteFailure::new(Code::INTERNAL, message)))
                };
                done(or_panicked(|| me.run(&operation, &inputs), panicked));
            }
        });
        match queued {
            Ok(()) => Ok(None),
            Err(_) => Err(CallError::Overloaded { lane: name, queue: 0 }),
        }
    }

    fn stream(
        &self,
        operation: &str,
        inputs: &Payload,
        _: &CallOptions,
    ) -> Result<Box<dyn Stream>, CallError> {
        Ok(Box::new(Single(Mutex::new(Some(self.run(operation, inputs)?)))))
    }

    fn cancel(&self, _: CallId) {}

    fn stop(&self, _: Stop) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            self.report.ended(Ended::Exited(Status::Code(0)), Vec::new());
        }
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }

    fn operations(&self) -> Vec<Operation> {
        let names = self.library.get().map(PitLibrary::operations).unwrap_or_default();
        names.iter().map(|name| Operation { name: name.clone(), ..Operation::default() }).collect()
    }

    fn pending(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn pid(&self) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use pit::PitError;
    use rustix::io::Errno;

    use super::unloaded;
    use crate::extension::Ended;

    #[test]
    fn a_library_is_not_blamed_for_a_shortage_but_for_its_own_file() {
        let failed = |errno: Errno| {
            let source = io::Error::from(errno);
            PitError::Io { doing: "read the library", path: "lib.so".into(), source }
        };
        for shortage in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            let ended = unloaded(&failed(shortage));
            assert!(matches!(ended, Ended::Refused(_)), "{ended:?}");
        }
        assert!(matches!(unloaded(&failed(Errno::NOENT)), Ended::Library { .. }));
    }
}
