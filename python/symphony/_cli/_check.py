"""`symphony check`: faults of manifests, Melodies and Python sources, without running them.

Manifests and Melodies are read by the core, Python sources by `_static.graphs`, and both are judged
by the planner that `boot()` uses. The invariant kept here: only errors make `ok` false, and what
cannot be followed is a note.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli._errors import UsageError, as_document, faults_text, refuse
from symphony._cli._exit import FAILED, OK, USAGE, exit_code_of
from symphony._cli._library import is_library, library_faults
from symphony._cli._permissions import permission_lines, permissions_at
from symphony._core import Diagnostic
from symphony._static.graphs import read_graphs
from symphony._static.operations import read_operations
from symphony._static.source_files import files_by_module

if TYPE_CHECKING:
    import argparse

    from symphony._cli._permissions import Request
    from symphony._static.boot_call import SourceGraph

_PERMISSIONS_AS = ("text", "json")


def check(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    if options.permissions and options.format not in _PERMISSIONS_AS:
        fault = UsageError(f"`--permissions` has no form for `--format {options.format}`")
        refuse("check", fault, as_json=False)
        return USAGE
    absent = [path for path in options.path if not os.path.exists(path)]
    if absent:
        faults = [
            Diagnostic("invalid-value", f"no such file or folder: `{path}`") for path in absent
        ]
        _report(faults, {}, options.format, None)
        return USAGE
    try:
        faults, looked = _survey(options.path)
        asked = permissions_at(options.path) if options.permissions else None
    except (Exception, KeyboardInterrupt, Terminated) as error:
        if options.format == "text":
            raise
        # Whoever reads the document has one also then.
        said = as_document(error)
        _report([Diagnostic(said["code"], said["message"])], {}, options.format, None)
        return exit_code_of(error)
    _report(faults, looked, options.format, asked)
    return FAILED if any(fault.severity == "error" for fault in faults) else OK


def find_faults(paths: list[str]) -> list[Diagnostic]:
    """Every fault under the paths, by place.

    Args:
        paths: Files and folders; each folder is an import root.
    """
    return _survey(paths)[0]


def _survey(paths: list[str]) -> tuple[list[Diagnostic], dict[str, int]]:
    """Every fault under the paths, and how much was looked at."""
    from symphony import _core

    found = _core.check_paths([os.path.abspath(path) for path in paths], read_operations)
    for path in filter(is_library, paths):
        found.extend(library_faults(path))
    graphs, diagnostics = read_graphs(paths, _extensions(paths))
    found.extend(diagnostics)
    for graph in graphs:
        found.extend(plan_faults(graph))
    # A source that cannot be read is one fault, also where a manifest names it.
    named = {
        edge[:2] for fault in found if fault.code == "source-invalid" for edge in fault.related
    }
    # Of one that is unreadable as a whole a line is only where its entry is.
    named |= {(file, None) for file, _ in named}
    found = [fault for fault in found if fault.related or (fault.file, fault.line) not in named]
    once: dict[str, Diagnostic] = {}
    for fault in found:
        once.setdefault(json.dumps(fault.to_dict()), fault)
    return sorted(once.values(), key=_by_place), _looked_at(paths, graphs)


def _looked_at(paths: list[str], graphs: list[SourceGraph]) -> dict[str, int]:
    """How many files, components, extensions and Melodies there are under the paths."""
    from symphony import _core

    absolute = [os.path.abspath(path) for path in paths]
    sources = {
        file
        for path in absolute
        for _, file in files_by_module(path)[0]
        # Of a package that a path lies in the rest is read, and not judged.
        if file == path or file.startswith(os.path.join(path, ""))
    }
    components = {
        (spec.module, spec.qualname)
        for graph in graphs
        for spec in graph.specs
        if spec.module and spec.module.partition(".")[0] != "symphony"
    }
    manifests, extensions, melodies = _core.count_paths(absolute)
    return {
        "files": len(sources) + manifests + melodies,
        "components": len(components),
        "extensions": extensions,
        "melodies": melodies,
    }


def _extensions(paths: list[str]) -> dict[str, tuple[str, int, int, list[str]]]:
    """The extensions under the paths whose operations are known, by name; of two of one name neither."""
    from symphony import _core

    found = _core.find_extensions([os.path.abspath(path) for path in paths], read_operations)
    names = [name for name, *_ in found]
    return {
        name: (file, line, column, operations)
        for name, file, line, column, operations in found
        if operations is not None and names.count(name) == 1
    }


def plan_faults(graph: SourceGraph) -> list[Diagnostic]:
    """What the planner of the core says of a graph; the one place that calls it."""
    from symphony import _core

    faults = _core.plan_specs(graph.specs, graph.replaced, graph.config)
    if graph.unknown:
        return []
    if graph.open:
        faults = [fault for fault in faults if fault.code != "missing-dependency"]
    if graph.names is None:
        return faults
    return [fault for fault in faults if graph.names.intersection(fault.path)]


def _by_place(fault: Diagnostic) -> tuple[str, int, int, str, str]:
    return fault.file or "", fault.line or 0, fault.column or 0, fault.code, fault.message


def _report(
    faults: list[Diagnostic], looked: dict[str, int], form: str, asked: list[Request] | None
) -> None:
    """Prints the faults: as text, or in a form that other programs read, alone on stdout."""
    if form == "text":
        for line in permission_lines(asked or []):
            print(line)
        if faults:
            print(faults_text(faults) + "\n", file=sys.stderr)
        _summarize(faults, looked)
        return
    from symphony._cli import _check_formats

    unplaced = [fault for fault in faults if fault.file is None and fault.severity == "error"]
    if unplaced:
        # Nothing of a file, but why the check itself could not be done.
        print(faults_text(unplaced), file=sys.stderr)

    if form == "json":
        print(_check_formats.as_json(faults, asked))
    elif form == "sarif":
        print(_check_formats.as_sarif(faults))
    else:
        for line in _check_formats.as_annotations(faults):
            print(line)
        _summarize(faults, looked)


def _summarize(faults: list[Diagnostic], looked: dict[str, int]) -> None:
    counts = [
        _counted(sum(fault.severity == word for fault in faults), word)
        for word in ("error", "warning", "note")
        if any(fault.severity == word for fault in faults)
    ]
    print(", ".join(counts) if counts else "no faults found")
    if looked:
        words = {
            "files": "file",
            "components": "component",
            "extensions": "extension",
            "melodies": "Melody",
        }
        told = [_counted(number, words[what]) for what, number in looked.items()]
        print(f"looked at {told[0]}: {', '.join(told[1:-1])} and {told[-1]}")


def _counted(number: int, word: str) -> str:
    """`1 Melody`, `2 Melodies`."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word[:-1]}ies" if word.endswith("y") else f"{number} {word}s"
