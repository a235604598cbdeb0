"""Lets `symphony top` look at a running system: a socket in a folder that only this account may enter.

    with boot(config="Symphony.toml") as system, serve(system, state=".symphony"):
        system.run(forever=True)

`symphony run` does so by itself. Invariants: whoever connects is waited for one second at most, on a thread that does
nothing else, so that no connection disturbs the system; another account is refused, whatever the folder's rights are.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import threading
import time
import weakref
from typing import TYPE_CHECKING

from symphony import _core
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from typing import Any

    from symphony import ExtensionHandle, System
    from symphony.config import StrPath

SUFFIX = ".socket"
SCHEMA = 1
_PATIENCE = 1.0
"""So many seconds a connection has to ask, and as many to take the answer."""
_LONGEST = 4096
"""No request is longer."""
_PAUSE = 0.1
_MANY = 1000
"""No process has as many systems."""
_STOP = 2.5
_MIB = 1 << 20
_MEMBERS = {
    "pool-manager": "pool",
    "artifact-store": "artifacts",
    "dag-tracker": "dag",
    "arbitration-engine": "arbitration",
    "stale-manager": "stale",
}
_served: weakref.WeakSet[Served] = weakref.WeakSet()


def folders(state: StrPath | None) -> list[str]:
    """The folders in which the socket of a system may be: that of the session, and that of its state."""
    found: list[str] = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        found.append(os.path.join(runtime, "symphony"))
    if state is not None:
        found.append(os.path.join(os.path.abspath(os.fspath(state)), "top"))
    return found


def is_private(folder: str) -> bool:
    """Whether a folder is this account's, and nobody else may enter it."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return own and not found.st_mode & 0o077


def is_trusted(peer: socket.socket) -> bool:
    """Whether the other end is a process of this account, or of the administrator."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user in {os.geteuid(), 0}


def serve(system: System[Any], *, state: StrPath | None = None) -> Served:
    """Answers `symphony top` until it is closed; a context manager.

    Args:
        system: The system.
        state: Its state folder, for where the session has no folder of its own (`XDG_RUNTIME_DIR`).

    Raises:
        SymphonyError: There is no folder for the socket, or it is not this account's alone.
        OSError: The socket cannot be made.
    """
    places = folders(state)
    if not places:
        raise SymphonyError(
            "there is no folder for the socket of `symphony top`",
            code="invalid-value",
            hints=["give `state`, or set `XDG_RUNTIME_DIR`"],
        )
    os.makedirs(places[0], mode=0o700, exist_ok=True)
    if not is_private(places[0]):
        raise SymphonyError(
            f"`{places[0]}` is not this account's alone",
            code="invalid-value",
            hints=[f"remove it, or `chmod 700 {places[0]}`"],
        )
    _sweep(places[0])
    return Served(system, places[0])


def _sweep(folder: str) -> None:
    """Removes the sockets that nobody answers any more: those of systems that were killed."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if not name.endswith(SUFFIX):
            continue
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as tried:
            tried.settimeout(_PATIENCE)
            try:
                tried.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


