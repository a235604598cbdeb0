"""An extension that is served in this process, on threads of it, behind the same lane as in a process of its own.

For `symphony.testing.extension` and `symphony dev --in-process`. Invariant: what it raises ends its run, is told,
and ends nothing else; a run that its host has given up is interrupted once.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import TYPE_CHECKING

from symphony._guest.ending import ThreadEnding, exit_code, watch_forks
from symphony._guest.server import START, Server, causes_of, describe_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony import _core
    from symphony.extension import Extension

_THREAD_SECONDS = 1.0
"""So long closing waits for the serving thread, which the system has given up by then."""


class _Interrupted(SystemExit):
    """Raised in an operation that goes on though its extension is to stop, as SIGTERM would in a process."""


class InProcessServer:
    """The threads that serve the runs of one extension: one waits for the next run, each run has its own."""

    def __init__(self, name: str, load: Callable[[], Extension], runs: _core.InProcessRuns) -> None:
        """Begins to wait for runs.

        Args:
            name: The extension's name.
            load: Gives the extension, at the beginning of each run.
            runs: Where the host puts them.
        """
        self._name = name
        self._load = load
        self._runs = runs
        self._serving: dict[_core.InProcessRun, tuple[ThreadEnding, threading.Thread]] = {}
        self._stop_failed = False
        _watch_forks_once()
        self._waiting = self._thread(self._follow)
        self._waiting.start()

    def _thread(self, work: Callable[..., None], *given: Any) -> threading.Thread:
        name = f"extension-{self._name}"
        return threading.Thread(target=work, args=given, name=name, daemon=True)

    def close(self) -> bool:
        """Takes no run any more, and lets the threads come to their end; says whether a hook of a stop failed."""
        self._runs.close()
        self._waiting.join(_THREAD_SECONDS)
        for _, thread in list(self._serving.values()):
            thread.join(_THREAD_SECONDS)
        failed, self._stop_failed = self._stop_failed, False
        return failed

    def _follow(self) -> None:
        while True:
            order = self._runs.next()
            if order is None:
                return
            run, begins = order
            if begins:
                ending = ThreadEnding(run.leave)
                thread = self._thread(self._serve, run, ending)
                self._serving[run] = (ending, thread)
                thread.start()
            else:
                self._interrupt(run)

    def _interrupt(self, run: _core.InProcessRun) -> None:
        """Has its operation raise, as SIGTERM would in a process: once, and not what runs after the operations."""
        ending, thread = self._serving.get(run, (None, None))
        if ending is None or ending.begun or thread is None or thread.ident is None:
            return
        ending.begin()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(_Interrupted)
        )

    def _serve(self, run: _core.InProcessRun, ending: ThreadEnding) -> None:
        code = 1
        try:
            code = self._answer(run, ending)
        except SystemExit as leaving:
            code = exit_code(leaving)
        except BaseException as fault:  # noqa: BLE001 - as in a process it ends the extension, and is told on stderr.
            sys.stderr.write(describe_fault(fault)[2])
        finally:
            ending.begin()
            del self._serving[run]
            run.ended(code)

    def _answer(self, run: _core.InProcessRun, ending: ThreadEnding) -> int:
        lane = run.lane()
        try:
            extension = self._load()
        except Exception as fault:  # noqa: BLE001 - whatever an author's module raises.
            report = describe_fault(fault)
            sys.stderr.write(report[2])
            lane.error(START, "start-failed", *report, *causes_of(fault))
            return 1
        try:
            descriptions = extension.descriptions.values()
            messages: Any = [description.as_message() for description in descriptions]
            lane.hello(extension.name, extension.version, messages)
            server = Server(extension, lane, ending)
            code = server.run()
            self._stop_failed = self._stop_failed or server.stop_failed
            return code if ending.leaving is None else exit_code(ending.leaving)
        finally:
            extension.attach(None)


_watches_forks = False


def _watch_forks_once() -> None:
    """A child that an operation forks is one also here."""
    global _watches_forks  # noqa: PLW0603 - hooks of a process cannot be taken out again.
    if not _watches_forks:
        _watches_forks = True
        watch_forks()
