//! Which system calls a guest is refused, as data.
//!
//! Read by [`super::filter`]. Invariant: a call stands here when it reaches past the guest, or past what Landlock sees:
//! what acts on the guest alone is left alone.

use libc::c_long;

use super::Policy;
use super::kernel::SCOPES;
use crate::manifest::Network;

/// A comparison of one argument, of which the kernel reads the lower 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// It is this value.
    Is(u8, u32),
    /// It is not.
    IsNot(u8, u32),
    /// Under this mask it is this value.
    Masked(u8, u32, u32),
}

/// A refused call, when every test holds; none: always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) call: c_long,
    pub(super) when: Vec<Test>,
}

/// The thread's memory and life are shared, so it is a thread and no process.
const CLONE_THREAD: u32 = 0x0001_0000;
/// Every kind of namespace that a new process can be born into.
const NAMESPACES: [u32; 8] = [
    0x0000_0080,
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];
/// What of a socket's type is not a flag.
const KIND: u32 = 0xf;
const STREAM: u32 = 1;
const DATAGRAM: u32 = 2;
const RAW: u32 = 3;
/// An old kind, of any family: the kernel makes a packet socket of it.
const PACKET: u32 = 10;
const UNIX: u32 = 1;
const INTERNET: u32 = 2;
const INTERNET_6: u32 = 10;
const NETLINK: u32 = 16;
const IP: u32 = 0;
const TCP: u32 = 6;
const IP_6: u32 = 41;
/// Of a message: it opens the connection.
const FAST_OPEN: u32 = 0x2000_0000;
/// Options of a TCP socket.
const FAST_OPEN_CONNECT: u32 = 30;
const REPAIR: u32 = 19;
/// The option of an IP socket that holds routes.
const OPTIONS: u32 = 4;
/// Those of an IPv6 socket: `IPV6_RTHDR`, and as they were before.
const ROUTING_HEADERS: [u32; 3] = [57, 5, 6];
const SET_DEATH_SIGNAL: u32 = 1;
const OF_A_PROCESS: u32 = 0;
const OF_A_GROUP: u32 = 1;
const OF_A_USER: u32 = 2;
const IO_OF_A_PROCESS: u32 = 1;

/// Other processes, the kernel itself, other ways to files, and names that no file has.
const ALWAYS: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Their numbers are no secrets: what another made is used without having been asked for.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// The same, of one architecture.
#[cfg(target_arch = "x86_64")]
const ALWAYS_HERE: &[c_long] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_HERE: &[c_long] = &[];

/// How old programs start processes.
#[cfg(target_arch = "x86_64")]
const FORKS: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[c_long] = &[];

fn always(call: c_long) -> Refused {
    Refused { call, when: Vec::new() }
}

fn when(call: c_long, when: &[Test]) -> Refused {
    Refused { call, when: when.to_vec() }
}

