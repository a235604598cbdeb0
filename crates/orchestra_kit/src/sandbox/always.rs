//! What every guest may read, whatever its manifest says.
//!
//! Called by [`super::policy`]. Invariant: nothing here belongs to a person; it is what the system's own packages
//! installed, and devices without a state.

/// System libraries and what they read by themselves: the loader's cache, time zones, locales, public certificates, the
/// names of services. `/usr` holds what packages installed.
pub(super) const READ: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/mime.types",
    "/etc/alternatives",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/dev/urandom",
    "/dev/random",
    // How many processors there are: what numeric libraries ask first.
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/proc/filesystems",
];

/// Its own entries of the process table; the link leads to the process that opens it.
pub(super) const OWN_PROCESS: &str = "/proc/self";

/// Read and write.
pub(super) const WRITE: &[&str] = &["/dev/null", "/dev/zero", "/dev/full"];

/// Read, with a `network` grant: names, services and the way to the resolver.
pub(super) const NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

/// Read, with a `run` grant: what programs ask about the machine and its people. Not `/proc`: it has the variables of
/// every process of the same user.
pub(super) const RUN: &[&str] = &["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/shells"];

/// Read and write, with a `run` grant: where the C library keeps the locks that processes share.
pub(super) const SHARED_MEMORY: &str = "/dev/shm";
