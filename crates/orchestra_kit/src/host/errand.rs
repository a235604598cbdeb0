//! A call of a guest that a worker is to do: the work, and what gets its answer.
//!
//! Made where guests' calls are routed, run by a worker, kept by its caller until it is answered. Invariant: it is
//! answered exactly once, by whoever is first: the worker, its caller's cancel or the caller's end. One that nobody wants
//! any more holds nothing, also while it still stands in a queue.

use component::Code;
use ipc::{Payload, RemoteFailure};
use parking_lot::Mutex;

use super::workers::or_panicked;

/// What gets an answer, once.
pub type Respond = Box<dyn FnOnce(Result<Payload, RemoteFailure>) + Send>;

type Work = Box<dyn FnOnce() -> Result<Payload, RemoteFailure> + Send>;

/// A piece of work with its answer.
pub(crate) struct Errand(Mutex<Option<(Work, Respond)>>);

impl Errand {
    pub(crate) fn new(
        work: impl FnOnce() -> Result<Payload, RemoteFailure> + Send + 'static,
        respond: Respond,
    ) -> Self {
        Self(Mutex::new(Some((Box::new(work), respond))))
    }

    fn take(&self) -> Option<(Work, Respond)> {
        self.0.lock().take()
    }

    /// Does it and answers, unless nobody wants it any more.
    pub(crate) fn run(&self) {
        let Some((work, respond)) = self.take() else { return };
        let panicked =
            || Err(RemoteFailure::new(Code::INTERNAL, "the call panicked; please report it"));
        respond(or_panicked(work, panicked));
    }

    /// Answers without doing it; where it is being done, its answer comes from there.
    pub(crate) fn refuse(&self, code: Code, message: &str) {
        if let Some((work, respond)) = self.take() {
            drop(work);
            respond(Err(RemoteFailure::new(code, message)));
        }
    }

    /// Its caller wants it no more.
    pub(crate) fn cancel(&self) {
        self.refuse(Code::CANCELLED, "the call was cancelled");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use ipc::Payload;

    use super::Errand;

    #[test]
    fn it_is_answered_once_and_holds_nothing_after_that() {
        for cancelled in [false, true] {
            let held = Arc::new(());
            let (tell, told) = mpsc::channel();
            let work = {
                let held = Arc::clone(&held);
                move || {
                    drop(held);
                    Ok(Payload::none())
                }
            };
            let errand = Errand::new(work, Box::new(move |outcome| tell.send(outcome).unwrap()));
            if cancelled {
                errand.cancel();
            }
            errand.run();
            errand.run();
            errand.cancel();
            assert_eq!(Arc::strong_count(&held), 1);
            let outcomes: Vec<_> = told.iter().map(|outcome| outcome.is_err()).collect();
            assert_eq!(outcomes, [cancelled]);
        }
    }
}
