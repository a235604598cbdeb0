"""`symphony graph`: the component graph by phase, as the core draws it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from symphony._cli._exit import OK
from symphony._cli._system import MANIFEST, manifest_of

if TYPE_CHECKING:
    import argparse


def graph(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.

    Raises:
        ManifestError: The manifest cannot be read or is at fault.
    """
    from symphony import _core

    config: str | None = options.config
    if config is None and os.path.exists(MANIFEST):
        config = MANIFEST
    path = None if config is None else os.path.abspath(manifest_of(config))
    if options.format == "svg":
        from symphony._cli._svg import draw

        print(draw(json.loads(_core.plan_graph(path, "json"))), end="")
    else:
        print(_core.plan_graph(path, options.format).rstrip("\n"))
    return OK
