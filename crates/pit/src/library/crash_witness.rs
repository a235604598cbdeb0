//! What tells a library that crashes in its start from a process that is killed meanwhile.
//!
//! Called by [`super::sentinel`] around a start. While one runs, the signals of a crash have a handler that writes a line
//! into the mark of the library that runs on the crashing thread, and then does what was done without it; `exit` on that
//! thread writes one too. Nothing else does: `kill`, Ctrl-C, the lack of memory or power leave no line. Invariant: a
//! handler that somebody else installed is called as before, and ours are gone after the last start.
#![expect(unsafe_code, reason = "a signal handler is installed and run")]

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// What a library's own crash ends in, and the line for it.
const CRASHES: [(c_int, &[u8]); 7] = [
    (libc::SIGSEGV, b"SIGSEGV\n"),
    (libc::SIGABRT, b"SIGABRT\n"),
    (libc::SIGBUS, b"SIGBUS\n"),
    (libc::SIGILL, b"SIGILL\n"),
    (libc::SIGFPE, b"SIGFPE\n"),
    (libc::SIGTRAP, b"SIGTRAP\n"),
    (libc::SIGSYS, b"SIGSYS\n"),
];
const EXIT: &[u8] = b"exit\n";

/// So many starts at once are watched; further ones are not, and leave no line.
const PLACES: usize = 64;
/// The handler's own stack: the thread's is at its end when that is what crashed.
const STACK: usize = 64 << 10;
const FREE: i32 = 0;

/// A start under way: its thread, and the descriptor of its mark. A handler reads it without a lock.
struct Place {
    thread: AtomicI32,
    mark: AtomicI32,
}

static UNDER_WAY: [Place; PLACES] =
    [const { Place { thread: AtomicI32::new(FREE), mark: AtomicI32::new(-1) } }; PLACES];

/// What was installed before ours, for each of [`CRASHES`].
struct Earlier {
    handler: AtomicUsize,
    flags: AtomicI32,
}

static EARLIER: [Earlier; CRASHES.len()] =
    [const { Earlier { handler: AtomicUsize::new(0), flags: AtomicI32::new(0) } }; CRASHES.len()];

/// How many starts are watched; whether the process's end is.
static WATCHED: Mutex<(usize, bool)> = Mutex::new((0, false));

/// A start on this thread that is watched until this is dropped.
pub(super) struct CrashWitness {
    place: &'static Place,
    stack: Option<Vec<u8>>,
    blocked: libc::sigset_t,
}

impl CrashWitness {
    /// Watches this thread. None when too many are watched already.
    pub(super) fn of(mark: &File) -> Option<Self> {
        let me = rustix::thread::gettid().as_raw_nonzero().get();
        let take = |place: &&Place| {
            let taken =
                place.thread.compare_exchange(FREE, -me, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let place = UNDER_WAY.iter().find(take)?;
        place.mark.store(mark.as_raw_fd(), Ordering::Release);
        place.thread.store(me, Ordering::Release);
        let mut watched = WATCHED.lock();
        if watched.0 == 0 {
            install();
        }
        watched.0 += 1;
        if !watched.1 {
            // SAFETY: the function lives as long as the process: libraries with it are never unloaded.
            watched.1 = unsafe { libc::atexit(at_exit) } == 0;
        }
        drop(watched);
        Some(Self { place, stack: own_stack(), blocked: unblock() })
    }
}

impl Drop for CrashWitness {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.blocked, std::ptr::null_mut());
        }
        if let Some(stack) = &self.stack {
            give_back(stack);
        }
        self.place.thread.store(FREE, Ordering::Release);
        let mut watched = WATCHED.lock();
        watched.0 -= 1;
        if watched.0 == 0 {
            remove();
        }
    }
}

fn action_of(signal: c_int) -> libc::sigaction {
    // SAFETY: all zeroes is a lawful value, and the call only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action
    }
}

fn ours() -> usize {
    on_crash as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize
}

