"""What is examined: a system's manifest and what it asks for, and the processes that the checks use."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from symphony._cli._doctor._process import Processes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from symphony._cli._doctor._process import Ended

FACTS_DEADLINE = 60.0
"""Seconds: a cold interpreter on a busy machine, which asks other interpreters that manifests name."""

_GRACE = 2.0
"""So many seconds a check has to end once its processes have."""


class Extension(NamedTuple):
    """What an extension asks of the machine; as `deployment` of the core gives it."""

    name: str
    has_process: bool
    eager: bool
    started_from: str
    memory: int | None
    runs: bool


class Subject:
    """The system and the machine.

    Attributes:
        config: Its manifest, absolute; none: a small system of the doctor's own.
        options: The arguments of the command.
        processes: Those that the checks started.
        looking: The threads of the checks that have not ended.
        begun: Wall clock and monotonic clock at the start.
        bad: The checks so far that are not `ok`.
        progress: Told what is being done.
    """

    def __init__(
        self, config: str | None, options: argparse.Namespace, progress: Callable[[str], object]
    ) -> None:
        """Nothing is asked yet."""
        self.config = config
        self.options = options
        self.processes = Processes()
        self.looking: list[threading.Thread] = []
        self.bad: list[str] = []
        self.progress = progress
        self.begun = (time.time(), time.monotonic())
        self._asking = threading.Lock()
        self._asked: Ended | None = None

    def let_go(self) -> None:
        """Ends the processes, and waits for the checks that they were started for: these have files to remove."""
        self.processes.end_all()
        end = time.monotonic() + _GRACE
        for thread in self.looking:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))

    def asked(self) -> Ended:
        """What a process came to that loads the core and reads the manifests; it is run once."""
        with self._asking:
            if self._asked is None:
                self._asked = self.processes.run(
                    "symphony._cli._doctor._facts", {"config": self.config}, FACTS_DEADLINE
                )
            return self._asked

    @property
    def facts(self) -> dict[str, Any]:
        """What the core knows; nothing where it cannot be loaded."""
        facts: dict[str, Any] = self.asked().result or {}
        return facts

    @property
    def extensions(self) -> list[Extension]:
        """The extensions of the system, as far as they are known."""
        deployment = self.facts.get("deployment")
        return [] if deployment is None else [Extension(*one) for one in deployment[2]]

    @property
    def state(self) -> str | None:
        """The configured state folder, absolute; none: a temporary one."""
        if self.options.state is not None:
            return os.path.abspath(str(self.options.state))
        deployment = self.facts.get("deployment")
        if deployment is not None:
            return str(deployment[1])
        # Without the core: where it lies unless the manifest says otherwise.
        return (
            None if self.config is None else os.path.join(os.path.dirname(self.config), ".symphony")
        )

    @property
    def processes_at_boot(self) -> int:
        """How many extensions have a process as soon as the system is ready."""
        return sum(one.has_process and one.eager for one in self.extensions)

    @property
    def processes_at_most(self) -> int:
        """How many have one when all are in use."""
        return sum(one.has_process for one in self.extensions)
