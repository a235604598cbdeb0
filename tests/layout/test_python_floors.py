"""The floors of the package `symphony`: who may import whom, read from source; and whose names are private.

An import counts where it runs: at the top of a module, or late, inside a function. What type checkers
alone read does not.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "symphony"

# From the ground up; a folder, or a module at the top, imports its own floor and those below.
FLOORS = [
    {"_core", "_signal_handlers", "exceptions"},
    {"config", "records", "conductor"},
    {"_components"},
    {"_static"},
    {"_pictures"},
    {"_work"},
    {"_guest", "extension"},
    {"_boot"},
    {"_swap"},
    {"batch", "progress", "top"},
    {"_cli", "testing"},
    {"__init__", "__main__"},
]

# Folders that look up, late, and why they must; the list may only become shorter.
UP = {
    ("_boot", "_swap"): "`System.swap()` is a method of what is on the floor below it",
}

# Circles that a late import closes, and why; the list may only become shorter.
LATE_CIRCLES = {
    ("_boot.event_loop", "_boot.threads"): "asyncio is imported with the first async step only",
    (
        "_guest.server",
        "extension",
    ): "what an author imports does not import the server before it runs",
}


@cache
def modules() -> dict[str, Path]:
    """The package's modules, by their names without `symphony.`; a folder is its `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if len(parts) > 1 and parts[-1] == "__init__":
            del parts[-1]
        found[".".join(parts)] = path
    return found


def named(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Module and name of what a statement imports of the package."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.startswith("symphony."):
                yield alias.name[9:], ""
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        module = f"{node.module}."
        if module.startswith("symphony."):
            for alias in node.names:
                yield module[9:-1], alias.name


def targets(node: ast.stmt) -> Iterator[str]:
    """The modules that a statement imports."""
    for module, name in named(node):
        inner = f"{module}.{name}".strip(".")
        if inner in modules() or inner == "_core":
            yield inner
        elif module:
            yield module


def imports(nodes: list[ast.AST], late: bool = False) -> Iterator[tuple[bool, ast.stmt]]:
    """The import statements that run, each with whether it is inside a function."""
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield late, node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports([*node.orelse], late)
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports([*ast.iter_child_nodes(node)], late or inside)


@cache
def arrows() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What each module imports at its top, and what late."""
    top: dict[str, set[str]] = {name: set() for name in [*modules(), "_core"]}
    late: dict[str, set[str]] = {name: set() for name in top}
    for name, path in modules().items():
        for is_late, node in imports([ast.parse(path.read_text(encoding="utf-8"))]):
            (late if is_late else top)[name].update(set(targets(node)) - {name})
    return top, late


def circles(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """The modules that reach one another, as sorted groups."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen, waiting = set(), [start]
        while waiting:
            for other in graph[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        reached[start] = seen
    return {
        tuple(sorted(other for other in reached[one] if one in reached[other]))
        for one in graph
        if one in reached[one]
    }


def folder(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def floor(module: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if folder(module) in names)


def test_every_module_has_a_floor() -> None:
    assert {folder(name) for name in [*modules(), "_core"]} == set().union(*FLOORS)


def test_no_circle_of_imports_at_the_top() -> None:
    top, _ = arrows()
    assert circles(top) == set()


def test_a_circle_that_a_late_import_closes_is_named_with_its_reason() -> None:
    top, late = arrows()
    found = circles({name: top[name] | late[name] for name in top})
    assert found == set(LATE_CIRCLES)
    assert all(LATE_CIRCLES.values())


def test_no_floor_imports_the_floor_above() -> None:
    top, late = arrows()
    up: set[tuple[str, str]] = set()
    for name in top:
        for other in top[name]:
            assert floor(other) <= floor(name), f"`{name}` imports `{other}`, a floor above it"
        up |= {(folder(name), folder(other)) for other in late[name] if floor(other) > floor(name)}
    assert up == set(UP)
    assert all(UP.values())


def test_no_module_imports_a_private_name_of_another() -> None:
    # Attributes of others are held by ruff's SLF001.
    known = {name.rpartition(".")[2] for name in modules()} | {"_core"}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for module, what in named(node):
                    ours = not what.startswith("_") or what.endswith("__") or what in known
                    assert ours, f"{name}: `{module}.{what}`"


def test_examples_and_documents_use_the_public_api_only() -> None:
    for path in sorted((ROOT / "examples").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for module, what in named(node):
                    parts = f"{module}.{what}".split(".")
                    private = [part for part in parts if part.startswith("_")]
                    assert not private, f"{path.name} imports `{module}`"
    for path in [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "README.md",
    ]:
        for line in path.read_text(encoding="utf-8").splitlines():
            private = line.lstrip().startswith(("from symphony._", "import symphony._"))
            assert not private, f"{path.name}: `{line.strip()}`"
