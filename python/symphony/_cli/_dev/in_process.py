"""One extension in this process, for a debugger: loaded anew at each of its starts.

Used by `command`. The invariant kept here: what an edit changed is what the next start runs; the extension's modules
of before are forgotten.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._dev.sources import entry_of
from symphony._cli._errors import UsageError
from symphony._guest.in_process import InProcessServer
from symphony._guest.server import load

if TYPE_CHECKING:
    from symphony._cli._dev.sources import Extension
    from symphony.extension import Extension as Served


class InProcess:
    """The host's other end.

    Attributes:
        runs: What the boot is given.
    """

    def __init__(self, extension: Extension) -> None:
        """Begins to wait for its starts.

        Raises:
            UsageError: It is no Python extension.
        """
        entry = entry_of(extension.manifest)
        if entry is None:
            raise UsageError(
                f"`{extension.name}` cannot run in this process: it has no Python `entry`",
                hints=["attach a debugger to its process instead; `handle.pid` is its number"],
            )
        self._entry, self._folder = entry, extension.folder
        self.runs = _core.InProcessRuns(extension.name)
        self._server = InProcessServer(extension.name, self._load, self.runs)

    def _load(self) -> Served:
        inside = self._folder + os.sep
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(inside):
                del sys.modules[name]
        return load(self._entry, self._folder)

    def close(self) -> None:
        """Serves no more."""
        self._server.close()


def is_stuck(name: str) -> bool:
    """Whether an operation did not end: one that waits in a debugger for a line of stdin would end the exit, loudly."""
    return any(thread.name == f"extension-{name}" for thread in threading.enumerate())
