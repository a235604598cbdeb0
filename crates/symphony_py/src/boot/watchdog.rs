//! What remains when the thread that called `boot()` cannot be freed: it swallows every interrupt, or sits in C and holds
//! the interpreter.
//!
//! Caller: the boot's own thread, after a boot that failed was rolled back. It never attaches to the interpreter, which
//! may be held for ever. Invariant: a calling thread that comes back in time never sees it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use boot_orchestrator::system::System;
use parking_lot::{Condvar, Mutex};
use rustix::process::{Signal, getpid, kill_process};

/// How long the calling thread has after the boot has ended: an import in C cannot be interrupted at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it has before it is interrupted once more: one interruption may have come just before a call that blocks, or
/// have been taken for something else.
const AGAIN: Duration = Duration::from_millis(500);

/// How long the stacks may take: they are written by the thread that the signal reaches, whatever it is in.
const STACKS: Duration = Duration::from_millis(100);

/// The exit code of a boot that hung and was ended.
const HUNG: i32 = 70;

/// Waits for the calling thread of one boot.
pub(crate) struct Watchdog {
    abort: bool,
    back: Mutex<bool>,
    changed: Condvar,
}

impl Watchdog {
    /// With `abort` it ends the process; else it only tells.
    pub(crate) fn new(abort: bool) -> Self {
        Self { abort, back: Mutex::new(false), changed: Condvar::new() }
    }

    /// The calling thread came back for its result.
    pub(crate) fn is_back(&self) {
        *self.back.lock() = true;
        self.changed.notify_all();
    }

    /// Waits for the calling thread, which `interrupt` interrupts; where it does not come, tells why the boot failed and
    /// where every thread stands, ends the tree and, if asked to, this process.
    pub(crate) fn watch(&self, failure: &str, system: &System, interrupt: impl Fn()) {
        let end = Instant::now() + PATIENCE;
        let mut back = self.back.lock();
        while !*back && Instant::now() < end {
            if self.changed.wait_for(&mut back, AGAIN).timed_out() {
                interrupt();
            }
        }
        if *back {
            return;
        }
        drop(back);
        let told = format!(
            "{failure}\n\nerror: the thread that called `boot()` cannot be freed: it swallows its interrupt, or is \
             inside a call that holds the interpreter\n"
        );
        // With standard error closed there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(told.as_bytes());
        // `_signals.py` has registered `faulthandler` for it, which needs no interpreter to say where Python stands. Where
        // it has not, the signal is ignored.
        if kill_process(getpid(), Signal::URG).is_ok() {
            std::thread::sleep(STACKS);
        }
        system.close();
        if self.abort {
            std::process::exit(HUNG);
        }
    }
}
