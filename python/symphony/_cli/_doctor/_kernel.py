"""What the kernel offers: identities of processes, sealed memory, sandboxes, control groups, `/proc`."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from symphony._cli._doctor import _syscalls
from symphony._cli._doctor._check import Finding, degraded, failed, ok
from symphony._cli._doctor._control_groups import own_group
from symphony._guest import packaged

if TYPE_CHECKING:
    from symphony._cli._doctor._subject import Subject

# Of the files whose names this file asks for, as the kernel's documentation has them.
_F_ADD_SEALS, _F_SEAL_SHRINK = 1033, 2
_NEW_USER = 0x1000_0000
_YAMA = "kernel.yama.ptrace_scope"
_LANDLOCK_RIGHTS = {
    1: "files",
    2: "renames between folders",
    3: "truncation",
    4: "TCP ports",
    5: "device controls",
    6: "signals and abstract sockets",
}
_LANDLOCK_ENOUGH = 4


def look_at_memfd(_subject: Subject) -> Finding:
    """Memory that is passed by descriptor and cannot shrink under its reader."""
    try:
        descriptor = os.memfd_create("symphony-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (OSError, AttributeError) as error:
        return failed(
            f"memfd_create does not work ({error}): shared memory and Pit libraries need it",
            "use a kernel of 3.17 or newer, and a container profile that allows memfd_create",
        )
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _F_SEAL_SHRINK)
    except OSError as error:
        return failed(f"memory cannot be sealed ({error})", "use a kernel of 3.17 or newer")
    finally:
        os.close(descriptor)
    with (
        contextlib.suppress(OSError, ValueError),
        open("/proc/sys/vm/memfd_noexec", encoding="ascii") as file,
    ):
        if int(file.read()) >= 2:
            return degraded(
                "nothing may be loaded from such memory (`vm.memfd_noexec` is 2): Pit libraries cannot be loaded",
                "`sysctl vm.memfd_noexec=1`, where libraries are used",
            )
    return ok("memory is made and sealed")


def look_at_pidfd(_subject: Subject) -> Finding:
    """Processes by descriptor: whoever ends one by its number may end another's."""
    try:
        os.close(_syscalls.open_pidfd(os.getpid()))
    except OSError as error:
        return failed(
            f"pidfd_open does not work ({error}): processes are ended by it",
            "use a kernel of 5.3 or newer, and a container profile that allows pidfd_open",
        )
    return ok("processes are named by descriptors")


def look_at_landlock(_subject: Subject) -> Finding:
    """The sandbox of files, ports and signals."""
    try:
        version = _syscalls.landlock_version()
    except OSError as error:
        return degraded(
            f"Landlock is not there ({error}): what extensions read, write and connect to is not held by it",
            "use a kernel of 5.13 or newer with `landlock` in its `lsm=` list, and a container profile that allows it",
        )
    held = ", ".join(text for since, text in _LANDLOCK_RIGHTS.items() if since <= version)
    lacks = ", ".join(text for since, text in _LANDLOCK_RIGHTS.items() if since > version)
    if version < _LANDLOCK_ENOUGH:
        return degraded(
            f"Landlock has version {version}: it holds {held}, and not {lacks}",
            "use a kernel of 6.7 or newer",
        )
    return ok(f"version {version}: it holds {held}" + (f"; not {lacks}" if lacks else ""))


def look_at_seccomp(_subject: Subject) -> Finding:
    """Filters of system calls."""
    try:
        _syscalls.allows_action(_syscalls.ERRNO)
    except OSError as error:
        return degraded(
            f"seccomp is not there ({error}): system calls of extensions are not filtered",
            "use a kernel with CONFIG_SECCOMP_FILTER, and a container profile that allows seccomp",
        )
    return ok("system calls can be filtered")


