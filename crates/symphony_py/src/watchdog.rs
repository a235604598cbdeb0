//! What remains when the thread that called `boot()` cannot be freed: it swallows every interrupt, or sits in C and holds
//! the interpreter.
//!
//! Caller: the boot's own thread, after a boot that failed was rolled back. It never attaches to the interpreter, which
//! may be held for ever. Invariant: a calling thread that comes back in time never sees it.

use std::io::Write as _;
use std::time::Duration;

use boot_orchestrator::system::System;
use parking_lot::{Condvar, Mutex};

/// How long the calling thread has after the boot has ended: an import in C cannot be interrupted at once.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Waits for the calling thread; where it does not come, tells why the boot failed, ends the tree and, if asked to,
    /// this process.
    pub(crate) fn watch(&self, failure: &str, system: &System) {
        let mut back = self.back.lock();
        while !*back {
            if self.changed.wait_for(&mut back, PATIENCE).timed_out() {
                break;
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
        system.close();
        if self.abort {
            std::process::exit(HUNG);
        }
    }
}
