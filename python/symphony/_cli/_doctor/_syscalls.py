"""Questions to the kernel for which Python has no words.

The invariant kept here: nothing that is asked changes this process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_VERSION = 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PIDFD_OPEN = 434
_PIDFD_GETFD = 438
_ACTION_AVAILABLE = 2
_NOTIFICATION_SIZES = 3
USER_NOTIFICATION = 0x7FC0_0000
ERRNO = 0x0005_0000


def call(number: int, *arguments: object) -> int:
    """A system call.

    Raises:
        OSError: The kernel refuses it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    result: int = library.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def landlock_version() -> int:
    """The version of Landlock's interface.

    Raises:
        OSError: The kernel has none, or it is disabled.
    """
    return call(
        _LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION)
    )


def allows_action(action: int) -> None:
    """Asks whether a filter of system calls may answer so.

    Raises:
        OSError: It may not, or there are no filters.
    """
    _seccomp(_ACTION_AVAILABLE, ctypes.byref(ctypes.c_uint32(action)))


def notification_sizes() -> None:
    """Asks for the sizes of the messages of user notification.

    Raises:
        OSError: There is none.
    """
    _seccomp(_NOTIFICATION_SIZES, ctypes.byref((ctypes.c_uint16 * 3)()))


def _seccomp(operation: int, argument: object) -> None:
    number = _SECCOMP.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no number is known for {platform.machine()}")
    call(number, ctypes.c_uint(operation), ctypes.c_uint(0), argument)


def take_descriptor(process: int, number: int) -> int:
    """A copy of a descriptor of another process, which a pidfd names.

    Raises:
        OSError: The kernel has no such call, or does not let this process look into that one.
    """
    return call(_PIDFD_GETFD, ctypes.c_int(process), ctypes.c_int(number), ctypes.c_uint(0))


def open_pidfd(pid: int) -> int:
    """A descriptor of a process.

    Raises:
        OSError: The kernel has none, or there is no such process.
    """
    return call(_PIDFD_OPEN, ctypes.c_int(pid), ctypes.c_uint(0))
