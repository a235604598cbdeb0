"""From the arguments to a command and its exit code.

The invariant kept here: errors go to stderr, in the house
form, and with `--json` stdout is one document and nothing else.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._arguments import Refused, build_parser
from symphony._cli._exit import FAILED, OK, exit_code_of
from symphony._cli._stdout import give_back_all, let_go_of_terminal
from symphony._signal_handlers import Handlers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

_HOMES = {
    "bisect": "symphony._cli._bisect",
    "call": "symphony._cli._call",
    "check": "symphony._cli._check",
    "completions": "symphony._cli._completions",
    "dev": "symphony._cli._dev.command",
    "doctor": "symphony._cli._doctor._command",
    "graph": "symphony._cli._graph.command",
    "new": "symphony._cli._new.command",
    "run": "symphony._cli._run",
    "serve": "symphony._cli._serve.command",
    "store": "symphony._cli._store",
    "trace": "symphony._cli._trace_diff",
    "trust": "symphony._cli._trust",
    "top": "symphony._cli._top._command",
}
"""Where the function is that has a command's name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The arguments without the program's name; those of the process when none.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    _write_whatever_the_encoding()
    try:
        options = build_parser().parse_args(given)
    except Refused as refused:
        command = next((word for word in given if not word.startswith("-")), "")
        _errors.refuse(command, refused.error, as_json=_wants_json(given))
        raise
    handlers = Handlers()
    try:
        # Not on the main thread there is a ValueError: whoever called us there handles signals.
        with contextlib.suppress(ValueError):
            # Python's own handler of SIGINT would tell a Conductor that runs for ever to end in peace.
            for number, handler in ((signal.SIGTERM, _terminate), (signal.SIGINT, _interrupt)):
                handlers.put(number, handler)
            # Under `nohup` it is ignored, and stays so.
            if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                handlers.put(signal.SIGHUP, _terminate)
        return _run_command(options)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        sys.stdout = None
        return FAILED
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        print(_errors.render(error), file=sys.stderr)
        return exit_code_of(error)
    finally:
        handlers.put_back()
        if arguments is not None:
            give_back_all()


def _write_whatever_the_encoding() -> None:
    """Has what an encoding cannot say, as µ in ASCII, written in escapes: no text costs a command its end."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", None) == "strict":
            reconfigure(errors="backslashreplace")


def _wants_json(given: Sequence[str]) -> bool:
    """Whether arguments that could not be read ask for one JSON document."""
    asked = zip(given, given[1:])
    return "--json" in given or "--format=json" in given or ("--format", "json") in asked


def _run_command(options: argparse.Namespace) -> int:
    """Imports what the command needs, and only that."""
    if options.command is None:
        build_parser().print_help()
        return OK
    command = getattr(importlib.import_module(_HOMES[options.command]), options.command)
    code: int = command(options)
    return code


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    if number == signal.SIGHUP:
        let_go_of_terminal()
    # The boot knows this one, also where a step on the calling thread is what it comes through.
    raise Terminated(128 + number)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
