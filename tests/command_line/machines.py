"""Machines that lack something, made for real for one process: to be called in the child, between fork and exec.

Each is a `preexec_fn`, so what it takes away is gone for the program that follows, and for nobody else.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

_MIB = 1 << 20
_NEW_NAMESPACE_OF_MOUNTS, _NEW_NAMESPACE_OF_USERS = 0x0002_0000, 0x1000_0000
_PRIVATE, _RECURSIVE = 1 << 18, 1 << 14
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_WITH_FILTER, _NEW_LISTENER = 1, 8
_LANDLOCK_CREATE_RULESET = 444
_UNSHARE = {"x86_64": 272, "aarch64": 97}
_PIDFD_GETFD = 438
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_NOT_PERMITTED, _NOT_THERE = 1, 38


def with_descriptors(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def with_addresses(mebibytes):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes * _MIB, mebibytes * _MIB))


def with_data(mebibytes):
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (mebibytes * _MIB, mebibytes * _MIB))


def with_one_cpu():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def without_proc():
    """An empty folder in the place of `/proc`."""
    _own_mounts()
    _call("mount", b"tmpfs", b"/proc", b"tmpfs", 0, None)


def with_little_shared_memory():
    _own_mounts()
    _call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=1m")


def with_small_disk(folder, mebibytes):
    """An empty disk of that size at `folder`."""

    def mount():
        _own_mounts()
        size = b"size=%dm" % mebibytes
        _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", 0, size)

    return mount


def without_landlock():
    _refuse(_LANDLOCK_CREATE_RULESET, _NOT_THERE)


def without_user_namespaces():
    _refuse(_UNSHARE[platform.machine()], _NOT_PERMITTED)


def without_taking_descriptors():
    _refuse(_PIDFD_GETFD, _NOT_PERMITTED)


def without_filters():
    """No further filters of system calls, as in some containers."""
    _refuse(_SECCOMP[platform.machine()], _NOT_PERMITTED)


def with_another_listener():
    """A program above has calls handed over already, as some containers have it; the kernel allows one."""
    handed_over, allowed, unused = 0x7FC0_0000, 0x7FFF_0000, _UNSHARE[platform.machine()]
    steps = struct.pack(
        "HBBIHBBIHBBIHBBI",
        *(0x20, 0, 0, 0),
        *(0x15, 0, 1, unused),
        *(0x06, 0, 0, handed_over),
        *(0x06, 0, 0, allowed),
    )
    program = ctypes.create_string_buffer(steps)
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(program)))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    number = ctypes.c_long(_SECCOMP[platform.machine()])
    listener = library.syscall(number, _WITH_FILTER, _NEW_LISTENER, filter_)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    # It is there for as long as somebody holds it.
    os.set_inheritable(listener, True)


def _own_mounts():
    namespaces = _NEW_NAMESPACE_OF_MOUNTS | (0 if os.geteuid() == 0 else _NEW_NAMESPACE_OF_USERS)
    _call("unshare", namespaces)
    _call("mount", b"none", b"/", None, _PRIVATE | _RECURSIVE, None)


def _refuse(number, error):
    """A filter that answers one system call with an error."""
    instructions = (
        (0x20, 0, 0, 0),  # The number of the call.
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x0005_0000 | error),
        (0x06, 0, 0, 0x7FFF_0000),
    )
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = Program(len(instructions), ctypes.addressof(buffer))
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("prctl", _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def _call(name, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
