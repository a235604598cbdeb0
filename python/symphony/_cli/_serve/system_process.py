"""The process of a system that several clients share.

Started by the first client, by `rendezvous`; what it is to boot stands in its one argument. Invariants: it listens only
while it holds the state; it starts and ends under the lock of whoever would start another, whoever started it and
whatever ends it, so that the next system finds the state free.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from symphony import _core
from symphony._boot.signals import TERMINATING
from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._exit import OK, exit_code_of
from symphony._cli._serve import json_rpc
from symphony._cli._serve.rendezvous import SOCKET, is_locked, open_lock, short_path
from symphony._cli._serve.session import Session
from symphony._cli._serve.tools import Tools
from symphony._cli._system import config_of, served, start
from symphony.top import is_trusted

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

    from symphony import System

_GREETING = 10.0
"""So long a client may take to say who it is, in seconds."""
_LONGEST_STAY = 3e7
"""Seconds that no timer is too short for: a year."""
_MOST_WAITING = 64
_LAST_JOINS = 3.0
"""So long a signal waits for a client that is just about to join or to start a system, in seconds."""
_PAUSE = 0.02


class Held:
    """Descriptors that hold something by being open: no fork of this process keeps them, and no program."""

    def __init__(self) -> None:
        """There are none."""
        self._open: set[int] = set()
        os.register_at_fork(after_in_child=self.close)

    def keep(self, descriptor: int) -> int:
        """Keeps one."""
        os.set_inheritable(descriptor, False)
        self._open.add(descriptor)
        return descriptor

    def give(self, descriptor: int) -> int:
        """Leaves one to the caller."""
        self._open.remove(descriptor)
        return descriptor

    def close(self) -> None:
        """Closes all."""
        while self._open:
            os.close(self._open.pop())


def main() -> int:
    """Boots, serves, shuts down; the exit code."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    ready, held = Held(), Held()
    told = [ready.keep(asked.pop("ready"))]
    # It is the client's too, and stays with whoever of both holds it longer.
    held.keep(asked.pop("lock"))
    linger = min(float(asked.pop("linger")), _LONGEST_STAY)
    options = argparse.Namespace(**asked)

    def tell(answer: dict[str, Any]) -> None:
        if told:
            # The client may have gone; the system stays for the next one.
            with contextlib.suppress(OSError), open(ready.give(told.pop()), "wb") as pipe:
                pipe.write(json.dumps(answer).encode() + b"\n")

    for number in TERMINATING:
        signal.signal(number, _terminate)
    try:
        config = config_of(options)
        with start(options, config) as system, served(system, config):
            server = Server(system, asked, linger, held)
            server.listen()
            tell({"ok": True})
            asyncio.run(server.serve())
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        text = _errors.render(error)
        print(text, file=sys.stderr)
        code = exit_code_of(error)
        tell({"error": text, "exit": code})
        return code
    return OK


class Server:
    """The socket and those who came by it."""

    def __init__(
        self, system: System[Any], asked: dict[str, Any], linger: float, held: Held
    ) -> None:
        """Nobody is there."""
        self._held = held
        self._is_alone = False
        identity = ("config", "state", "workspace", "components", "conductor")
        self._asked = {key: asked[key] for key in identity}
        self._linger = linger
        self._folder = os.path.join(asked["state"], "serve")
        self._sessions: set[Session] = set()
        self._present = 0
        self._ending = False
        self._left: asyncio.Event | None = None
        self._system = system
        self._tools = Tools(
            system, os.path.dirname(asked["config"]), self._folder, self.tell_change
        )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def listen(self) -> None:
        """Takes the place of whoever listened there: that one does not hold the state any more."""
        path = os.path.join(self._folder, SOCKET)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with short_path(self._folder) as folder:
            self._socket.bind(f"{folder}/{SOCKET}")
        os.chmod(path, 0o600)
        self._socket.listen(_MOST_WAITING)

    async def serve(self) -> None:
        """Serves until nobody has been there for a while, or a signal."""
        # Made here: before 3.10 it belongs to the loop that runs where it is made.
        stop, self._left = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (*TERMINATING, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await asyncio.start_unix_server(
            self._take_in, sock=self._socket, limit=json_rpc.LONGEST + 2
        )
        # Whoever comes now is taken in, and a signal is heard.
        self._held.close()
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set() and not await self._is_over(stopping):
                pass
            until = loop.time() + _LAST_JOINS
            while not self._locks_out() and loop.time() < until:  # noqa: ASYNC110 - of another process.
                await asyncio.sleep(_PAUSE)
        finally:
            self._ending = True
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._folder, SOCKET))
            server.close()
            stopping.cancel()
            for session in list(self._sessions):
                session.close()
            await self._tools.close()

    async def _is_over(self, stopping: asyncio.Future[Any]) -> bool:
        """Whether nobody is there, nobody came for a while, and nobody is just about to come."""
        someone_left = self._left or asyncio.Event()
        someone_left.clear()
        if self._present:
            left = asyncio.ensure_future(someone_left.wait())
            await asyncio.wait({left, stopping}, return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            return False
        await asyncio.wait({stopping}, timeout=self._linger)
        if self._present or stopping.done():
            return False
        if self._locks_out():
            return True
        await asyncio.sleep(0.05)
        return False

    def _locks_out(self) -> bool:
        """Whether nobody starts a system or is about to join this one, from now until this process has ended."""
        if self._is_alone:
            return True
        try:
            lock = open_lock(self._folder)
        except FileNotFoundError:
            # Where its folder was removed nobody can come.
            self._is_alone = True
            return True
        except OSError:
            # No descriptor is free: it is tried again.
            return False
        if is_locked(lock):
            # The state is free before it is let go.
            self._held.keep(lock)
            self._is_alone = True
        else:
            os.close(lock)
        return self._is_alone

    async def _take_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one client, from its greeting to its end."""
        self._present += 1
        try:
            peer: socket.socket = writer.get_extra_info("socket")
            if self._ending or not _is_trusted(peer):
                return
            greeting = json.loads(await asyncio.wait_for(reader.readline(), _GREETING))
            fault = self._fault_of(greeting)
            answer = {"ok": True} if fault is None else {"error": fault}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            if fault is None:
                await self._serve(greeting, reader, writer)
        except (OSError, ValueError, asyncio.TimeoutError):
            # It went away, or does not speak as it should: that costs it alone.
            return
        finally:
            self._present -= 1
            if self._left is not None:
                self._left.set()
            writer.close()

    async def _serve(
        self, greeting: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        session = Session(
            self._system,
            self._tools,
            writer,
            read_only=bool(greeting.get("read_only")),
            version=greeting.get("version"),
        )
        self._sessions.add(session)
        try:
            await session.serve(reader)
        finally:
            self._sessions.discard(session)
            session.close()

    def _fault_of(self, greeting: dict[str, Any]) -> str | None:
        """Why a client is not taken in."""
        theirs = greeting.get("symphony")
        if theirs != _core.__version__:
            return f"the system runs on Symphony {_core.__version__} and the client is of {theirs}"
        asked = greeting.get("asked") or {}
        other = [key for key, value in self._asked.items() if asked.get(key) != value]
        if not other:
            return None
        given = ", ".join(f"`{key}`" for key in other)
        return f"the system of `{self._asked['state']}` is served with another {given}"

    def tell_change(self) -> None:
        """There are other tools than before."""
        for session in self._sessions:
            session.tell_change()


def _is_trusted(peer: Any) -> bool:
    # What the event loop hands out is a socket in all that is asked of it here.
    return is_trusted(peer)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)
