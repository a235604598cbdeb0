"""The import graph of a project's modules, and the rings in it."""

from __future__ import annotations

import posixpath
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from facts import FileFacts


def module_name(file: str, package: str = "") -> str:
    """Name the module of a file: `a/b.py` is `a.b`, and `a/__init__.py` is `a:package`.

    Args:
        file: A path with slashes, relative to the project.
        package: The package that the project's folder itself is, if any.
    """
    parts = posixpath.splitext(file)[0].split("/")
    if package:
        parts.insert(0, package)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
        return ".".join(parts) + ":package"
    return ".".join(parts)


def enclosing_package(root: str) -> str:
    """Name the package that a folder is, the packages around it included; empty if it is none."""
    parts: list[str] = []
    folder = Path(root).resolve()
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def import_edges(known: dict[str, FileFacts]) -> dict[str, list[str]]:
    """Resolve the imports of all modules among themselves.

    Args:
        known: The facts by module name; a package's name ends with `:package`.

    Returns:
        For each module, without that ending, the others that it imports, sorted.
    """
    by_name = {name.partition(":")[0]: facts for name, facts in known.items()}
    packages = {name.partition(":")[0] for name in known if name.endswith(":package")}
    edges: dict[str, list[str]] = {}
    for module, facts in by_name.items():
        targets: set[str] = set()
        for level, base, names in facts.imports:
            origin = absolute(module, module in packages, level, base)
            if origin is None:
                continue
            submodules = [f"{origin}.{name}" if origin else name for name in names]
            found = [name for name in submodules if name in by_name]
            targets.update(found)
            # `from package import submodule` needs the submodule; the package is its parent.
            if len(found) < max(len(names), 1) and origin in by_name:
                targets.add(origin)
        targets.discard(module)
        edges[module] = sorted(targets)
    return edges


def absolute(module: str, is_package: bool, level: int, base: str) -> str | None:
    """Resolve a relative import; None where it leaves the project."""
    if level == 0:
        return base
    parts = module.split(".")
    above = level - 1 if is_package else level
    if above > len(parts):
        return None
    origin = parts[: len(parts) - above]
    return ".".join([*origin, base] if base else origin)


def rings(edges: dict[str, list[str]]) -> list[list[str]]:
    """Find the modules that import each other, however long the way round.

    Args:
        edges: For each module, the modules that it imports.

    Returns:
        The modules of each ring, sorted; the largest first.
    """
    # Kosaraju: in reverse order of completion, what reaches a module backwards is in its ring.
    backwards: dict[str, list[str]] = {module: [] for module in edges}
    for module, targets in edges.items():
        for target in targets:
            backwards.setdefault(target, []).append(module)
    seen: set[str] = set()
    completed: list[str] = []
    for module in edges:
        completed += reached(module, edges, seen)
    seen.clear()
    found = [reached(module, backwards, seen) for module in reversed(completed)]
    return sorted(
        (sorted(ring) for ring in found if len(ring) > 1), key=lambda ring: (-len(ring), ring)
    )


def reached(start: str, edges: dict[str, list[str]], seen: set[str]) -> list[str]:
    """List what a depth-first walk reaches from a module, in the order of completion.

    Args:
        start: Where the walk begins.
        edges: The graph.
        seen: What is not walked again; what is reached is added.
    """
    if start in seen:
        return []
    seen.add(start)
    completed: list[str] = []
    walk = [(start, iter(edges.get(start, ())))]
    while walk:
        module, targets = walk[-1]
        target = next((target for target in targets if target not in seen), None)
        if target is None:
            walk.pop()
            completed.append(module)
        else:
            seen.add(target)
            walk.append((target, iter(edges.get(target, ()))))
    return completed
