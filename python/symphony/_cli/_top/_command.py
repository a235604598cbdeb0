"""`symphony top`: what the running systems of this account do.

The invariant kept here: with `--json` there is one document on stdout, also where nothing runs.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._exit import FAILED, OK
from symphony._cli._system import MANIFEST, manifest_of
from symphony._cli._top import _prometheus, _table
from symphony._cli._top._systems import find
from symphony.progress import may_draw

if TYPE_CHECKING:
    import argparse
    from typing import Any


def top(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    state = _state(options)
    once = options.once or options.json or options.format == "prometheus"
    if not once and sys.stdin.isatty() and may_draw(sys.stdout):
        from symphony._cli._top._live import watch

        watch(state)
        return OK
    systems: list[dict[str, Any]] = []
    try:
        systems = [figures for _, figures in find(state)]
    except BaseException:
        if options.json:
            print(json.dumps({"ok": False, "systems": []}, indent=2))
        raise
    if options.json:
        print(json.dumps({"ok": bool(systems), "systems": systems}, indent=2))
    elif options.format == "prometheus":
        print(_prometheus.text(systems), end="")
    elif systems:
        print(_table.text(systems))
    if not systems:
        print(
            "error: no system of this account is running here\n\n"
            "hint: `symphony run` serves its own; a program asks for it by `symphony.top.serve(system)`; where "
            "`XDG_RUNTIME_DIR` is not set, name the manifest or `--state`",
            file=sys.stderr,
        )
    return OK if systems else FAILED


def _state(options: argparse.Namespace) -> str | None:
    """The state folder that is meant, in which a socket may be."""
    if options.state is not None:
        return os.path.abspath(str(options.state))
    if options.config is None and not os.path.exists(MANIFEST):
        return None
    deployment = _core.deployment(os.path.abspath(manifest_of(options.config or MANIFEST)))
    return None if deployment is None else deployment[1]
