"""The component graphs of a folder, from its Python sources alone.

Called by `symphony check`. It takes what `@component` marks and the literal `components=`,
`overrides=` and `conductor=` of calls to `boot`. The invariant kept here: each graph holds what one
call of `boot` would register; what the text does not tell is a note, and never a guess.
"""

from __future__ import annotations

import ast
import contextlib
import os
from typing import TYPE_CHECKING

from symphony._components.places import TOO_DEEP, Function, source_text
from symphony._core import Diagnostic, find_remedies, find_systems, qualify, settle_names
from symphony._static.boot_call import BootCall, SourceGraph
from symphony._static.contracts import ContractReader
from symphony._static.manifest_source import ManifestSource
from symphony._static.project import Project, SourceModule, names_bound
from symphony._static.reader import Reader
from symphony._static.source_files import files_by_module

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from symphony._components.places import Definition
    from symphony._core import ComponentSpec
    from symphony._static.contracts import Extensions

    Marked = tuple[SourceModule, Definition]


def read_graphs(
    paths: list[str], extensions: Extensions | None = None
) -> tuple[list[SourceGraph], list[Diagnostic]]:
    """Reads every Python file under the paths.

    A folder is an import root; a package, and what lies in one, is read as what its outermost package's folder imports.

    Args:
        paths: Files and folders.
        extensions: Those that lie there too, for the clients that sources make of them.

    Returns:
        The graphs to plan, and what could not be read.
    """
    graphs: list[SourceGraph] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        reading = _Reading(path)
        reading.run()
        reading.compare_contracts(extensions or {})
        reading.add_remedies()
        graphs.extend(reading.graphs)
        diagnostics.extend(reading.told())
    return graphs, diagnostics


class _Reading:
    """One path: what lies under it is judged, among what its import roots hold."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.files, roots = files_by_module(self.path)
        self.project = Project(roots)
        self.reader = Reader(self.project)
        self.diagnostics = self.reader.diagnostics
        self.graphs: list[SourceGraph] = []
        self.modules: list[SourceModule] = []
        self.calls = BootCall(self.reader, self._marked)

    def run(self) -> None:
        modules = self.modules = list(self._modules())
        for module in modules:
            for call, local in _calls(module.tree) if self._is_meant(module) else ():
                with self._reads(module):
                    if self.project.qualify(module, call.func) == "symphony.boot":
                        self.graphs.append(self.calls.read(module, call, local))
        for file, components, conductor in find_systems([self.path]):
            # What a manifest alone boots is the core's to judge.
            if components or conductor:
                manifest = ManifestSource.read(file)
                self.graphs.append(self.calls.read(manifest, manifest.call()))
        marked = [entry for module in modules for entry in self._marked(module)]
        registered = self.calls.registered
        left = [(m, node) for m, node in marked if (m.name, node.name) not in registered]
        meant = [entry for entry in left if self._is_meant(entry[0])]
        if not meant:
            return
        # What no call registers is judged among everything that the folder, or its package, knows.
        specs = self._described(meant)
        names = {spec.name for spec in specs}
        specs += self._described([entry for entry in left if entry not in meant])
        known = {(spec.module, spec.qualname) for spec in specs}
        for graph in self.graphs:
            for spec in graph.specs:
                if spec.module and (spec.module, spec.qualname) not in known:
                    known.add((spec.module, spec.qualname))
                    specs.append(spec)
        qualify(specs)
        settle_names(specs, specs)
        graph = SourceGraph(specs, names if len(specs) > len(names) else None)
        graph.open = any(one.open or one.unknown for one in self.graphs) or any(
            (spec.module, spec.qualname) in self.reader.incomplete for spec in specs
        )
        self.graphs.append(graph)

    def compare_contracts(self, extensions: Extensions) -> None:
        """Holds what provides a Protocol against it, and extensions against those of their clients."""
        contracts = ContractReader(self.project)
        if extensions:
            for module in filter(self._is_meant, self.modules):
                self.diagnostics.extend(contracts.clients(module, extensions))
        for graph in self.graphs:
            self.diagnostics.extend(contracts.faults(graph.specs))

    def add_remedies(self) -> None:
        """Finds what would help about each need that nobody provides."""
        for graph in self.graphs:
            find_remedies(graph.specs, ContractReader(self.project))

    def told(self) -> list[Diagnostic]:
        """What was found in what was asked about, and not in the rest of its package."""
        return [
            fault for fault in self.diagnostics if fault.file is None or self._holds(fault.file)
        ]

    def _is_meant(self, module: SourceModule) -> bool:
        return self._holds(module.file)

    def _holds(self, file: str) -> bool:
        return file == self.path or file.startswith(os.path.join(self.path, ""))

    def _modules(self) -> Iterator[SourceModule]:
        """Parses what mentions Symphony; a file that cannot be parsed is a fault of its own."""
        for name, file in self.files:
            try:
                if b"symphony" not in source_text(file):
                    continue
                module = SourceModule(name, file)
            except SyntaxError as error:
                self.diagnostics.append(
                    Diagnostic(
                        "source-invalid",
                        f"`{os.path.basename(file)}` is not Python: {error.msg}",
                        file=file,
                        line=error.lineno,
                        column=error.offset,
                    )
                )
            except (OSError, ValueError) as error:
                self._add_unread(file, error)
            else:
                self.project.adopt(module)
                yield module

    def _add_unread(self, file: str, why: object) -> None:
        message = f"`{os.path.basename(file)}` cannot be read: {why}"
        fault = Diagnostic("source-invalid", message, file=file)
        if all(one.file != file or one.message != message for one in self.diagnostics):
            self.diagnostics.append(fault)

    @contextlib.contextmanager
    def _reads(self, module: SourceModule) -> Generator[None, None, None]:
        """What is too deep to be followed in a file costs that file, and not the others."""
        try:
            yield
        except (RecursionError, MemoryError):
            self._add_unread(module.file, TOO_DEEP)

    def _described(self, entries: list[Marked]) -> list[ComponentSpec]:
        specs: list[ComponentSpec] = []
        for module, node in entries:
            with self._reads(module):
                specs.append(self.reader.describe(module, node))
        return specs

    def _marked(self, module: SourceModule) -> Iterator[tuple[SourceModule, Definition]]:
        """What a module defines at its top level and marks."""
        for bound in module.bindings.values():
            if isinstance(bound, (ast.ClassDef, *Function)) and self.reader.mark(module, bound):
                yield module, bound


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """Every call in a module, in the order of the text, with the names of the functions around it."""
    found: list[tuple[ast.Call, frozenset[str]]] = []
    nodes: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    # Not by recursion: an expression may be deeper than the stack.
    while nodes:
        node, local = nodes.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                found.append((child, local))
            nodes.append(
                (child, local | _names_of(child) if isinstance(child, Function) else local)
            )
    yield from sorted(found, key=lambda entry: (entry[0].lineno, entry[0].col_offset))


def _names_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """The parameters of a function, and what its body binds."""
    arguments = function.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    more = (arguments.vararg, arguments.kwarg)
    names = {one.arg for one in (*every, *more) if one is not None}
    return frozenset(names | names_bound(function.body, imports=False))
