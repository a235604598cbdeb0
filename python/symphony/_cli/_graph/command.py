"""`symphony graph`: reads a system, draws it, and tells what is wrong with it.

The invariant kept here: all formats are drawn from the one document that `--format json` prints, and a graph at
fault is drawn as far as it is known, with its faults on stderr and exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony._cli._errors import faults_text
from symphony._cli._exit import FAILED, OK
from symphony._cli._graph.model import GraphReader
from symphony._cli._system import MANIFEST, manifest_of
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    import argparse

    from symphony.exceptions import Diagnostic


def graph(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.

    Raises:
        SymphonyError: The manifest cannot be read, and no document was asked for.
    """
    config: str | None = options.config
    if config is None and os.path.exists(MANIFEST):
        config = MANIFEST
    path = None if config is None else os.path.abspath(manifest_of(config))
    reader = GraphReader(path, options.components, options.conductor)
    try:
        document = reader.read()
    except SymphonyError as error:
        if options.format != "json":
            raise
        faults: list[Diagnostic] = getattr(error, "diagnostics", [])
        document = reader.empty()
        document["diagnostics"] = [fault.to_dict() for fault in faults]
        print(json.dumps(document, indent=2))
        raise
    if options.format == "json":
        print(json.dumps(document, indent=2))
    elif options.format == "svg":
        from symphony._pictures.graph_svg import draw

        print(draw(document), end="")
    else:
        from symphony._cli._graph.formats import FORMS

        print(FORMS[options.format](document), end="")
    if reader.faults:
        print(faults_text(reader.faults), file=sys.stderr)
    return FAILED if any(fault.severity == "error" for fault in reader.faults) else OK
