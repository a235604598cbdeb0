"""The component graphs of a folder, from its Python sources alone.

Called by `symphony check`. It takes what `@component` marks and the literal `components=`,
`overrides=` and `conductor=` of calls to `boot`. The invariant kept here: each graph holds what one
call of `boot` would register; what the text does not tell is a note, and never a guess.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from symphony._contract_source import ContractReader
from symphony._places import Function
from symphony._project import Project, SourceModule, source_files
from symphony._reader import Reader, unfollowed
from symphony._spec import ComponentSpec
from symphony.exceptions import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphony._project import Definition


class SourceGraph:
    """What one call of `boot` registers, or what is marked and no call registers.

    Attributes:
        specs: The components, the Conductor last.
        names: Only faults that touch one of these are this graph's to tell; nothing: all.
    """

    __slots__ = ("names", "specs")

    def __init__(self, specs: list[ComponentSpec], names: set[str] | None = None) -> None:
        """Keeps both."""
        self.specs = specs
        self.names = names


def read_graphs(paths: list[str]) -> tuple[list[SourceGraph], list[Diagnostic]]:
    """Reads every Python file under the paths; each folder is an import root.

    Returns:
        The graphs to plan, and what could not be read.
    """
    graphs: list[SourceGraph] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        reading = _Reading(path)
        reading.run()
        reading.compare_contracts()
        reading.add_hints()
        graphs.extend(reading.graphs)
        diagnostics.extend(reading.diagnostics)
    return graphs, diagnostics


class _Reading:
    """One import root."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        root = os.path.dirname(self.path) if os.path.isfile(self.path) else self.path
        self.project = Project([root])
        self.reader = Reader(self.project)
        self.diagnostics = self.reader.diagnostics
        self.graphs: list[SourceGraph] = []
        self.registered: set[tuple[str, str]] = set()

    def run(self) -> None:
        modules = list(self._modules())
        for module in modules:
            for call in _calls(module.tree):
                if self.project.qualify(module, call.func) == "symphony.boot":
                    self._graph(module, call)
        marked = [entry for module in modules for entry in self._marked(module)]
        left = [(m, node) for m, node in marked if (m.name, node.name) not in self.registered]
        if not left:
            return
        # What no call registers is judged among everything that the folder knows.
        specs = [self.reader.describe(*entry) for entry in left]
        names = {spec.name for spec in specs}
        known = {(spec.module, spec.qualname) for spec in specs}
        for graph in self.graphs:
            for spec in graph.specs:
                if spec.module and (spec.module, spec.qualname) not in known:
                    known.add((spec.module, spec.qualname))
                    specs.append(spec)
        self.graphs.append(
            SourceGraph(qualified(specs), names if len(specs) > len(names) else None)
        )

    def compare_contracts(self) -> None:
        """Holds what provides a Protocol against it."""
        contracts = ContractReader(self.project)
        for graph in self.graphs:
            self.diagnostics.extend(contracts.faults(graph.specs))

    def add_hints(self) -> None:
        """Says what to do about each need that nobody provides."""
        for graph in self.graphs:
            provided = {key for spec in graph.specs for key in spec.provides}
            for spec in graph.specs:
                for need in spec.needs:
                    if need.key not in provided:
                        need.hint = self.reader.hint(need.key, graph.specs)

    def _modules(self) -> Iterator[SourceModule]:
        """Parses what mentions Symphony; a file that cannot be parsed is a fault of its own."""
        for name, file in source_files(self.path):
            try:
                with open(file, "rb") as source:
                    if b"symphony" not in source.read():
                        continue
                module = SourceModule(name, file)
            except SyntaxError as error:
                self.diagnostics.append(
                    Diagnostic(
                        "source-invalid",
                        f"`{os.path.basename(file)}` is no Python: {error.msg}",
                        file=file,
                        line=error.lineno,
                        column=error.offset,
                    )
                )
            except (OSError, ValueError) as error:
                self.diagnostics.append(
                    Diagnostic(
                        "source-invalid",
                        f"`{os.path.basename(file)}` cannot be read: {error}",
                        file=file,
                    )
                )
            else:
                self.project.adopt(module)
                yield module

    def _marked(self, module: SourceModule) -> Iterator[tuple[SourceModule, Definition]]:
        """What a module defines at its top level and marks."""
        for bound in module.bindings.values():
            if isinstance(bound, (ast.ClassDef, *Function)) and self.reader.mark(module, bound):
                yield module, bound

    def _graph(self, module: SourceModule, call: ast.Call) -> None:
        """The graph of one call of `boot`."""
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if any(keyword.arg is None for keyword in call.keywords):
            self._note(module, call, "`boot(**…)` hides what it registers")
        if call.args:
            given.setdefault("conductor", call.args[0])
        specs: list[ComponentSpec] = []
        components = given.get("components")
        if components is not None:
            for entry in self._elements(module, components):
                specs.extend(self._component(module, entry))
        overrides = given.get("overrides")
        if overrides is not None:
            self._override(module, specs, overrides)
        conductor = given.get("conductor")
        if conductor is not None:
            specs.extend(self._conductor(module, conductor))
        if specs:
            self.registered.update((spec.module, spec.qualname) for spec in specs)
            self.graphs.append(SourceGraph(qualified(specs)))

    def _elements(self, module: SourceModule, node: ast.expr) -> list[ast.expr]:
        """The elements of a literal list."""
        node = _literal(module, node)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return list(node.elts)
        self._note(module, node, "`components=` of this call is no literal")
        return []

    def _component(self, module: SourceModule, node: ast.expr) -> list[ComponentSpec]:
        """One entry of `components=`: a class, a factory, a module or its name."""
        node = _literal(module, node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name, _, attribute = node.value.partition(":")
            found = self.project.definition(f"{name}.{attribute}") if attribute else None
            if found is not None:
                return [self.reader.describe(*found)]
            if not attribute and self.project.module(name) is not None:
                return self._scan(name)
            self._note(module, node, f"`{node.value}` is not in this folder")
            return []
        qualified_name = self.project.qualify(module, node)
        found = self.project.definition(qualified_name) if qualified_name else None
        if found is not None:
            return [self.reader.describe(*found)]
        if qualified_name and self.project.module(qualified_name) is not None:
            return self._scan(qualified_name)
        self._note(module, node, f"`{ast.unparse(node)}` is not defined in this folder's modules")
        return []

    def _scan(self, name: str) -> list[ComponentSpec]:
        """What a module marks, and its submodules where it is a package."""
        module = self.project.module(name)
        if module is None:
            return []
        specs = [self.reader.describe(*entry) for entry in self._marked(module)]
        for submodule in self.project.submodules(module):
            specs.extend(self._scan(submodule))
        return specs

    def _conductor(self, module: SourceModule, node: ast.expr) -> list[ComponentSpec]:
        """The Conductor's class or factory."""
        node = _literal(module, node)
        name: str | None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = self.project.canonical(node.value.replace(":", ".", 1))
        else:
            if isinstance(node, ast.Attribute) and node.attr == "from_components":
                node = node.value
            name = self.project.qualify(module, node)
        if name is not None and name.startswith("symphony."):
            return []
        found = self.project.definition(name) if name else None
        if found is None:
            self._note(module, node, f"the Conductor `{ast.unparse(node)}` is not in this folder")
            return []
        return [self.reader.describe(*found, conductor=True)]

    def _override(self, module: SourceModule, specs: list[ComponentSpec], node: ast.expr) -> None:
        """Takes out what a literal `overrides=` replaces, and puts the replacement in."""
        node = _literal(module, node)
        if not isinstance(node, ast.Dict):
            self._note(module, node, "`overrides=` of this call is no literal")
            return
        for key, value in zip(node.keys, node.values):
            name = self.project.qualify(module, key) if key is not None else None
            if name is None:
                self._note(module, key or node, "a key of `overrides=`")
                continue
            standing = [spec for spec in specs if name in spec.provides]
            specs[:] = [spec for spec in specs if spec not in standing]
            target = self.project.qualify(module, value)
            found = self.project.definition(target) if target else None
            if found is not None:
                spec = self.reader.describe(*found, conductor=True)
            else:
                spec = ComponentSpec(name.rpartition(".")[2], None, "instance", "", "")
                spec.file, spec.line, spec.column = module.file, value.lineno, module.column(value)
            for other in (name, *(key for old in standing for key in old.provides)):
                if other not in spec.provides:
                    spec.provides.append(other)
            specs.append(spec)

    def _note(self, module: SourceModule, node: ast.AST, what: str) -> None:
        message = f"{what}, which cannot be followed without importing"
        self.diagnostics.append(unfollowed(module, node, message, module.name))


def _literal(module: SourceModule, node: ast.expr) -> ast.expr:
    """The literal that a name of the module stands for; another expression is itself."""
    bound = module.bindings.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(bound, (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict)):
        return bound
    return node


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Every call in a module, in the order of the text."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    yield from sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def qualified(specs: list[ComponentSpec]) -> list[ComponentSpec]:
    """Gives two different definitions of one name their module in front, as the boot does."""
    by_name: dict[str, set[tuple[str, str]]] = {}
    for spec in specs:
        if not spec.named:
            by_name.setdefault(spec.name, set()).add((spec.module, spec.qualname))
    for spec in specs:
        if not spec.named and len(by_name.get(spec.name, ())) > 1:
            spec.name = f"{spec.module}.{spec.name}"
    return specs
