"""A whole project at once: its size, its import graph with the cycles, its worst functions.

The facts of a file are read once and kept until the file changes, so that the operations of one
review share a single pass over the project.
"""

from __future__ import annotations

from facts import FileFacts, facts_of
from graph import enclosing_package, import_edges, module_name, rings
from symphony.extension import Extension

extension = Extension("project", "0.1.0")

TOO_COMPLEX = 10


@extension.operation
def totals(root: str, files: list[str]) -> dict[str, object]:
    """Add a project up.

    Args:
        root: The project's folder.
        files: Its files, relative to `root`.

    Returns:
        `files`, `broken` (those that do not parse), `size`, `lines`, `code`, `functions`,
        `classes`, `too_complex` (functions above 10) and `largest` files.
    """
    all_facts = [(file, facts) for file, facts in read_all(root, files)]
    largest = sorted(all_facts, key=lambda item: (-item[1].lines, item[0]))[:5]
    return {
        "files": len(all_facts),
        "broken": [file for file, facts in all_facts if not facts.parsed],
        "size": sum(facts.size for _, facts in all_facts),
        "lines": sum(facts.lines for _, facts in all_facts),
        "code": sum(len(facts.code) for _, facts in all_facts),
        "functions": sum(len(facts.functions) for _, facts in all_facts),
        "classes": sum(facts.classes for _, facts in all_facts),
        "too_complex": sum(
            1
            for _, facts in all_facts
            for _, _, complexity in facts.functions
            if complexity > TOO_COMPLEX
        ),
        "largest": [{"file": file, "lines": facts.lines} for file, facts in largest],
    }


@extension.operation
def modules(root: str, files: list[str], limit: int = 10) -> dict[str, object]:
    """Draw the import graph of a project's own modules.

    Imports inside functions and under `TYPE_CHECKING` make no cycle, as they do not run while
    the module is imported.

    Args:
        root: The project's folder.
        files: Its files, relative to `root`.
        limit: How many modules to list of a kind.

    Returns:
        `modules`, `edges` (counts), `cycles` (modules that import each other, largest first),
        `most_imported` and `most_importing` modules with their `count`.
    """
    package = enclosing_package(root)
    known = {module_name(file, package): facts for file, facts in read_all(root, files)}
    edges = import_edges(known)
    imported: dict[str, int] = {}
    for targets in edges.values():
        for target in targets:
            imported[target] = imported.get(target, 0) + 1
    importing = {module: len(targets) for module, targets in edges.items() if targets}
    return {
        "modules": len(known),
        "edges": sum(importing.values()),
        "cycles": rings(edges),
        "most_imported": most(imported, limit),
        "most_importing": most(importing, limit),
    }


@extension.operation
def hotspots(root: str, files: list[str], limit: int = 10) -> list[dict[str, object]]:
    """List the most complex functions of a project.

    Args:
        root: The project's folder.
        files: Its files, relative to `root`.
        limit: How many to list.

    Returns:
        Most complex first: `name`, `place` (`file:line`) and `complexity`.
    """
    found = [
        (-complexity, file, line, name)
        for file, facts in read_all(root, files)
        for name, line, complexity in facts.functions
    ]
    found.sort()
    return [
        {"name": name, "place": f"{file}:{line}", "complexity": -negative}
        for negative, file, line, name in found[: max(limit, 0)]
    ]


@extension.operation
def clones(
    root: str, files: list[str], minimum: int = 10, limit: int = 10
) -> list[dict[str, object]]:
    """Find blocks of code that two files share.

    Args:
        root: The project's folder.
        files: Its files, relative to `root`.
        minimum: How many lines of code a block has at least.
        limit: How many to list.

    Returns:
        Longest first: `first` and `second` (`file:line`), and `lines`.
    """
    if minimum < 2:
        raise ValueError(f"`minimum` is {minimum}, but a block has at least 2 lines")
    seen: dict[tuple[str, ...], tuple[str, int]] = {}
    code_of: dict[str, list[tuple[int, str]]] = {}
    found: list[tuple[int, str, int, str, int]] = []
    for file, facts in read_all(root, files):
        code_of[file] = code = facts.code
        texts = [text for _, text in code]
        reached = 0
        for start in range(len(code) - minimum + 1):
            other, at = seen.setdefault(tuple(texts[start : start + minimum]), (file, start))
            if other == file or start < reached:
                continue
            length = common_length(code_of[other], at, code, start)
            reached = start + length
            found.append((-length, other, code_of[other][at][0], file, code[start][0]))
    found.sort()
    return [
        {"first": f"{first}:{line}", "second": f"{second}:{other_line}", "lines": -negative}
        for negative, first, line, second, other_line in found[: max(limit, 0)]
    ]


def common_length(
    first: list[tuple[int, str]], at: int, second: list[tuple[int, str]], start: int
) -> int:
    """Count the lines that two pieces of code share from there on."""
    length = 0
    while (
        at + length < len(first)
        and start + length < len(second)
        and first[at + length][1] == second[start + length][1]
    ):
        length += 1
    return length


def read_all(root: str, files: list[str]) -> list[tuple[str, FileFacts]]:
    """Read the facts of all files; one that vanished or cannot be read is left out."""
    found: list[tuple[str, FileFacts]] = []
    for file in files:
        facts = facts_of(root, file)
        if facts is not None:
            found.append((file, facts))
    return found


def most(counts: dict[str, int], limit: int) -> list[dict[str, object]]:
    """List the largest counts."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"module": name, "count": count} for name, count in ordered[: max(limit, 0)]]
