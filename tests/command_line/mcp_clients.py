"""A client of the model context protocol, by hand: what it writes and what comes, message by message."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import subprocess
import sys
import threading

from workshop import wait_until

SECONDS = 30
VERSION = "io.modelcontextprotocol/protocolVersion"
MODERN = {
    VERSION: "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Client:
    """One `symphony serve` and who speaks with it.

    Attributes:
        told: The notifications that came.
    """

    def __init__(self, folder, *arguments, reads=True, handshake=None, environment=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "symphony", "serve", *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.told: list[dict] = []
        self.faults: list[dict] = []
        self._numbers = itertools.count(1)
        self._answers: dict = {}
        self._came = threading.Condition()
        self._is_over = False
        self._written = b""
        self._keeper = threading.Thread(target=self._keep_errors, daemon=True)
        self._keeper.start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reads:
            self._reader.start()
        if handshake is not None:
            try:
                self._greet(handshake)
            except BaseException:
                self.close()
                print(self.errors())
                raise

    def _greet(self, version):
        self.greeted = self.ask(
            "initialize",
            protocolVersion=version,
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )["result"]
        self.notify("notifications/initialized")

    def read_now(self):
        """Begins to read, where it did not."""
        self._reader.start()

    def _keep_errors(self):
        with self.process.stderr as errors:
            self._written = errors.read()

    def _read(self):
        for line in self.process.stdout:
            # A line that is no JSON ends the reading, and with it the test.
            message = json.loads(line)
            with self._came:
                if message.get("id") is not None:
                    assert message["id"] not in self._answers, "answered twice"
                    self._answers[message["id"]] = message
                elif "method" in message:
                    self.told.append(message)
                else:
                    self.faults.append(message)
                self._came.notify_all()
        with self._came:
            self._is_over = True
            self._came.notify_all()

    def write(self, data):
        self.process.stdin.write(
            data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
        )
        self.process.stdin.flush()

    def notify(self, method, **params):
        self.write({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, method, **params):
        """Asks, and does not wait; the number of the request."""
        number = next(self._numbers)
        self.write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def answer(self, number, seconds=SECONDS):
        """The answer to a request."""
        with self._came:
            self._came.wait_for(lambda: number in self._answers or self._is_over, seconds)
            assert number in self._answers, f"no answer to {number}"
            return self._answers[number]

    def has_answer(self, number):
        """Whether a request has its answer."""
        return number in self._answers

    def ask(self, method, **params):
        return self.answer(self.send(method, **params))

    def call(self, name, /, **arguments):
        """Calls a tool; its result."""
        return self.ask("tools/call", name=name, arguments=arguments)["result"]

    def value(self, name, /, **arguments):
        """Calls a tool; its result where that stands under `result`."""
        result = self.call(name, **arguments)
        assert result["isError"] is False, result
        return result["structuredContent"]["result"]

    def fault(self):
        """The next error that belongs to no request."""
        with self._came:
            assert self._came.wait_for(lambda: self.faults, SECONDS)
            return self.faults.pop(0)["error"]

    def end(self):
        """Ends the input; the exit code."""
        self.process.stdin.close()
        return self.wait()

    def wait(self):
        code = self.process.wait(SECONDS)
        if self._reader.ident is not None:
            self._reader.join(SECONDS)
        return code

    def errors(self):
        """What it wrote to stderr; it has ended."""
        self._keeper.join(SECONDS)
        return self._written.decode()

    def close(self):
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.wait(SECONDS)
        if self._reader.ident is not None:
            self._reader.join(SECONDS)
        self._keeper.join(SECONDS)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


def is_over(folder):
    """Whether the system of a folder has ended: nobody holds the lock of whoever starts or ends it."""
    path = folder / ".symphony" / "serve" / "lock"
    if (path.parent / "socket").exists():
        return False
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def served(folder):
    """The processes of a folder's system: those that were started to serve it."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read()
            except OSError:
                continue
            if b"_serve.system_process" in words and os.fsencode(folder) in words:
                found.append(int(entry))
    return found


def wait_for_the_end(folder):
    assert wait_until(lambda: not served(folder), 10), "a system is left"
    assert wait_until(lambda: is_over(folder), 10), "the place of a system is left"