/// Every call that a guest of that policy is refused. `own`: its process's number.
pub(super) fn refused(policy: &Policy, own: u32) -> Vec<Refused> {
    use Test::{Is, IsNot, Masked};
    let mut found: Vec<_> = ALWAYS.iter().chain(ALWAYS_HERE).copied().map(always).collect();
    found.extend([
        // Its life is tied to the supervisor's.
        when(libc::SYS_prctl, &[Is(0, SET_DEATH_SIGNAL)]),
        // Limits and priorities of others.
        when(libc::SYS_prlimit64, &[IsNot(0, 0), IsNot(0, own)]),
        // By it the supervisor knows what the guest started. Asking for it too: in one call both may be meant.
        when(libc::SYS_prlimit64, &[Is(1, libc::RLIMIT_LOCKS)]),
        when(libc::SYS_setrlimit, &[Is(0, libc::RLIMIT_LOCKS)]),
        when(libc::SYS_setpriority, &[Is(0, OF_A_GROUP)]),
        when(libc::SYS_setpriority, &[Is(0, OF_A_USER)]),
        when(libc::SYS_setpriority, &[Is(0, OF_A_PROCESS), IsNot(1, 0), IsNot(1, own)]),
        when(libc::SYS_ioprio_set, &[IsNot(0, IO_OF_A_PROCESS)]),
        when(libc::SYS_ioprio_set, &[IsNot(1, 0), IsNot(1, own)]),
        when(libc::SYS_sched_setscheduler, &[IsNot(0, 0), IsNot(0, own)]),
        when(libc::SYS_sched_setparam, &[IsNot(0, 0), IsNot(0, own)]),
        when(libc::SYS_sched_setattr, &[IsNot(0, 0), IsNot(0, own)]),
        when(libc::SYS_sched_setaffinity, &[IsNot(0, 0), IsNot(0, own)]),
        // A pair of datagram sockets can send to any path.
        when(libc::SYS_socketpair, &[IsNot(0, UNIX)]),
        when(libc::SYS_socketpair, &[Masked(1, KIND, DATAGRAM)]),
        when(libc::SYS_socketpair, &[Masked(1, KIND, RAW)]),
    ]);
    match policy.network {
        Network::Refused => found.push(always(libc::SYS_socket)),
        Network::Hosts(_) => found.extend(beside_hosts()),
        Network::All => found.extend(beside_all()),
    }
    if policy.processes {
        found.extend(NAMESPACES.map(|space| when(libc::SYS_clone, &[Masked(0, space, space)])));
    } else {
        found.extend(FORKS.iter().copied().map(always));
        found.push(when(libc::SYS_clone, &[Masked(0, CLONE_THREAD, 0)]));
        found.push(always(libc::SYS_execveat));
        if !policy.is_program {
            found.push(always(libc::SYS_execve));
        }
        if policy.kernel.landlock < SCOPES {
            found.extend(
                [
                    libc::SYS_kill,
                    libc::SYS_tgkill,
                    libc::SYS_rt_sigqueueinfo,
                    libc::SYS_rt_tgsigqueueinfo,
                ]
                .map(|call| when(call, &[IsNot(0, own)])),
            );
            found.extend([libc::SYS_tkill, libc::SYS_pidfd_send_signal].map(always));
        }
    }
    found
}

/// With a grant of the whole network.
fn beside_all() -> Vec<Refused> {
    use Test::{Is, IsNot, Masked};
    let families = [UNIX, INTERNET, INTERNET_6, NETLINK].map(|family| IsNot(0, family));
    vec![
        when(libc::SYS_socket, &families),
        when(libc::SYS_socket, &[IsNot(0, NETLINK), Masked(1, KIND, RAW)]),
        when(libc::SYS_socket, &[Masked(1, KIND, PACKET)]),
        // Of the kernel's own sockets only the one that tells which addresses there are.
        when(libc::SYS_socket, &[Is(0, NETLINK), IsNot(2, 0)]),
    ]
}

/// With a list of hosts: TCP, of which each `connect` is handed over. Nothing may send or connect in another way: a datagram
/// has its address in memory, where no filter sees it.
fn beside_hosts() -> Vec<Refused> {
    use Test::{Is, IsNot, Masked};
    let mut found = vec![
        when(libc::SYS_socket, &[IsNot(0, INTERNET), IsNot(0, INTERNET_6)]),
        when(libc::SYS_socket, &[IsNot(2, 0), IsNot(2, TCP)]),
        // Hosts are granted, not a server.
        when(libc::SYS_bind, &[]),
        when(libc::SYS_listen, &[]),
        // A connect by sending.
        when(libc::SYS_sendto, &[Masked(3, FAST_OPEN, FAST_OPEN)]),
        when(libc::SYS_sendmsg, &[Masked(2, FAST_OPEN, FAST_OPEN)]),
        when(libc::SYS_sendmmsg, &[Masked(3, FAST_OPEN, FAST_OPEN)]),
        when(libc::SYS_setsockopt, &[Is(1, TCP), Is(2, FAST_OPEN_CONNECT)]),
        when(libc::SYS_setsockopt, &[Is(1, TCP), Is(2, REPAIR)]),
        // A way over another host.
        when(libc::SYS_setsockopt, &[Is(1, IP), Is(2, OPTIONS)]),
    ];
    let ways =
        ROUTING_HEADERS.map(|option| when(libc::SYS_setsockopt, &[Is(1, IP_6), Is(2, option)]));
    found.extend(ways);
    let kinds = (0..=KIND).filter(|kind| *kind != STREAM);
    found.extend(kinds.map(|kind| when(libc::SYS_socket, &[Masked(1, KIND, kind)])));
    found
}

/// Answered as if the kernel did not know it: its flags lie in memory, where no filter sees them, and every C library
/// then takes the older call.
pub(super) const UNKNOWN: c_long = libc::SYS_clone3;