def look_at_user_notification(_subject: Subject) -> Finding:
    """Calls that are handed to the supervisor: what holds a list of hosts."""
    try:
        _syscalls.allows_action(_syscalls.USER_NOTIFICATION)
        _syscalls.notification_sizes()
    except OSError as error:
        return degraded(
            f"seccomp's user notification is not there ({error}): `network = [hosts]` cannot be held by the kernel",
            "use a kernel of 5.0 or newer; until then grant `network = true` or none",
        )
    try:
        own = _syscalls.open_pidfd(os.getpid())
        try:
            os.close(_syscalls.take_descriptor(own, own))
        finally:
            os.close(own)
    except OSError as error:
        return degraded(
            f"pidfd_getfd does not work ({error}): `network = [hosts]` cannot be held by the kernel",
            "use a kernel of 5.6 or newer, and a container profile that allows pidfd_getfd; "
            "until then grant `network = true` or none",
        )
    scope = _yama_scope()
    if scope > (2 if os.geteuid() == 0 else 1):
        return degraded(
            f"Yama lets no process look into another ({_YAMA} is {scope}): "
            "`network = [hosts]` cannot be held by the kernel",
            f"set it to 1 (`sysctl {_YAMA}=1`); until then grant `network = true` or none",
        )
    return ok("calls can be handed to the supervisor, and sockets be taken by it")


def _yama_scope() -> int:
    """How far processes are kept from looking into each other; 0 where nothing keeps them."""
    try:
        with open(f"/proc/sys/{_YAMA.replace('.', '/')}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def look_at_user_namespaces(_subject: Subject) -> Finding:
    """Sandboxes that programs bring themselves need them; ours does not."""
    needed = "Symphony's own sandbox does not need them; programs that bring their own (browsers, `bwrap`) do"
    if packaged.program() is not None:
        return ok("not tried in a packaged program")
    code = (
        "import ctypes, os, sys; library = ctypes.CDLL(None, use_errno=True)\n"
        f"sys.exit(0 if library.unshare({_NEW_USER}) == 0 else os.strerror(ctypes.get_errno()))"
    )
    tried = subprocess.run(  # noqa: S603 - this interpreter.
        [sys.executable, "-I", "-S", "-c", code],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=8.0,
    )  # fmt: skip
    if tried.returncode == 0:
        return ok("one can be made")
    last = (tried.stderr.strip().splitlines() or ["no reason was given"])[-1]
    return degraded(
        f"user namespaces cannot be made ({last}): {needed}",
        "where such programs run: `sysctl user.max_user_namespaces`, `kernel.unprivileged_userns_clone`, "
        "`kernel.apparmor_restrict_unprivileged_userns`, or the container's profile",
    )


def look_at_cgroups(subject: Subject) -> Finding:
    """Control groups hold memory and what escaped, where one is ours."""
    wanted = [one.name for one in subject.extensions if one.memory is not None or one.runs]
    group = own_group()
    if group is not None and os.access(os.path.join(group, "cgroup.procs"), os.W_OK):
        return ok(f"`{group}` is ours: limits of memory and whole trees can be held by it")
    lacks = (
        "control groups of version 2 are not mounted"
        if group is None
        else f"`{group}` is not delegated to this account"
    )
    if not wanted:
        return ok(f"{lacks}; no extension of this system asks for them")
    return degraded(
        f"{lacks}: of `{'`, `'.join(wanted[:5])}` memory is held by RLIMIT_DATA and by watching, and programs that "
        "left their session may stay",
        "run it as a systemd service or scope with `Delegate=yes`, or in a container with a control group of its own",
    )


def look_at_proc(_subject: Subject) -> Finding:
    """`/proc`: memory figures, children of extensions, libraries from memory."""
    why = "the supervisor finds there what it has open and what extensions leave, and does not start without it"
    hint = "mount it: `mount -t proc proc /proc`"
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            number = int(file.read().partition(" ")[0])
        os.listdir("/proc/self/fd")
    except (OSError, ValueError) as error:
        return failed(f"`/proc` cannot be read ({error}): {why}", hint)
    if number != os.getpid():
        return failed(
            f"`/proc` is that of other processes (here this one is {os.getpid()}, there {number}): {why}",
            f"{hint} in this process namespace",
        )
    if not os.path.exists("/proc/1"):
        return ok("ours is readable; other accounts' processes are hidden, and are not needed")
    return ok("mounted and readable")
