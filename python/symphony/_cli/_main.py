"""From the arguments to a command and its exit code.

Exit codes: 0 ok, 1 failed or findings, 2 usage, 130 interrupted, 143 terminated; a boot that hangs
for good is ended with 70 by the core. The invariant kept here: errors go to stderr, in the house
form, and with `--json` stdout is one document and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Any, NoReturn

FORMATS = ("text", "mermaid", "dot", "svg", "json")
OK, FAILED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: The arguments without the program's name; those of the process when none.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = build_parser().parse_args(given)
    except _Refused as refused:
        command = next((word for word in given if not word.startswith("-")), "")
        _errors.refuse(command, refused.error, as_json="--json" in given)
        raise
    before: list[tuple[int, Any]] = []
    # Not on the main thread there is a ValueError: whoever called us there handles signals.
    with contextlib.suppress(ValueError):
        # Python's own handler of SIGINT would tell a Conductor that runs for ever to end in peace.
        for number, handler in ((signal.SIGTERM, _terminate), (signal.SIGINT, _interrupt)):
            before.append((number, signal.signal(number, handler)))
    try:
        return _run_command(options)
    except SymphonyError as error:
        print(_errors.render(error), file=sys.stderr)
        return exit_code_of(error)
    except (KeyboardInterrupt, Terminated) as error:
        print(_errors.render(error), file=sys.stderr)
        return exit_code_of(error)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        sys.stdout = None
        return FAILED
    finally:
        for which, earlier in before:
            signal.signal(which, earlier)


class _Refused(SystemExit):
    """The parser refuses the arguments."""

    def __init__(self, error: _errors.UsageError) -> None:
        """Keeps what is to be told."""
        super().__init__(USAGE)
        self.error = error


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the house form."""

    def error(self, message: str) -> NoReturn:
        """Refuses the arguments."""
        hint = f"`{self.prog} --help` tells what it takes"
        raise _Refused(_errors.UsageError(message, hints=[hint]))


def _run_command(options: argparse.Namespace) -> int:
    """Imports what the command needs, and only that."""
    if options.command == "run":
        from symphony._cli._run import run

        return run(options)
    if options.command == "check":
        from symphony._cli._check import check

        return check(options)
    from symphony._cli._graph import graph

    return graph(options)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    # The boot knows this one, also where a step on the calling thread is what it comes through.
    raise Terminated(TERMINATED)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def exit_code_of(error: BaseException) -> int:
    """The exit code of a command that ended with this error."""
    interrupted = isinstance(error, SymphonyError) and error.code == "interrupted"
    # A boot that a signal ended says so with what the signal raised as its cause.
    reason = error.__cause__ if interrupted and error.__cause__ is not None else error
    if isinstance(reason, Terminated):
        return TERMINATED
    if isinstance(error, _errors.UsageError):
        return USAGE
    return INTERRUPTED if interrupted or isinstance(reason, KeyboardInterrupt) else FAILED


def build_parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = _Parser(prog="symphony", description="Boot, run and check systems of extensions.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="boot a system, run a Melody, shut down"))
    checking = commands.add_parser(
        "check", help="find faults in manifests, Melodies and Python sources without running them"
    )
    checking.add_argument("path", nargs="*", default=["."], metavar="PATH", help="files or folders")
    checking.add_argument("--json", action="store_true", help="print one JSON document")
    graphing = commands.add_parser("graph", help="print the component graph by phase")
    graphing.add_argument("config", nargs="?", default=None, metavar="CONFIG")
    graphing.add_argument("--format", default="text", choices=FORMATS, help="default: text")
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="?",
        default="Symphony.toml",
        metavar="CONFIG",
        help="the manifest (default: Symphony.toml)",
    )
    parser.add_argument(
        "--conductor",
        type=_callable,
        metavar="MODULE:CALLABLE",
        help="who decides (default: oldest run first)",
    )
    parser.add_argument("--melody", metavar="FILE", help="the Melody to run")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=_assignment,
        metavar="K=V",
        help="an input of the Melody, a string; may be repeated",
    )
    parser.add_argument(
        "--each",
        type=_assignment,
        metavar="K=GLOB",
        help="run once for each file that the glob matches, its path as input K",
    )
    parser.add_argument("--runs", type=_count, default=1, metavar="N", help="run N times")
    parser.add_argument("--workspace", metavar="DIR", help="the opened project")
    parser.add_argument(
        "--trace",
        type=_trace,
        metavar="FILE",
        help="write a timeline: .html, or .json for Perfetto",
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="compare the boot with an earlier `run --json` or `BootReport.to_json()`",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="an exceeded budget fails, and so does what is slower than the baseline",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _callable(text: str) -> str:
    """`MODULE:CALLABLE`."""
    if not all(text.partition(":")):
        raise argparse.ArgumentTypeError(f"`{text}` is not of the form MODULE:CALLABLE")
    return text


def _assignment(text: str) -> tuple[str, str]:
    """`K=V`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"`{text}` is not of the form NAME=VALUE")
    return name, value


def _count(text: str) -> int:
    """A positive number."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no positive number")
    return number


def _trace(text: str) -> str:
    """A file whose name says what to write."""
    if not text.endswith((".html", ".json")):
        raise argparse.ArgumentTypeError(f"`{text}` ends neither in .html nor in .json")
    return text
