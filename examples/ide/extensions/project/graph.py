"""The import graph of a project's modules, and the rings in it."""

from __future__ import annotations

import os

from facts import FileFacts


def module_name(file: str, package: str = "") -> str:
    """Name the module of a file: `a/b.py` is `a.b`, and `a/__init__.py` is `a:package`.

    Args:
        file: A path with slashes, relative to the project.
        package: The package that the project's folder itself is, if any.
    """
    parts = (file[:-3] if file.endswith(".py") else file).split("/")
    if package:
        parts.insert(0, package)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
        return ".".join(parts) + ":package"
    return ".".join(parts)


def enclosing_package(root: str) -> str:
    """Name the package that a folder is, the packages around it included; empty if it is none."""
    parts: list[str] = []
    folder = os.path.abspath(root)
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        parts.insert(0, name)
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
    """Find the strongly connected components of more than one module (Tarjan, without recursion).

    Args:
        edges: For each module, the modules that it imports.

    Returns:
        The modules of each, sorted; the largest first.
    """
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in edges:
        if start in index:
            continue
        work: list[tuple[str, int]] = [(start, 0)]
        while work:
            module, position = work.pop()
            if position == 0:
                index[module] = lowest[module] = len(index)
                stack.append(module)
                on_stack.add(module)
            targets = edges.get(module, [])
            if position > 0:
                lowest[module] = min(lowest[module], lowest[targets[position - 1]])
            while position < len(targets):
                target = targets[position]
                position += 1
                if target not in index:
                    work += [(module, position), (target, 0)]
                    break
                if target in on_stack:
                    lowest[module] = min(lowest[module], index[target])
            else:
                if lowest[module] == index[module]:
                    ring: list[str] = []
                    while not ring or ring[-1] != module:
                        ring.append(stack.pop())
                        on_stack.discard(ring[-1])
                    if len(ring) > 1:
                        found.append(sorted(ring))
    return sorted(found, key=lambda ring: (-len(ring), ring))