class Served:
    """A system that is served.

    Attributes:
        path: The socket.
    """

    def __init__(self, system: System[Any], folder: str) -> None:
        """Listens, and answers on a thread."""
        self._system = system
        self._since = time.monotonic()
        self._closed = False
        # Short, as the path of a socket has 107 bytes; two systems of one process have different ones.
        paths = (
            os.path.join(folder, f"{os.getpid()}{more}{SUFFIX}")
            for more in ("", *(f"-{number}" for number in range(1, _MANY)))
        )
        self.path = next(path for path in paths if not os.path.lexists(path))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(self.path)
            self._socket.listen(8)
        except OSError:
            self._socket.close()
            raise
        self._thread = threading.Thread(target=self._answer_all, name="symphony-top", daemon=True)
        self._thread.start()
        _served.add(self)

    def close(self) -> None:
        """Answers nobody any more, and removes the socket; it may be called twice."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        # This wakes whoever waits for a connection.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(2 * _PATIENCE + _PAUSE)
        self._socket.close()

    def let_go(self) -> None:
        """In a forked child: the socket is the root's."""
        self._closed = True
        self._socket.close()

    def __enter__(self) -> Served:  # noqa: PYI034 - `Self` came with 3.11.
        """Itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Closes it."""
        self.close()

    # -- Answers -------------------------------------------------------------------------------------------------------

    def _answer_all(self) -> None:
        while not self._closed:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                if not self._closed:
                    # No descriptor is free: they come back.
                    time.sleep(_PAUSE)
                continue
            with peer:
                try:
                    self._answer(peer)
                except (OSError, ValueError, RecursionError):
                    # It went away, or does not speak as it should: that costs it alone.
                    continue
                except Exception as error:  # noqa: BLE001 - a fault of ours ends one answer, and is told.
                    _core.write_unraisable(error, self)

    def _answer(self, peer: socket.socket) -> None:
        """Answers one request.

        Raises:
            OSError: The other end is gone, or slow.
            ValueError: It does not speak as it should.
        """
        if not is_trusted(peer):
            return
        request = json.loads(_line(peer))
        asked = request.get("ask") if isinstance(request, dict) else None
        answer: dict[str, Any]
        if asked == "figures":
            answer = self._figures()
        elif asked in {"restart", "stop"}:
            answer = self._order(asked, str(request.get("extension")))
        else:
            answer = {"error": "what is asked is `figures`, `restart` or `stop`"}
        peer.settimeout(_PATIENCE)
        peer.sendall(json.dumps(answer).encode() + b"\n")

    def _order(self, asked: str, name: str) -> dict[str, Any]:
        """Begins what takes longer than whoever asks would wait."""
        try:
            extension = self._system.kit.extension(name)
        except SymphonyError as error:
            return {"error": error.message}

        def carry_out() -> None:
            # What comes of it is the extension's state, which is looked at again and again.
            with contextlib.suppress(SymphonyError):
                if asked == "restart":
                    extension.restart()
                else:
                    _core.stop_extension(extension, _STOP)

        threading.Thread(target=carry_out, name=f"symphony-top: {asked}", daemon=True).start()
        return {"ok": True}

    def _figures(self) -> dict[str, Any]:
        kit, report = self._system.kit, self._system.report
        return {
            "schema": SCHEMA,
            "system": report.system,
            "pid": os.getpid(),
            "uptime_seconds": time.monotonic() - self._since,
            "ready_seconds": report.ready_seconds,
            **_used(os.getpid()),
            "extensions": [_extension(kit.extension(name)) for name in kit.extensions()],
            "members": _members(kit.pit),
            "runs": dict(kit.stats()),
        }


def _line(peer: socket.socket) -> bytes:
    """What was asked: one line.

    Raises:
        OSError: It does not come in time, or not at all.
        ValueError: It is too long.
    """
    end = time.monotonic() + _PATIENCE
    line = b""
    while not line.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)
        part = peer.recv(_LONGEST)
        if not part:
            raise ConnectionAbortedError
        line += part
        if len(line) > _LONGEST:
            raise ValueError
    return line


def _extension(handle: ExtensionHandle) -> dict[str, Any]:
    restarts, pending, calls, errors, p50, p99, fault = _core.extension_figures(handle)
    pid = handle.pid
    return {
        "name": handle.name,
        "state": handle.state,
        "pid": pid,
        "restarts": restarts,
        "calls": calls,
        "errors": errors,
        "queue": pending,
        "p50_seconds": p50,
        "p99_seconds": p99,
        **_used(pid),
        "last_error": fault,
        "grants": [
            {"name": name, "status": status, "detail": detail}
            for name, status, detail in _core.extension_grants(handle)
        ],
    }


def _used(pid: int | None) -> dict[str, float | None]:
    """Memory of its own and processor time of a process, where `/proc` tells."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            _, resident, shared = (int(word) for word in file.read().split()[:3])
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name may hold anything, also a parenthesis.
            words = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return {"memory_mb": None, "cpu_seconds": None}
    ticks = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    memory = (resident - shared) * os.sysconf("SC_PAGE_SIZE") / _MIB
    return {"memory_mb": memory, "cpu_seconds": ticks}


def _members(pit: Any) -> list[dict[str, Any]]:
    """The Pit's members that were started, each with its figures."""
    found: list[dict[str, Any]] = []
    for name, attribute in _MEMBERS.items():
        # One that was not started, or that was swapped for something that knows less, is left out.
        with contextlib.suppress(SymphonyError, AttributeError, TypeError):
            found.append({"name": name, "figures": _figures_of(name, getattr(pit, attribute))})
    return found


def _figures_of(name: str, member: Any) -> dict[str, int]:
    if name == "artifact-store":
        return dict(member.stats())
    if name == "arbitration-engine":
        return {"resources": len(member.status())}
    return _runs(member) if name == "dag-tracker" else {}


def _runs(dag: _core.DagTracker) -> dict[str, int]:
    states = list(dag.runs().values())
    return {"runs": len(states), "active": states.count("active")}


def _in_child() -> None:
    for served in list(_served):
        served.let_go()


os.register_at_fork(after_in_child=_in_child)
