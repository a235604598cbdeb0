"""The grammar of the command line: commands, arguments, and the form of each; `_main` runs what it reads.

Whatever is wrong with the arguments themselves is found here, before anything is imported or started.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from symphony._cli._errors import UsageError

if TYPE_CHECKING:
    from typing import Any, NoReturn

FORMATS = ("text", "mermaid", "dot", "svg", "json")
LANGUAGES = ("python", "rust", "c")
PROTOCOLS = ("lane", "lsp", "mcp")
SHELLS = ("bash", "zsh", "fish")
CHECK_FORMATS = ("text", "json", "github", "sarif")
LEVELS = ("debug", "info", "warning", "error", "critical")

EXAMPLES = {
    "run": (
        "symphony run --melody review.toml --input path=a.py",
        "symphony run --melody review.toml --each path='src/**/*.py' --json",
        "symphony run --conductor app.brain:make --forever -v",
        "symphony run --boots 7 --json > base.json; symphony run --baseline base.json --strict",
    ),
    "call": (
        "symphony call outline.outline path=a.py",
        "symphony call lab.nap seconds:=0.5 --timeout 2 --json",
    ),
    "check": (
        "symphony check",
        "symphony check src/app --format github",
        "symphony check extensions/outline --permissions",
    ),
    "graph": ("symphony graph", "symphony graph examples/ide --format svg > graph.svg"),
    "trace": (
        "symphony run --boots 7 --json > monday.json",
        "symphony trace diff monday.json friday.json --threshold 20%",
    ),
    "completions": (
        'eval "$(symphony completions bash)"',
        "symphony completions fish | source",
    ),
}


class Refused(SystemExit):
    """The parser refuses the arguments."""

    def __init__(self, error: UsageError) -> None:
        """Keeps what is to be told."""
        super().__init__(2)
        self.error = error


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the house form."""

    def error(self, message: str) -> NoReturn:
        """Refuses the arguments."""
        hint = f"`{self.prog} --help` tells what it takes"
        raise Refused(UsageError(message, hints=[hint]))