fn install() {
    for ((signal, _), earlier) in CRASHES.iter().zip(&EARLIER) {
        let mut action = action_of(*signal);
        if action.sa_sigaction == ours() {
            continue;
        }
        earlier.handler.store(action.sa_sigaction, Ordering::Release);
        earlier.flags.store(action.sa_flags, Ordering::Release);
        action.sa_sigaction = ours();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the handler does only what a handler may: atomics, `write`, `sigaction`, `raise`.
        unsafe {
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(*signal, &raw const action, std::ptr::null_mut());
        }
    }
}

fn remove() {
    for ((signal, _), earlier) in CRASHES.iter().zip(&EARLIER) {
        let mut action = action_of(*signal);
        // Somebody who came later calls ours after his own; it stays for him, and finds nothing under way.
        if action.sa_sigaction == ours() {
            action.sa_sigaction = earlier.handler.load(Ordering::Acquire);
            action.sa_flags = earlier.flags.load(Ordering::Acquire);
            // SAFETY: what is put back is what was there.
            unsafe { libc::sigaction(*signal, &raw const action, std::ptr::null_mut()) };
        }
    }
}

/// A stack for the handler, where this thread has none: an endless recursion leaves it no other.
fn own_stack() -> Option<Vec<u8>> {
    // SAFETY: all zeroes is a lawful value, and the first call only writes to it. The memory of the second is given back
    // before it is freed.
    unsafe {
        let mut present: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &raw mut present);
        if present.ss_flags & libc::SS_DISABLE == 0 {
            return None;
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(STACK).ok()?;
        memory.resize(STACK, 0);
        let stack =
            libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
        (libc::sigaltstack(&raw const stack, std::ptr::null_mut()) == 0).then_some(memory)
    }
}

fn give_back(memory: &[u8]) {
    // SAFETY: as above; a stack that the library has put in its place is the library's.
    unsafe {
        let mut present: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &raw mut present);
        if present.ss_sp.cast_const().cast() == memory.as_ptr() {
            present.ss_flags = libc::SS_DISABLE;
            libc::sigaltstack(&raw const present, std::ptr::null_mut());
        }
    }
}

/// A crash whose signal is blocked ends the process without any handler.
fn unblock() -> libc::sigset_t {
    // SAFETY: all zeroes is a lawful value; both sets are this function's own.
    unsafe {
        let (mut set, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut set);
        for (signal, _) in CRASHES {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, &raw mut before);
        before
    }
}

/// The mark of the start on this thread gets the line, if there is one.
fn note(line: &[u8]) {
    let me = rustix::thread::gettid().as_raw_nonzero().get();
    for place in &UNDER_WAY {
        if place.thread.load(Ordering::Acquire) == me {
            let mark = place.mark.load(Ordering::Acquire);
            // SAFETY: the descriptor is open for as long as the place is taken.
            unsafe { libc::write(mark, line.as_ptr().cast(), line.len()) };
        }
    }
}

extern "C" fn at_exit() {
    note(EXIT);
}

/// Whether the crashing thread itself caused it: a fault, or `raise` and `abort`. What `kill` sent came from elsewhere.
fn by_itself(info: *mut libc::siginfo_t) -> bool {
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` a valid one; who calls us in its place does, too.
    unsafe {
        let sent_to_a_thread =
            (*info).si_code == libc::SI_TKILL && (*info).si_pid() == libc::getpid();
        (*info).si_code > 0 || sent_to_a_thread
    }
}

extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(at) = CRASHES.iter().position(|(known, _)| *known == signal) else { return };
    if by_itself(info) {
        note(CRASHES[at].1);
    }
    let (handler, flags) =
        (EARLIER[at].handler.load(Ordering::Acquire), EARLIER[at].flags.load(Ordering::Acquire));
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // SAFETY: both may be called in a handler. A fault happens again when this returns, what was sent does not.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            if (*info).si_code <= 0 {
                libc::raise(signal);
            }
        }
    } else if flags & libc::SA_SIGINFO != 0 {
        // SAFETY: installed as a handler of three arguments.
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: installed as a handler of one argument.
        let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    }
}
