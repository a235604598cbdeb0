//! The one door out of the interpreter: it detaches, polls signals, and refuses use after a fork.
//!
//! Every binding that can wait goes through here. Invariant: no wait happens attached.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use component::Code;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::door::error::Fields;

/// How often a wait looks for Ctrl-C.
pub(crate) const POLL: Duration = Duration::from_millis(50);

static FORKED: AtomicBool = AtomicBool::new(false);

/// The next thread's number.
static THREADS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Whether this is known to be the main thread. It is asked of the kernel where it is not: a thread that forks is
    /// the main one of its child, and the main thread is so in each child of its own too.
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };

    static NUMBER: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Called in a forked child of the root: from now on every handle raises.
pub(crate) fn mark_forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Whether this process is a forked child of the one that the handles belong to.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Whether this is the thread that the process began with, where Python lets signals be handled.
pub(crate) fn is_main_thread() -> bool {
    IS_MAIN.with(|known| {
        if !known.get() {
            known.set(rustix::thread::gettid() == rustix::process::getpid());
        }
        known.get()
    })
}

/// A number of this thread's that no other of the process has or had, without asking the kernel.
pub(crate) fn this_thread() -> u64 {
    NUMBER.with(|number| *number)
}

/// Raises in a forked child.
pub(crate) fn guard(py: Python<'_>) -> PyResult<()> {
    if is_forked() {
        let message = "this process was forked from the one that booted the system; its handles work there alone";
        return Err(Fields::new(Code::FORKED, message).raise(py));
    }
    Ok(())
}

/// Runs `work` detached from the interpreter, unless this is a forked child.
pub(crate) fn enter<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    guard(py)?;
    Ok(py.detach(work))
}

/// Calls `wait` with a short span, detached, until it gives something; between calls signals are handled.
pub(crate) fn wait_polling<T: Send>(
    py: Python<'_>,
    mut wait: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<T> {
    // Elsewhere no signal is handled, and nobody takes the interpreter without need.
    if !is_main_thread() {
        return enter(py, || {
            loop {
                if let Some(value) = wait(POLL) {
                    return value;
                }
            }
        });
    }
    loop {
        guard(py)?;
        if let Some(value) = py.detach(|| wait(POLL)) {
            return Ok(value);
        }
        py.check_signals()?;
    }
}

/// Runs a wait that keeps its place, detached; it is handed what to ask from time to time, with nothing held, whether to
/// give up. Once a signal's handler has raised, its exception is what comes out, and what the wait still got is dropped.
pub(crate) fn wait_asking<T: Send>(
    py: Python<'_>,
    wait: impl FnOnce(Option<&dyn Fn() -> bool>) -> T + Send,
) -> PyResult<T> {
    // Only there are signals handled; elsewhere nothing needs to wake before its time.
    if !is_main_thread() {
        return enter(py, || wait(None));
    }
    let raised = Mutex::new(None);
    let outcome = enter(py, || {
        wait(Some(&|| {
            // Whoever asks again after that is told the same, and runs no other handler.
            if raised.lock().is_some() {
                return true;
            }
            let signalled = Python::try_attach(|py| py.check_signals().err());
            // No interpreter any more: nobody is left to wait for it.
            let Some(error) = signalled else { return true };
            let given_up = error.is_some();
            *raised.lock() = error;
            given_up
        }))
    })?;
    match raised.into_inner() {
        Some(error) => {
            py.detach(|| drop(outcome));
            Err(error)
        }
        None => Ok(outcome),
    }
}