def build_parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = _Parser(
        prog="symphony",
        description="Boot, run and check systems of extensions.",
        epilog="""examples:
  symphony check                                  find faults without running anything
  symphony run --melody review.toml --each path='src/**/*.py'
  symphony call outline.outline path=a.py         boot, call once, print the result
  symphony run --trace boot.html                  where the time of the boot goes
  symphony new extension hello                    a working extension with its test
  symphony doctor --strict                        whether this machine is fit for it""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands.add_parser("run", help="boot a system, run a Melody, shut down"))
    _add_call(
        commands.add_parser("call", help="boot a system, call one operation, print its result")
    )
    checking = commands.add_parser(
        "check", help="find faults in manifests, Melodies and Python sources without running them"
    )
    checking.add_argument("path", nargs="*", default=["."], metavar="PATH", help="files or folders")
    _add_dev(commands.add_parser("dev", help="run a system, and restart what is edited"))
    _add_trust(commands.add_parser("trust", help="let a project's own extensions start"))
    _add_new(commands.add_parser("new", help="write a working extension with its test"))
    checking.add_argument(
        "--permissions",
        action="store_true",
        help="also say in plain words what each extension asks for; as text and as JSON",
    )
    forms = checking.add_mutually_exclusive_group()
    forms.add_argument(
        "--format",
        default="text",
        choices=CHECK_FORMATS,
        help="text (default), json, annotations of GitHub's, or SARIF 2.1.0",
    )
    forms.add_argument(
        "--json", action="store_const", dest="format", const="json", help="as `--format json`"
    )
    _add_serve(commands.add_parser("serve", help="the system as an MCP server on stdin and stdout"))
    _add_store(commands.add_parser("store", help="what artifacts take, and whether they are whole"))
    graphing = commands.add_parser("graph", help="print the component graph by phase")
    graphing.add_argument(
        "config", nargs="?", default=None, metavar="CONFIG", help="the manifest, or its folder"
    )
    graphing.add_argument("--format", default="text", choices=FORMATS, help="default: text")
    graphing.add_argument(
        "--json", action="store_const", dest="format", const="json", help="as `--format json`"
    )
    _add_components(graphing)
    _add_conductor(graphing)
    _add_trace(commands.add_parser("trace", help="compare boots that were kept"))
    _add_bisect(commands.add_parser("bisect", help="find the extension that breaks a boot"))
    _add_top(commands.add_parser("top", help="what the running systems of this account do"))
    _add_doctor(
        commands.add_parser("doctor", help="find what this machine lacks, and try boots on it")
    )
    completing = commands.add_parser("completions", help="print what a shell completes")
    completing.add_argument("shell", choices=SHELLS, help="the shell")
    for name, examples in EXAMPLES.items():
        command = commands.choices[name]
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.epilog = "\n".join(["examples:", *(f"  {example}" for example in examples)])
    return parser


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(
        self, parser: argparse.ArgumentParser, _options: Any, _values: Any, _flag: str | None = None
    ) -> NoReturn:
        """Prints it and ends."""
        from symphony import __version__

        print(f"symphony {__version__}")
        parser.exit()


def _add_components(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--components",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module whose components are booted too; may be repeated",
    )


def _add_system(parser: argparse.ArgumentParser) -> None:
    """What every command takes that boots a system."""
    _add_components(parser)
    parser.add_argument("--workspace", metavar="DIR", help="the opened project")
    parser.add_argument("--state", metavar="DIR", help="where artifacts and journals are")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="log what the boot and the extensions say; -vv: each step",
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        metavar="LEVEL",
        help=f"log from here on: {', '.join(LEVELS)}",
    )


def _add_safe_mode(parser: argparse.ArgumentParser) -> None:
    """How a boot may be told to start less, or all."""
    safe = parser.add_mutually_exclusive_group()
    safe.add_argument(
        "--safe",
        dest="safe_mode",
        action="store_const",
        const="on",
        help="start no extension before its first call",
    )
    safe.add_argument(
        "--no-safe",
        dest="safe_mode",
        action="store_const",
        const="off",
        help="start everything, whatever boots failed before",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="NAME",
        help="leave out that extension or optional component; may be repeated",
    )


def _add_call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("operation", type=operation_of, metavar="EXTENSION.OPERATION")
    parser.add_argument(
        "rest",
        nargs="*",
        metavar="K=V | K:=JSON | CONFIG",
        help="inputs, a string after `=` and JSON after `:=`; the manifest or its folder",
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="how long the call may take"
    )
    _add_system(parser)
    _add_safe_mode(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="?",
        default="Symphony.toml",
        metavar="CONFIG",
        help="the manifest, or its folder (default: Symphony.toml)",
    )


def _add_dev(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--in-process",
        metavar="NAME",
        help="run that Python extension in this process, where `breakpoint()` works",
    )
    _add_system(parser)


def _add_bisect(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    _add_conductor(parser)
    _add_system(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    _add_conductor(parser)
    parser.add_argument(
        "--read-only", action="store_true", help="only what changes nothing can be seen and called"
    )
    parser.add_argument(
        "--linger",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long the system stays after its last client (default: 5)",
    )
    _add_system(parser)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="an extension's folder, or one that holds some"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--remove", action="store_true", help="take the trust back")
    chosen.add_argument("--list", action="store_true", help="print what is trusted")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_new(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    extension = kinds.add_parser(
        "extension",
        help="in the folder of extensions of the Symphony.toml found here, else in ./NAME",
    )
    extension.add_argument(
        "name", metavar="NAME", help="letters, digits, `-` and `_`; the first half of each call"
    )
    extension.add_argument("--language", choices=LANGUAGES, help="default: python")
    extension.add_argument(
        "--protocol", choices=PROTOCOLS, help="what the program of --command speaks (default: lane)"
    )
    extension.add_argument(
        "--command",
        dest="command_line",
        metavar="'PROGRAM ARGUMENTS'",
        help="a program that exists, instead of a new one",
    )
    extension.add_argument(
        "--languages",
        type=_words,
        metavar="LIST",
        help="of an LSP server: the documents that it is given, as python,rust",
    )
    extension.add_argument(
        "--no-build",
        dest="build",
        action="store_false",
        help="leave the build of Rust and C to you",
    )
    extension.add_argument("--json", action="store_true", help="print one JSON document")


def _add_trace(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    diff = actions.add_parser(
        "diff", help="what grew, what is new, and how the critical path changed"
    )
    kept = "what `run --json` or `run --trace` wrote"
    diff.add_argument("earlier", metavar="EARLIER", help=kept)
    diff.add_argument("now", metavar="NOW", help=kept)
    diff.add_argument(
        "--threshold",
        type=_share,
        metavar="PERCENT",
        help="something that is so much slower is exit code 1 (default: none is, and 15 is told)",
    )
    diff.add_argument("--json", action="store_true", help="print one JSON document")


def _add_top(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="?",
        default=None,
        metavar="CONFIG",
        help="the manifest of a system, or its folder, whose state folder is looked in too",
    )
    parser.add_argument("--state", metavar="DIR", help="its state folder")
    parser.add_argument("--once", action="store_true", help="print once and end")
    parser.add_argument("--json", action="store_true", help="print one JSON document and end")
    parser.add_argument(
        "--format",
        default="text",
        choices=("text", "prometheus"),
        help="prometheus: print the metrics once and end",
    )


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="?",
        default=None,
        metavar="CONFIG",
        help="the manifest, or its folder (default: Symphony.toml if there is one, else a small system)",
    )
    parser.add_argument(
        "--boots", type=_count, default=5, metavar="N", help="boots to try (default: 5)"
    )
    _add_system(parser)
    parser.add_argument("--strict", action="store_true", help="a degraded check fails too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_store(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    du = actions.add_parser("du", help="what the artifacts take")
    gc = actions.add_parser(
        "gc", help="archive and delete what `[system.store]` does not keep, and give back room"
    )
    verify = actions.add_parser("verify", help="read all artifacts: damage is exit code 1")
    gc.add_argument("--dry-run", action="store_true", help="only tell what would go")
    for action in (du, gc, verify):
        _add_config(action)
        action.add_argument("--state", metavar="DIR", help="where artifacts and journals are")
        action.add_argument("--json", action="store_true", help="print one JSON document")


def _add_conductor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--conductor",
        type=_callable,
        metavar="MODULE:CALLABLE",
        help="who decides (default: oldest run first)",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    _add_conductor(parser)
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
    parser.add_argument(
        "--forever", action="store_true", help="then run on until Ctrl-C, SIGTERM or SIGHUP"
    )
    _add_system(parser)
    _add_safe_mode(parser)
    parser.add_argument(
        "--trace",
        type=_trace,
        metavar="FILE",
        help="write a timeline: .html, or .json for Perfetto",
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="compare the boot with an earlier `run --json`, best of several `--boots`",
    )
    parser.add_argument(
        "--boots",
        type=_count,
        metavar="N",
        help="boot N times, each in a process of its own, and keep or compare all (default: 1; with --baseline 5)",
    )
    parser.add_argument(
        "--threshold",
        type=_share,
        default=0.15,
        metavar="PERCENT",
        help="how much slower counts (default: 15)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a degraded boot fails, and so do an exceeded budget and what is slower than the baseline",
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


def _words(text: str) -> list[str]:
    """Words with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _count(text: str) -> int:
    """A positive number."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a positive number")
    return number


def _share(text: str) -> float:
    """A share in percent, with or without its sign."""
    try:
        percent = float(text.rstrip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of percent")
    return percent / 100


def _trace(text: str) -> str:
    """A file whose name says what to write."""
    if not text.endswith((".html", ".json")):
        raise argparse.ArgumentTypeError(f"`{text}` ends neither in .html nor in .json")
    return text


def operation_of(text: str) -> tuple[str, str]:
    """`EXTENSION.OPERATION`."""
    extension, _, operation = text.partition(".")
    if not extension or not operation:
        raise argparse.ArgumentTypeError(f"`{text}` is not of the form EXTENSION.OPERATION")
    return extension, operation


def _seconds(text: str) -> float:
    """A span of time."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of seconds")
    return seconds
