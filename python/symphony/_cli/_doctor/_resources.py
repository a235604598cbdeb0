"""What the machine and this account have: shared memory, descriptors, processors, memory."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from symphony._cli._doctor._check import Finding, degraded, failed, ok
from symphony._cli._doctor._control_groups import cpu_limit, memory_limit

if TYPE_CHECKING:
    from symphony._cli._doctor._subject import Subject

_MIB = 1 << 20
_SHARED = "/dev/shm"  # noqa: S108 - it is asked how large it is.

# Measured: a root has 17 descriptors of its own, 4 for each extension that runs, and a few more while it starts one.
_OWN_DESCRIPTORS, _DESCRIPTORS_EACH = 24, 4
_MANY = 50
"""So many extensions Symphony is made for."""

# Measured: 22 MiB at the peak of a root without user code, 15 of a supervisor; an extension takes 4 and its own.
_OWN_MEMORY, _MEMORY_EACH = 64 * _MIB, 8 * _MIB
# Of addresses alone: 32 MiB were too few for its threads; unhindered it maps 800 MiB, and uses few of them.
_LEAST_ADDRESSES, _GOOD_ADDRESSES = 128 * _MIB, 1024 * _MIB
_LEAST_DATA, _GOOD_DATA = 48 * _MIB, 128 * _MIB


def look_at_shared_memory(_subject: Subject) -> Finding:
    """`/dev/shm`, which models and their loaders use."""
    try:
        size = os.statvfs(_SHARED)
    except OSError as error:
        return degraded(
            f"`{_SHARED}` cannot be used ({error.strerror}): data loaders need it, Symphony does not",
            f"mount it: `mount -t tmpfs tmpfs {_SHARED}`",
        )
    free = size.f_bavail * size.f_frsize
    if not os.access(_SHARED, os.W_OK):
        return degraded(
            f"`{_SHARED}` cannot be written: multiprocessing and data loaders need it",
            "remount it `rw`",
        )
    if free < 16 * _MIB:
        return degraded(
            f"`{_SHARED}` has {_size(free)} free: data loaders of a Conductor will not fit",
            "mount it larger (in a container `--shm-size=1g`), or remove what was left there",
        )
    return ok(f"`{_SHARED}` has {_size(free)} free")


def look_at_descriptors(subject: Subject) -> Finding:
    """Enough open files for every extension that may run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("no limit")
    at_boot, at_most = subject.processes_at_boot, subject.processes_at_most
    now, all_of_them = _descriptors(at_boot), _descriptors(at_most)
    more = "no limit" if hard == resource.RLIM_INFINITY else f"{hard}"
    hint = f"raise it: `ulimit -n {max(1024, all_of_them)}` (the hard limit is {more}; a service has `LimitNOFILE=`)"
    if soft < now:
        return failed(
            f"{soft} open files are allowed; the {at_boot} extensions that start with the system need {now}",
            hint,
        )
    if soft < all_of_them:
        return degraded(
            f"{soft} open files are allowed; {at_most} extensions at once need {all_of_them}", hint
        )
    if soft < _descriptors(_MANY):
        room = (soft - _OWN_DESCRIPTORS) // _DESCRIPTORS_EACH
        return degraded(
            f"{soft} open files are allowed: room for {max(room, 0)} extensions and nothing of your own",
            hint,
        )
    return ok(f"{soft} open files are allowed, {at_most} extensions need {all_of_them}")


def _descriptors(extensions: int) -> int:
    return _OWN_DESCRIPTORS + extensions * _DESCRIPTORS_EACH


def look_at_cpus(_subject: Subject) -> Finding:
    """More than one processor, so that extensions start while the Conductor is imported."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    there = os.cpu_count() or allowed
    quota = cpu_limit()
    told = f"{allowed} of {there} may be used" + (
        "" if quota is None else f", {quota:g} by the control group's quota"
    )
    if allowed < 2 or (quota is not None and quota < 2):
        return degraded(
            f"{told}: extensions start after the Conductor's import and not beside it, and calls wait for each other",
            "give it two processors: `taskset`, `AllowedCPUs=`, or the container's quota",
        )
    return ok(told)


def look_at_memory(subject: Subject) -> Finding:
    """Enough memory, by the limits of this account, of its control group, and of the machine."""
    need = _OWN_MEMORY + subject.processes_at_boot * _MEMORY_EACH
    findings = [
        _held(need, 2 * need, memory_limit(), "the control group allows {}",
            "raise `MemoryMax=`, or that of the container"),
        _held(need, 2 * need, _available(), "{} are free", "end what uses memory, or take a larger machine"),
        _held(
            max(_LEAST_ADDRESSES, need), _GOOD_ADDRESSES, _limit(resource.RLIMIT_AS),
            "the account allows {} of addresses (RLIMIT_AS)", "`ulimit -v unlimited`: it limits addresses, not memory",
        ),
        _held(
            max(_LEAST_DATA, need // 2), _GOOD_DATA, _limit(resource.RLIMIT_DATA),
            "the account allows {} of data (RLIMIT_DATA)", "`ulimit -d unlimited`",
        ),
    ]  # fmt: skip
    bad = [finding for finding in findings if finding is not None]
    worst = next((one for one in bad if one.status == "failed"), bad[0] if bad else None)
    if worst is not None:
        return worst
    available = _available()
    told = "" if available is None else f"{_size(available)} are free; "
    return ok(f"{told}a system like this one needs {_size(need)} beside your own code")


def _held(need: int, good: int, there: int | None, text: str, hint: str) -> Finding | None:
    """What is wrong with an amount."""
    if there is None or there >= good:
        return None
    told = text.format(_size(there))
    if there < need:
        return failed(f"{told}, and a boot needs {_size(need)} beside your own code", hint)
    return degraded(
        f"{told}: a boot needs {_size(need)}, and there is little left for your own code", hint
    )


def _limit(which: int) -> int | None:
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft


def _available() -> int | None:
    """What the machine has free, as its kernel tells; without `/proc` what it has."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _size(count: int) -> str:
    """Bytes as people read them."""
    if count >= 1024 * _MIB:
        return f"{count / (1024 * _MIB):.1f} GiB"
    return f"{count / _MIB:.0f} MiB" if count >= _MIB else f"{count} bytes"
