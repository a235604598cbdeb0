"""Calls that a person types while `symphony dev` runs: `hello.hello who=you`, one on each line.

A daemon thread reads them, byte by byte: what follows a line may be meant for a debugger. The invariant kept here: it
reads nothing while a call is on its way, and nothing from a terminal that another program has.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shlex
import threading
import time
from typing import TYPE_CHECKING

from symphony._cli import _errors
from symphony._cli._arguments import operation_of
from symphony._cli._dev.output import say, say_error
from symphony._cli._inputs import read_inputs
from symphony._cli._results import as_json
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphony import System

_STDIN = 0
_LOOK = 0.2


class TypedCalls:
    """The thread that reads them."""

    def __init__(self, system: Callable[[], System[object] | None]) -> None:
        """Nothing is read yet.

        Args:
            system: The one that runs now.
        """
        self._system = system
        self._ended = False

    def start(self) -> None:
        """Begins to read."""
        threading.Thread(target=self._read, name="symphony-dev-calls", daemon=True).start()

    def end(self) -> None:
        """Reads no more."""
        self._ended = True

    def _read(self) -> None:
        line = bytearray()
        while not self._ended:
            try:
                if not _is_ours() or not select.select([_STDIN], [], [], _LOOK)[0]:
                    continue
                byte = os.read(_STDIN, 1)
            except (OSError, ValueError):
                return
            if byte not in {b"", b"\n"}:
                line += byte
                continue
            if line.strip():
                self._call(line.decode(errors="replace"))
            line.clear()
            if not byte:
                return

    def _call(self, line: str) -> None:
        system = self._system()
        try:
            words = shlex.split(line)
            try:
                extension, operation = operation_of(words[0])
            except argparse.ArgumentTypeError as bad:
                raise _errors.UsageError(str(bad), hints=["type: hello.hello who=you"]) from None
            inputs, rest = read_inputs(words[1:])
            if rest:
                raise _errors.UsageError(f"`{rest[0]}` is not of the form NAME=VALUE")
            if system is None:
                raise SymphonyError("no system runs: its boot failed", code="stopped")
            begun = time.monotonic()
            result = as_json(system.kit.extension(extension).call(operation, **inputs))
            took = (time.monotonic() - begun) * 1e3
        except Exception as error:  # noqa: BLE001 - told in the house form.
            say_error(error)
            return
        shown = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        say(f"{extension}.{operation}: {shown}  ({took:.1f} ms)")


def _is_ours() -> bool:
    """Whether reading is allowed: a program in the background of a terminal would be stopped for it."""
    try:
        return not os.isatty(_STDIN) or os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False
