"""Where the clients of one system meet: a socket in its state folder, and who starts the system that answers there.

Called by the process of a client; the system's process is `system_process`. Invariants: the folder is this account's
alone and both ends ask the kernel who the other is; of clients that come at once one starts the system, the others
wait for it, also where that one is killed; a socket that nobody answers any more is one whose system does not hold its
state.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._exit import FAILED
from symphony._cli._system import config_of, manifest_of
from symphony.exceptions import SymphonyError
from symphony.top import is_private, is_trusted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator
    from typing import Any

SOCKET, LOCK, LOG = "socket", "lock", "log"
_PATIENCE = 120.0
"""So long a client waits for the one that starts the system, in seconds: longer than a boot takes."""
_PAUSE = 0.02
_ANSWERS = 30.0
"""So long the system may take to take a client in, in seconds."""
_LAST_LINES = 20
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_PROGRAM = """\
import sys
if sys.path[:1] == [""]:
    # No module of the folder that the client was started in comes before the library's.
    del sys.path[0]
from symphony._cli._serve.system_process import main
sys.exit(main())
"""


class NotServedError(SymphonyError):
    """The system could not be started, or does not take this client.

    Attributes:
        exit_code: What the command ends with.
        told: What the other process said, in the house form; nothing where it said nothing.
    """

    code = "start-failed"

    def __init__(self, message: str, exit_code: int = FAILED, told: str | None = None) -> None:
        """Keeps it."""
        super().__init__(message)
        self.exit_code = exit_code
        self.told = told


class Rendezvous:
    """The meeting place of one system.

    Attributes:
        asked: What the system's process is started with.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        """Finds it; nothing is started.

        Raises:
            ManifestError: The manifest cannot be read.
        """
        config = config_of(options)
        manifest = os.path.abspath(manifest_of(options.config))
        state = config.state or _core.store_settings(manifest)[0]
        self.asked: dict[str, Any] = {
            "config": manifest,
            "state": state,
            "workspace": config.workspace,
            "components": list(options.components),
            "conductor": options.conductor,
        }
        self._started_with = {
            **self.asked,
            "linger": options.linger,
            "verbose": options.verbose,
            "log_level": options.log_level,
        }
        self.folder = os.path.join(state, "serve")

    def join(self, greeting: dict[str, Any]) -> socket.socket:
        """A connection to the system, which is started where it does not run.

        Args:
            greeting: What the client says of itself.

        Raises:
            NotServedError: There is none, and why.
            SymphonyError: The folder is not this account's alone.
            OSError: Descriptors or memory are short, or the folder cannot be made.
            RuntimeError: Threads are short.
        """
        # Each time: it may have been removed.
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        if not is_private(self.folder):
            raise SymphonyError(
                f"`{self.folder}` is not this account's alone",
                code="invalid-value",
                hints=[f"remove it, or `chmod 700 {self.folder}`"],
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            joined = self._joined(greeting)
            if joined is not None:
                return joined
            with self._starting(until) as lock:
                # Who held the lock before may have started it.
                joined = self._joined(greeting)
                if joined is None:
                    self._start(lock)
                    joined = self._joined(greeting)
            if joined is not None:
                return joined
        raise NotServedError(f"the system of `{self.asked['config']}` does not answer")

    def _joined(self, greeting: dict[str, Any]) -> socket.socket | None:
        """A connection to the system that runs; None where none does.

        Raises:
            OSError: Descriptors or memory are short, which says nothing of the system.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_path(self.folder) as folder:
                made.connect(f"{folder}/{SOCKET}")
            if not is_trusted(made):
                raise NotServedError(f"`{self.folder}/{SOCKET}` is another account's")
            made.settimeout(_ANSWERS)
            made.sendall(json.dumps({**greeting, "asked": self.asked}).encode() + b"\n")
            told = _line(made)
        except OSError as error:
            made.close()
            if error.errno in _SHORT:
                raise
            # Nobody listens, or who did is ending.
            return None
        except BaseException:
            made.close()
            raise
        answer: dict[str, Any] = json.loads(told) if told else {}
        if not answer.get("ok"):
            made.close()
            if "error" in answer:
                raise NotServedError(answer["error"])
            return None
        made.settimeout(None)
        return made

    @contextlib.contextmanager
    def _starting(self, until: float) -> Generator[int, None, None]:
        """Holds the lock of whoever starts or ends the system."""
        lock = open_lock(self.folder)
        try:
            while not is_locked(lock):
                if time.monotonic() > until:
                    raise NotServedError(f"another process holds `{self.folder}/{LOCK}`")
                time.sleep(_PAUSE)
            yield lock
        finally:
            os.close(lock)

    def _start(self, lock: int) -> None:
        """Starts the system in a process of its own, and waits until it can be joined.

        Args:
            lock: What this client holds. The process holds it too, until it can be joined or ends: nobody starts
                another meanwhile, whatever becomes of this client.

        Raises:
            NotServedError: It does not come up.
        """
        log = os.path.join(self.folder, LOG)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.ExitStack() as ours:
            with contextlib.ExitStack() as theirs:
                reads, writes = os.pipe()
                theirs.callback(os.close, writes)
                pipe = ours.enter_context(open(reads, "rb"))
                descriptor = os.open(log, flags, 0o600)
                theirs.callback(os.close, descriptor)
                words = json.dumps({**self._started_with, "ready": writes, "lock": lock})
                try:
                    process = subprocess.Popen(  # noqa: S603 - this interpreter, with a module of ours.
                        [sys.executable, "-c", _PROGRAM, words],
                        stdin=subprocess.DEVNULL,
                        stdout=descriptor,
                        stderr=descriptor,
                        pass_fds=(writes, lock),
                        # It outlives this client and its terminal.
                        start_new_session=True,
                    )
                except OSError as error:
                    message = f"the system's process cannot be started: {error}"
                    raise NotServedError(message) from None
            # Somebody has to hear of its end, whenever that is.
            threading.Thread(target=process.wait, name="serve: system", daemon=True).start()
            told = pipe.readline()
        answer: dict[str, Any] = json.loads(told) if told.endswith(b"\n") else {}
        if answer.get("ok"):
            return
        code = answer.get("exit")
        if code is None:
            code = process.wait()
        message = f"the system of `{self.asked['config']}` did not start"
        raise NotServedError(
            message, code if code > 0 else FAILED, answer.get("error") or _end_of(log)
        )


def open_lock(folder: str) -> int:
    """Opens the lock of whoever starts or ends the system."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(os.path.join(folder, LOCK), flags, 0o600)


def is_locked(lock: int) -> bool:
    """Takes it, where nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def short_path(folder: str) -> Generator[str, None, None]:
    """A path of the folder that is short enough for a socket in it, which has 107 bytes."""
    if len(os.fsencode(folder)) < 90:
        yield folder
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{opened}"
    finally:
        os.close(opened)


def _line(peer: socket.socket) -> bytes:
    """One line, read byte by byte: what follows it is the client's."""
    line = b""
    while not line.endswith(b"\n"):
        part = peer.recv(1)
        if not part:
            raise ConnectionAbortedError
        line += part
    return line


def _end_of(log: str) -> str | None:
    """The last lines of the log, where there are some."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()[-_LAST_LINES:]
    except OSError:
        return None
    return "\n".join(lines) or None
