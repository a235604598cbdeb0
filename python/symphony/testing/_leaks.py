"""What a test left behind: processes, threads, descriptors, files, memory. Linux's `/proc` says it."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from typing import TYPE_CHECKING

from symphony.testing._memory import own_memory, trimmed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - it is only listed.


class LeftBehindError(AssertionError):
    """Something was left behind; each line names one thing."""


class Leaks:
    """What this process had at one moment, to be compared with later.

    A system that was shut down is let go of with the last variable that holds it: look after that.

    Attributes:
        processes: The processes below this one, by id, with their command lines.
        threads: The threads of this process, by id, with their names.
        descriptors: The open descriptors, by number, with what they are open on.
        files: The files that are watched, by path, with what they are.
        memory: The bytes that are this process's own: neither a file's pages nor shared.
    """

    def __init__(
        self, *, memory: int | None = None, files: Iterable[str | os.PathLike[str]] | None = None
    ) -> None:
        """Looks at the process as it is now.

        Args:
            memory: How many bytes of its own the process may have more afterwards; `None`: any
                number. What runs for the first time imports modules and fills caches: run it once
                before. For a loop, `growth` says more.
            files: Folders in which nothing may be new, at any depth. `None`: Symphony's own
                temporary folders, and this user's files in shared memory; what another process has
                open or mapped is that one's.
        """
        self._allowed = memory
        self._folders = None if files is None else [os.fspath(folder) for folder in files]
        self.processes = _processes()
        self.threads = _threads()
        self.descriptors = _descriptors()
        self.files = self._watched()
        self.memory = own_memory() if memory is None else trimmed()

    def found(self, patience: float = 5.0) -> list[str]:
        """What there is now and was not then.

        Args:
            patience: Seconds that whatever is about to end has for it.

        Returns:
            One line for each; none when nothing was left.
        """
        end = time.monotonic() + patience
        pause = 0.01
        while True:
            # A caught exception and its frames refer to each other, and with that to what was
            # booted; what a collection frees may free more in the next.
            gc.collect()
            left = self._look()
            if not left or time.monotonic() >= end:
                return left
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def _look(self) -> list[str]:
        left = [
            f"process {pid}: {text}"
            for pid, text in _processes().items()
            if pid not in self.processes
        ]
        threads = {ident: name for ident, name in _threads().items() if ident not in self.threads}
        left += [f"thread {ident}: {name}" for ident, name in threads.items()]
        left += [
            f"descriptor {number}: {target}"
            for number, target in _descriptors().items()
            if self.descriptors.get(number) != target
        ]
        new = {path: kind for path, kind in self._watched().items() if path not in self.files}
        if new and self._folders is None:
            elsewhere = _in_use_elsewhere()
            new = {path: kind for path, kind in new.items() if not _is_used(path, elsewhere)}
        left += [f"{kind} {path}" for path, kind in new.items()]
        if self._allowed is not None:
            more = trimmed() - self.memory
            if more > self._allowed:
                left.append(f"memory: {more} bytes more than before; {self._allowed} are allowed")
        return left

    def _watched(self) -> dict[str, str]:
        if self._folders is not None:
            return {path: kind for folder in self._folders for path, kind in _below(folder)}
        temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - it is only listed.
        found = {
            os.path.join(temporary, name): "temporary folder"
            for name in _listed(temporary)
            if name.startswith("symphony-")
        }
        for name in _listed(_SHARED_MEMORY):
            path = os.path.join(_SHARED_MEMORY, name)
            # One that is gone by now is not left.
            with contextlib.suppress(OSError):
                if os.lstat(path).st_uid == os.getuid():
                    found[path] = "shared memory"
        return found


@contextlib.contextmanager
def no_leaks(
    patience: float = 5.0,
    *,
    memory: int | None = None,
    files: Iterable[str | os.PathLike[str]] | None = None,
) -> Generator[Leaks, None, None]:
    """Holds a block to leaving nothing behind.

    Args:
        patience: Seconds that whatever is about to end has for it.
        memory: How many bytes of its own the process may have more afterwards; see `Leaks`.
        files: Folders in which nothing may be new; see `Leaks`.

    Raises:
        LeftBehindError: A process, a thread, a descriptor, a file or too much memory was left.
    """
    before = Leaks(memory=memory, files=files)
    yield before
    left = before.found(patience)
    if left:
        raise LeftBehindError("left behind:\n  " + "\n  ".join(left))


def _processes() -> dict[int, str]:
    found: dict[int, str] = {}
    waiting = [os.getpid()]
    while waiting:
        parent = waiting.pop()
        for task in _listed(f"/proc/{parent}/task"):
            children = [
                int(child) for child in _read(f"/proc/{parent}/task/{task}/children").split()
            ]
            waiting += children
            for child in children:
                found[child] = _read(f"/proc/{child}/cmdline").replace("\0", " ").strip()
    return found


def _threads() -> dict[int, str]:
    return {
        int(task): _read(f"/proc/self/task/{task}/comm").strip()
        for task in _listed("/proc/self/task")
    }


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    for number in _listed("/proc/self/fd"):
        # One that is gone was the listing's own.
        with contextlib.suppress(OSError):
            found[int(number)] = os.readlink(f"/proc/self/fd/{number}")
    return found


def _below(folder: str) -> Generator[tuple[str, str], None, None]:
    """Everything in a folder, at any depth."""
    for parent, folders, files in os.walk(folder):
        for name in folders:
            yield os.path.join(parent, name), "folder"
        for name in files:
            yield os.path.join(parent, name), "file"


def _in_use_elsewhere() -> set[str]:
    """The files that processes which are neither this one nor below it have open or mapped."""
    ours = {os.getpid(), *_processes()}
    used: set[str] = set()
    for entry in _listed("/proc"):
        if not entry.isdigit() or int(entry) in ours:
            continue
        for number in _listed(f"/proc/{entry}/fd"):
            with contextlib.suppress(OSError):
                used.add(os.readlink(f"/proc/{entry}/fd/{number}"))
        maps = _read(f"/proc/{entry}/maps").splitlines()
        used.update("/" + line.partition("/")[2] for line in maps if "/" in line)
    return used


def _is_used(path: str, used: set[str]) -> bool:
    inside = path + "/"
    return any(one == path or one.startswith(inside) for one in used)


def _listed(folder: str) -> list[str]:
    """The names in a folder; none when its process ended."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(file: str) -> str:
    """A file's text; empty when its process ended."""
    try:
        with open(file, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""
