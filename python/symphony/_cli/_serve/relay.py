"""The process that a client starts: what it writes goes to the system, what the system answers goes to it.

Called by `command`. Invariants: stdout has messages and nothing else; every request has its answer or its error, also
where the system ends meanwhile, and the next one finds a system again; a client that goes away takes nobody with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli import _errors
from symphony._cli._exit import OK
from symphony._cli._serve import json_rpc
from symphony._cli._serve.rendezvous import NotServedError
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from typing import Any

    from symphony._cli._serve.rendezvous import Rendezvous

_PIECE = 1 << 16
_LAST_ANSWERS = 30.0
"""So long what was asked before the end of the input is still answered, in seconds, while somebody reads it."""
_BATCHES = "2025-03-26"
"""The one version that has them."""


class Relay:
    """One client."""

    def __init__(self, rendezvous: Rendezvous, *, read_only: bool, stdin: int, stdout: int) -> None:
        """Keeps the ends; nothing is read yet."""
        self._rendezvous = rendezvous
        self._read_only = read_only
        self._stdin = stdin
        self._stdout = stdout
        self._version: str | None = None
        self._connection: socket.socket | None = None
        self._in_flight: dict[Any, str] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wakes, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> int:
        """Passes messages on until the input ends, or nobody reads the output.

        Returns:
            The exit code.

        Raises:
            NotServedError: The system cannot be started.
        """
        self._joined()
        try:
            lines = json_rpc.Lines()
            while self._wait(None):
                data = os.read(self._stdin, _PIECE)
                for line in lines.feed(data) if data else lines.end():
                    self._take(line)
                if not data:
                    self._drain()
                    break
            return OK
        finally:
            with self._lock:
                # Who told this process to end waits for no answers.
                connection, self._connection = self._connection, None
            if connection is not None:
                _end(connection)

    # -- From the client -----------------------------------------------------------------------------------------------

    def _wait(self, timeout: float | None, *, for_input: bool = True) -> bool:
        """Waits for input, or for an answer where none is waited for; false when nobody reads the output any more."""
        poll = select.poll()
        poll.register(self._stdout, 0)
        poll.register(self._stdin if for_input else self._wakes, select.POLLIN)
        ready = dict(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))
        if ready.get(self._stdout, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            return False
        if self._wakes in ready:
            os.read(self._wakes, _PIECE)
        return True

    def _drain(self) -> None:
        """Waits for what was asked, as long as somebody is there to read it."""
        until = time.monotonic() + _LAST_ANSWERS
        while self._in_flight and time.monotonic() < until:
            if not self._wait(until - time.monotonic(), for_input=False):
                return

    def _take(self, line: bytes | None) -> None:
        """Passes a message on, or says what is wrong with it."""
        if line is not None and not line.strip():
            return
        message: Any = None
        try:
            if line is None:
                raise json_rpc.RefusedError(
                    json_rpc.INVALID_REQUEST,
                    f"the message is longer than {json_rpc.LONGEST >> 20} MiB",
                )
            message = json_rpc.parse(line)
            if isinstance(message, list) and message and self._version == _BATCHES:
                for one in message:
                    self._take(json_rpc.line(one) if isinstance(one, dict) else b"0")
                return
            self._pass_on(json_rpc.checked(message), line)
        except json_rpc.RefusedError as refused:
            number = message.get("id") if isinstance(message, dict) else None
            if isinstance(message, dict) and "id" not in message and "method" in message:
                # Nobody waits for the answer to a notification.
                return
            self._write(json_rpc.failure(number if json_rpc.is_number(number) else None, refused))

    def _pass_on(self, message: dict[str, Any], line: bytes) -> None:
        method = message.get("method")
        if method is None:
            # An answer, and nothing was asked.
            return
        number = message.get("id")
        params = message.get("params") or {}
        try:
            connection = self._joined()
        except SymphonyError as error:
            if number is not None:
                refused = json_rpc.RefusedError(json_rpc.ENDED, error.message, {"code": error.code})
                self._write(json_rpc.failure(number, refused))
            with contextlib.suppress(OSError):
                # Whoever asked has the answer, whether or not somebody reads this too.
                print(_errors.render(error), file=sys.stderr)
            return
        if method == "notifications/cancelled" and json_rpc.is_number(params.get("requestId")):
            with self._lock:
                # It has no answer any more.
                self._in_flight.pop(params["requestId"], None)
        if number is not None:
            with self._lock:
                if number in self._in_flight:
                    raise json_rpc.RefusedError(
                        json_rpc.INVALID_REQUEST, f"a request `{number}` has no answer yet"
                    )
                is_lost = self._connection is not connection
                if not is_lost:
                    self._in_flight[number] = method
            if is_lost:
                raise _ended()
        try:
            connection.sendall(line.rstrip(b"\r\n") + b"\n")
        except OSError:
            # Whoever reads from it hears of its end, and answers.
            _end(connection)

    # -- From the system -----------------------------------------------------------------------------------------------

    def _joined(self) -> socket.socket:
        """The connection to the system; another one where that was lost.

        Raises:
            SymphonyError: There is none, and why: also where this process lacks what it takes.
        """
        with self._lock:
            if self._connection is not None:
                return self._connection
        greeting = {
            "symphony": _core.__version__,
            "read_only": self._read_only,
            "version": self._version,
        }
        try:
            made = self._rendezvous.join(greeting)
        except (OSError, RuntimeError) as shortage:
            raise _unreached(shortage) from shortage
        reader = threading.Thread(
            target=self._pass_back, args=(made,), name="serve: answers", daemon=True
        )
        with self._lock:
            try:
                reader.start()
            except RuntimeError as shortage:
                made.close()
                raise _unreached(shortage) from shortage
            # Only now: whoever reads from it is who answers for its end.
            self._connection = made
        return made

    def _pass_back(self, connection: socket.socket) -> None:
        """Writes what the system says, until it says nothing more."""
        lines = json_rpc.Lines(2 * json_rpc.LONGEST)
        try:
            while data := connection.recv(_PIECE):
                for line in lines.feed(data):
                    if line is not None:
                        self._answered(line)
        except OSError:
            # It was killed, or this client leaves.
            pass
        finally:
            self._lost(connection)

    def _answered(self, line: bytes) -> None:
        number = json_rpc.answered(line)
        if number is not None:
            with self._lock:
                method = self._in_flight.pop(number, None)
            if method == "initialize":
                result = json_rpc.parse(line).get("result") or {}
                self._version = result.get("protocolVersion", self._version)
        self._write(line + b"\n")
        self._wake()

    def _lost(self, connection: socket.socket) -> None:
        """The system is gone: what it was asked fails, and the next request finds another."""
        connection.close()
        with self._lock:
            if self._connection is not connection:
                return
            self._connection = None
            unanswered = list(self._in_flight)
            self._in_flight.clear()
        for number in unanswered:
            self._write(json_rpc.failure(number, _ended()))
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._waker, b"\0")
        except BlockingIOError:
            # It has more than enough to be woken by.
            return

    def _write(self, line: bytes) -> None:
        """Writes a message whole; who reads slowly holds up this client alone."""
        rest = memoryview(line)
        with self._writing:
            try:
                while rest:
                    rest = rest[os.write(self._stdout, rest) :]
            except BrokenPipeError:
                # Whoever waits for input sees the same.
                return


def _end(connection: socket.socket) -> None:
    """Ends a connection for whoever waits for it too, which a mere close does not."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _ended() -> json_rpc.RefusedError:
    message = "the system ended before it answered; the next request starts it again"
    return json_rpc.RefusedError(json_rpc.ENDED, message, {"code": "stopped"})


def _unreached(shortage: Exception) -> NotServedError:
    return NotServedError(f"the system cannot be reached: {shortage}")
