//! A bound on every wait of the supervisor in which a guest has a hand.
//!
//! Whether a `connect` waits is a flag of its socket, whether a `close` does is an option of it, and the guest has that socket too:
//! both may change between the look and the call. Set by [`super::broker`] around whatever it does for guests. Invariants: while it is
//! set, no wait that a signal interrupts takes longer than [`LIMIT`]; it is never set without a handler; a forked child has none.
#![expect(unsafe_code, reason = "a timer's signal and its handler have no safe wrapper")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libc::{c_int, itimerval, sighandler_t, suseconds_t, timeval};

/// So long one wait may take.
pub(super) const LIMIT: Duration = Duration::from_millis(20);

static HAS_HANDLER: AtomicBool = AtomicBool::new(false);

/// Rings every [`LIMIT`] until it is dropped: one that rings just before the wait begins ends nothing.
#[derive(Debug)]
pub(super) struct Alarm(());

impl Alarm {
    /// Sets it.
    ///
    /// # Errors
    /// When the kernel takes no handler or no timer; what it would have bounded must not be done then.
    pub(super) fn set() -> std::io::Result<Self> {
        if !HAS_HANDLER.load(Ordering::Relaxed) {
            handle(rings as *const () as sighandler_t)?;
            HAS_HANDLER.store(true, Ordering::Relaxed);
        }
        ring_every(LIMIT)?;
        Ok(Self(()))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // No argument of it can be refused.
        let _ = ring_every(Duration::ZERO);
    }
}

/// In a forked child: the signal is as it was. The timer itself is no child's.
pub(in crate::supervisor) fn give_back() {
    if HAS_HANDLER.swap(false, Ordering::Relaxed) {
        // It was taken before, so it is taken again.
        let _ = handle(libc::SIG_DFL);
    }
}

/// How often the calling thread has waited for something.
pub(super) fn waits() -> i64 {
    // SAFETY: all of its fields are integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes this structure and nothing else.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nvcsw
}

/// That it interrupts is all that it does.
extern "C" fn rings(_: c_int) {}

/// Without `SA_RESTART`: the wait is to end. Whoever started this process may have blocked the signal.
fn handle(handler: sighandler_t) -> std::io::Result<()> {
    // SAFETY: all zeros is an action without flags and with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the action lives across the call, and its handler does nothing.
    if unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: all zeros is a set, and both calls touch nothing but it.
    let failed = unsafe {
        let mut only: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut only, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(failed)) }
}

fn ring_every(period: Duration) -> std::io::Result<()> {
    let microseconds = suseconds_t::from(period.subsec_micros().cast_signed());
    let period = timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = itimerval { it_interval: period, it_value: period };
    // SAFETY: the timer is only read.
    let answer =
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Alarm, LIMIT, give_back, waits};

    // That it ends a wait is tested where there is one thread: in a supervisor whose guest holds it up.
    #[test]
    fn a_wait_is_counted_and_the_alarm_ends_nobody() {
        let before = waits();
        let alarm = Alarm::set().unwrap();
        std::thread::sleep(LIMIT + Duration::from_millis(5));
        drop(alarm);
        assert!(waits() > before);
        give_back();
    }
}
