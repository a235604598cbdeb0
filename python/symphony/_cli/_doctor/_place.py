"""Where things lie: the state, temporary files, paths that sockets have, and the clock that stamps them."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from typing import TYPE_CHECKING

from symphony._cli._doctor._check import Finding, degraded, failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphony._cli._doctor._subject import Subject

_LITTLE = 64 << 20
_SOCKET_LONGEST = 107
"""Bytes that the kernel takes as the path of a socket."""
# What is put into a folder and made a socket of: by Symphony in the state, by programs in a temporary folder.
_OWN_SOCKET, _PROGRAMS_SOCKET = "/top/4194304.socket", "/pymp-12345678/listener-12345678"
_NAME_LONGEST = 255
_TOLERANCE = 2.0
"""Seconds by which files and clocks may differ."""
_FEW = 20_000
"""So many files are looked at."""
_OLDEST = 1_735_689_600.0
"""2025 began: no machine that has this release has an earlier time."""


def look_at_state(subject: Subject) -> Finding:
    """The configured state can be written; it is not opened, and nothing in it is changed."""
    state = subject.state
    if state is None:
        return ok("none is configured: a temporary folder is used")
    fault = _fault_of_place(state)
    if fault is not None:
        return failed(
            fault, "correct `state` of `[system]`, or give `--state`: a folder of this account"
        )
    place = _nearest(state)
    told = f"`{state}` can be written" + ("" if place == state else ", the first boot makes it")
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    if free < _LITTLE or (room.f_files and room.f_favail == 0):
        return degraded(
            f"{told}, and {free >> 20} MiB are free there", "make room, or move the state"
        )
    return ok(told)


def _fault_of_place(state: str) -> str | None:
    """Why a folder of that path can neither be used nor be made."""
    if any(len(os.fsencode(part)) > _NAME_LONGEST for part in state.split(os.sep)):
        return f"`{state}` has a part of more than {_NAME_LONGEST} bytes"
    place = _nearest(state)
    if not os.path.isdir(place):
        kind = "a link that leads nowhere" if os.path.islink(place) else "no folder"
        where = "is" if place == state else f"lies under `{place}`, which is"
        return f"`{state}` {where} {kind}"
    try:
        _write_nothing(place)
    except OSError as error:
        return f"`{state}` cannot be written: `{place}`: {error.strerror}"
    return None


def _nearest(path: str) -> str:
    """The path itself, or what there is above it."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _write_nothing(folder: str) -> None:
    """Writes a byte into a file without a name, which changes nothing in the folder.

    Raises:
        OSError: Nothing can be written there.
    """
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
        # A file system without such files: the rights must be enough.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
        return
    try:
        os.write(descriptor, b"\n")
    finally:
        os.close(descriptor)


def look_at_temporary(_subject: Subject) -> Finding:
    """Temporary files can be made."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\n")
            file.flush()
    except OSError as error:
        return failed(
            f"no temporary file can be made: {error.strerror or error}: a system without `state` lies there, and so "
            "do the trials of the doctor",
            "set `TMPDIR` to a folder that can be written",
        )
    return ok(f"`{tempfile.gettempdir()}` can be written")


def look_at_path_length(subject: Subject) -> Finding:
    """Paths short enough for the sockets in them."""
    places = [
        ("the state folder", subject.state, _OWN_SOCKET, "`symphony top` cannot have its"),
        (
            "the temporary folder", tempfile.gettempdir(), _PROGRAMS_SOCKET,
            "multiprocessing, of a Conductor or an extension, cannot have its",
        ),
    ]  # fmt: skip
    longest = os.pathconf("/", "PC_PATH_MAX")
    lengths: list[str] = []
    for what, path, name, who in places:
        if path is None:
            continue
        length = len(os.fsencode(path))
        told = f"{what} has a path of {length} bytes (`{path}`)"
        if length + _NAME_LONGEST > longest:
            return failed(f"{told}: files in it cannot be named", "move it to a shorter path")
        if length + len(name) > _SOCKET_LONGEST:
            return degraded(
                f"{told}: a socket's may have {_SOCKET_LONGEST}, so that {who} there",
                f"move it to a path of at most {_SOCKET_LONGEST - len(name)} bytes (`--state`, `TMPDIR`)",
            )
        lengths.append(f"{what} {length}")
    return ok(f"sockets have room: {', '.join(lengths)} bytes")


def look_at_clock(subject: Subject) -> Finding:
    """The wall clock goes with the monotonic one, and no file of the state is younger than now."""
    hint = "set the clock (`timedatectl set-ntp true`), and look what set it back"
    wall, monotonic = time.time() - subject.begun[0], time.monotonic() - subject.begun[1]
    if abs(wall - monotonic) > _TOLERANCE:
        return degraded(
            f"the wall clock was set by {_span(wall - monotonic)} while the doctor ran: ages of artifacts and "
            "certificates are judged by it",
            hint,
        )
    now = time.time()
    if now < _OLDEST:
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        return degraded(f"it is {day} by the wall clock, which is before this release", hint)
    newest = max(_stamps(subject.state), default=None)
    if newest is not None and newest > now + _TOLERANCE:
        return degraded(
            f"the newest file of the state is {_span(newest - now)} younger than now: the clock was set back, and "
            "until then ages of artifacts are wrong",
            hint,
        )
    return ok(
        "it goes with the monotonic clock"
        + ("" if newest is None else ", and the state is older than now")
    )


def _stamps(state: str | None) -> Iterator[float]:
    """When the files of the state were changed; nothing is opened but its folders."""
    waiting = [] if state is None else [state]
    seen = 0
    while waiting and seen < _FEW:
        folder = waiting.pop()
        # What is removed meanwhile, or is not ours to see, tells nothing.
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False).st_mtime


def _span(seconds: float) -> str:
    """A span of time as people read it."""
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 0.99 * length:
            return f"{sign}{seconds / length:.1f} {unit}"
    return f"{sign}{seconds:.1f} s"
