"""`symphony call`: boots, calls one operation of an extension, prints its result, shuts down.

It uses the public API and nothing else. The invariant kept here: stdout has the result, or with `--json` one document,
and nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._exit import OK, exit_code_of
from symphony._cli._inputs import read_inputs
from symphony._cli._results import as_json
from symphony._cli._stdout import KeptStdout
from symphony._cli._system import MANIFEST, config_of, start

if TYPE_CHECKING:
    import argparse
    from typing import Any


def call(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    stdout = KeptStdout()
    extension, operation = options.operation
    result: Any = None
    error: BaseException | None = None
    seconds: float | None = None
    try:
        inputs = _inputs(options)
        with start(options, config_of(options)) as system:
            handle = system.kit.extension(extension).options(timeout=options.timeout)
            begun = time.monotonic()
            result = as_json(handle.call(operation, **inputs))
            seconds = time.monotonic() - begun
    except (Exception, KeyboardInterrupt, Terminated) as raised:  # noqa: BLE001 - told in the house form.
        error = raised
        print(_errors.render(raised), file=sys.stderr)
        for line in _errors.remote_lines(raised):
            print(line, file=sys.stderr)
    if options.json:
        document = {
            "ok": error is None,
            "result": result,
            "seconds": seconds,
            "error": None if error is None else _errors.with_remote(error),
        }
        stdout.write_document(document)
    elif error is None:
        stdout.write_line(
            result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False)
        )
    return OK if error is None else exit_code_of(error)


def _inputs(options: argparse.Namespace) -> dict[str, Any]:
    """The inputs among the arguments; the one that is none is the manifest.

    Raises:
        UsageError: A value is not JSON, a name is given twice, or two arguments are no inputs.
    """
    inputs, rest = read_inputs(options.rest)
    if rest[1:]:
        raise _errors.UsageError(
            f"`{rest[1]}` is not of the form NAME=VALUE, and CONFIG is `{rest[0]}`"
        )
    options.config = rest[0] if rest else MANIFEST
    return inputs
