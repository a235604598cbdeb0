//! Calls of `connect` that a guest makes, handed to whoever holds the listener: seccomp's user notification.
//!
//! A guest installs the filter in itself ([`Listener::install`]) and gives the listener away; the supervisor answers by it. The
//! filter is hand-built, because `seccompiler` knows no such answer. Invariants: a call is answered by whoever holds the
//! listener and never continued, since what the kernel would then read may have been changed; nothing of a guest's memory is
//! trusted, it is copied once.
#![expect(unsafe_code, reason = "the kernel's interface for handed-over calls has no safe wrapper")]

use std::io::{IoSliceMut, Result};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes, sock_filter, sock_fprog};
use rustix::io::Errno;
use rustix::thread::set_no_new_privs;

/// The end at which handed-over calls arrive; a guest whose listener is gone has its connects fail (ENOSYS).
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// One call of `connect` that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Connect {
    /// Its number among those of its listener.
    pub id: u64,
    /// The thread that made it.
    pub thread: i32,
    /// The socket's number in that thread.
    pub socket: RawFd,
    address: u64,
    length: i32,
}

/// So much of an address is looked at: the longest one of the families that are served.
pub const ADDRESS: usize = size_of::<libc::sockaddr_in6>();

impl Listener {
    /// Has every `connect` of the calling thread, the only one of its process, handed over from here on. Privileges must
    /// have been given up before.
    ///
    /// # Errors
    /// When the kernel refuses the filter.
    pub(super) fn install() -> Result<Self> {
        let program = program();
        let length = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
        let filter = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        // SAFETY: the program and what points to it live across the call, which only reads them.
        let descriptor = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const filter,
            )
        };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let descriptor = RawFd::try_from(descriptor).map_err(|_| Errno::BADF)?;
        // SAFETY: the kernel just made this descriptor, for this call alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Takes over a listener that a guest gave away. `descriptor`: one that [`Listener::install`] made; of any other each
    /// use is an error.
    pub fn adopt(descriptor: OwnedFd) -> Self {
        let listener = Self(descriptor);
        // The one who answers waits next: the guest goes on at once, where it waited. Older kernels do not know it.
        // SAFETY: the argument is a number and no pointer.
        unsafe {
            libc::ioctl(listener.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1_u64);
        }
        listener
    }

    /// Takes the next call; none, where its thread stopped waiting in between.
    ///
    /// # Errors
    /// What the kernel says; `ENOENT` is no error here.
    pub fn next(&self) -> Result<Option<Connect>> {
        // SAFETY: all of its fields are integers, and the kernel demands zeros.
        let mut call: seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the request is the one for this type, and the kernel writes no more than it.
        let answer = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call)
        };
        if answer < 0 {
            let error = std::io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        let [socket, address, length, ..] = call.data.args;
        Ok(Some(Connect {
            id: call.id,
            thread: call.pid.cast_signed(),
            // The kernel reads both as 32 bits.
            socket: low(socket),
            address,
            length: low(length),
        }))
    }

    /// Whether its thread still waits for the answer: what was learned of that thread before is then its own.
    pub fn is_waiting(&self, call: &Connect) -> bool {
        let id = call.id;
        // SAFETY: the request is the one for this type, which is only read.
        let answer = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id)
        };
        answer == 0
    }

    /// Ends the call with this error, or with success. False: its thread does not wait any more.
    pub fn answer(&self, call: &Connect, outcome: std::result::Result<(), Errno>) -> bool {
        let error = outcome.err().map_or(0, |error| -error.raw_os_error());
        let mut answer = seccomp_notif_resp { id: call.id, val: 0, error, flags: 0 };
        // SAFETY: the request is the one for this type.
        let sent = unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer)
        };
        sent == 0
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Connect {
    /// Copies the beginning of the address, once, and says how long the caller says that it is.
    ///
    /// # Errors
    /// As `connect` itself would answer: `EINVAL` for an impossible length, `EFAULT` for memory that is not there. `EPERM`
    /// where the memory may not be read.
    pub fn address(&self, into: &mut [u8; ADDRESS]) -> std::result::Result<usize, Errno> {
        let length = usize::try_from(self.length).map_err(|_| Errno::INVAL)?;
        if length > size_of::<libc::sockaddr_storage>() {
            return Err(Errno::INVAL);
        }
        let wanted = length.min(ADDRESS);
        if wanted == 0 {
            return Ok(0);
        }
        let start = usize::try_from(self.address).map_err(|_| Errno::FAULT)?;
        let mut here = IoSliceMut::new(&mut into[..wanted]);
        let there =
            libc::iovec { iov_base: std::ptr::without_provenance_mut(start), iov_len: wanted };
        // SAFETY: an `IoSliceMut` is an `iovec` over memory that is borrowed for the call; the other address is one of
        // another process, which the kernel checks.
        let read = unsafe {
            libc::process_vm_readv(self.thread, (&raw mut here).cast(), 1, &raw const there, 1, 0)
        };
        match usize::try_from(read) {
            Ok(read) if read == wanted => Ok(length),
            Ok(_) => Err(Errno::FAULT),
            Err(_) => {
                Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::FAULT))
            }
        }
    }
}

/// The lower half of an argument.
const fn low(argument: u64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel does")]
    let low = argument as u32;
    low.cast_signed()
}

/// Whether the kernel hands calls over, in the form that is known here.
pub(super) fn is_known() -> bool {
    // SAFETY: all of its fields are integers.
    let mut sizes: seccomp_notif_sizes = unsafe { std::mem::zeroed() };
    // SAFETY: the operation writes this structure and nothing else.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes)
    };
    answer == 0
        && usize::from(sizes.seccomp_notif) == size_of::<seccomp_notif>()
        && usize::from(sizes.seccomp_notif_resp) == size_of::<seccomp_notif_resp>()
}

/// Whether the kernel takes one more listener, which it does not below another. Tried by a thread that ends with it: a filter and
/// given-up privileges are its own.
pub(super) fn may_be_installed() -> bool {
    let tries = || set_no_new_privs(true).is_ok_and(|()| Listener::install().is_ok());
    let trying = std::thread::Builder::new().name("symphony-tries".to_owned()).spawn(tries);
    trying.is_ok_and(|trying| trying.join().unwrap_or(false))
}

/// `connect` is handed over, everything else goes on: what is refused is refused by the other filters, whose answer counts
/// for more, also to calls of other architectures.
pub(super) fn program() -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const ANSWER: u16 = 0x06;
    const NUMBER: u32 = 0;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let connect = u32::try_from(libc::SYS_connect).unwrap_or(u32::MAX);
    vec![
        step(LOAD, 0, 0, NUMBER),
        step(EQUAL, 0, 1, connect),
        step(ANSWER, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
        step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
