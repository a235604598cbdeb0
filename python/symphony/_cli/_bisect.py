"""`symphony bisect`: which extension breaks a boot, by boots that leave some of them out.

Each boot is a process of its own, on an empty state that is removed, so that one that crashes or hangs costs nothing.
Invariant: what is named breaks the boot, alone or with what it requires, and the system boots without what is named.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._boots import measure
from symphony._cli._exit import FAILED, OK, exit_code_of
from symphony._cli._system import config_of
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    import argparse
    from typing import Any


class _Trials:
    """Boots of one system.

    Attributes:
        boots: How many there were.
    """

    def __init__(self, options: argparse.Namespace, folder: str) -> None:
        """Tries the system of the arguments, with states in that folder."""
        self._options, self._folder = options, folder
        self.boots = 0

    def boots_without(self, names: list[str]) -> bool:
        """Whether the system boots without these extensions."""
        self.boots += 1
        config = config_of(self._options, safe_mode="off")
        config.without = names
        if self._options.state is None:
            config.state = os.path.join(self._folder, str(self.boots))
        came_up = bool(measure(self._options, config, 1))
        if not self._options.json:
            left_out = ", ".join(f"`{name}`" for name in names)
            without = f"without {left_out}" if names else "with everything"
            print(f"{'boots' if came_up else 'fails'} {without}", flush=True)
        return came_up


def bisect(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    document: dict[str, Any] = {"ok": False, "boots": 0, "breaks": [], "error": None}
    code = FAILED
    try:
        with tempfile.TemporaryDirectory(prefix="symphony-bisect-") as folder:
            trials = _Trials(options, folder)
            try:
                document["breaks"] = _breaking(trials, options)
            finally:
                document["boots"] = trials.boots
        if not document["breaks"]:
            document["ok"], code = True, OK
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        document["error"] = _errors.as_document(error)
        print(_errors.render(error), file=sys.stderr)
        code = exit_code_of(error)
    if options.json:
        print(json.dumps(document, indent=2))
    elif document["error"] is None:
        _tell(document)
    return code


def _breaking(trials: _Trials, options: argparse.Namespace) -> list[str]:
    """The extensions without which the system boots, none where it boots as it is.

    Raises:
        SymphonyError: It does not boot without any extension either, its boots differ, or its manifest is at fault.
    """
    from symphony import _core

    names = _core.eager_extensions(config_of(options).path or "")
    if trials.boots_without([]):
        return []
    if not names or not trials.boots_without(names):
        raise SymphonyError(
            "the boot fails without any extension, too",
            hints=["`symphony run --safe` tells with what"],
            code="start-failed",
        )
    found: list[str] = []
    while True:
        # The boot fails with the first `bad` of them, and not with the first `good`.
        rest = [name for name in names if name not in found]
        if not rest:
            raise SymphonyError(
                "the boot fails without what it has just booted without: its boots differ",
                hints=["`symphony run --boots 5` tells how they end"],
                code="start-failed",
            )
        good, bad = 0, len(rest)
        while bad - good > 1:
            middle = (good + bad) // 2
            if trials.boots_without(found + rest[middle:]):
                good = middle
            else:
                bad = middle
        found.append(rest[bad - 1])
        if trials.boots_without(found):
            return found


def _tell(document: dict[str, Any]) -> None:
    breaks = document["breaks"]
    if not breaks:
        print("nothing breaks the boot")
        return
    listed = ", ".join(f"`{name}`" for name in breaks)
    print(
        f"{listed} {'breaks' if len(breaks) == 1 else 'break'} the boot: the system boots without"
    )
    without = " ".join(f"--without {name}" for name in breaks)
    print(f"hint: until it is repaired: `symphony run {without}`")
