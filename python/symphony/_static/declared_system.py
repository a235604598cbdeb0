"""What a system's manifest and a command's arguments register, read from sources alone.

Called by `symphony graph`. The invariant kept here: a name is followed by the rules of `symphony check`, and nothing of
the folder is judged but what the boot of this one system would take.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from symphony._components.places import Function
from symphony._core import find_remedies
from symphony._static.boot_call import BootCall
from symphony._static.contracts import ContractReader
from symphony._static.manifest_source import ManifestSource
from symphony._static.project import Project
from symphony._static.reader import Reader
from symphony._static.source_files import files_by_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphony._components.places import Definition
    from symphony._core import Diagnostic
    from symphony._static.boot_call import SourceGraph
    from symphony._static.project import SourceModule


def read_declared(
    manifest: str | None, components: list[str], conductor: str | None
) -> tuple[SourceGraph, list[Diagnostic]]:
    """The graph that the boot of a manifest would register beside Symphony's own.

    Args:
        manifest: Its file; nothing where there is none.
        components: Modules that the arguments name.
        conductor: `module:callable` of the arguments, which wins.

    Returns:
        The graph, and what could not be read or followed.
    """
    folders = [os.getcwd()]
    if manifest is not None:
        folders.append(os.path.dirname(os.path.abspath(manifest)))
    roots = [root for folder in folders for root in files_by_module(folder)[1]]
    project = Project(list(dict.fromkeys(roots)))
    reader = Reader(project)
    source = ManifestSource.read(manifest or os.path.join(os.getcwd(), "arguments"))
    call = ast.Call(ast.Name("boot", ast.Load()), [], [])
    call.lineno, call.col_offset = 1, 1
    given: dict[str, ast.expr] = {}
    if manifest is not None:
        given["config"] = ast.Constant(source.file)
    if components:
        given["components"] = ast.List([_placed(name) for name in components], ast.Load())
    if conductor is not None:
        given["conductor"] = _placed(conductor)
    call.keywords = [ast.keyword(name, value) for name, value in given.items()]

    def marked(module: SourceModule) -> Iterator[tuple[SourceModule, Definition]]:
        for bound in module.bindings.values():
            if isinstance(bound, (ast.ClassDef, *Function)) and reader.mark(module, bound):
                yield module, bound

    graph = BootCall(reader, marked).read(source, call)
    contracts = ContractReader(project)
    faults = [*reader.diagnostics, *contracts.faults(graph.specs)]
    find_remedies(graph.specs, contracts)
    return graph, faults


def _placed(text: str) -> ast.Constant:
    node = ast.Constant(text)
    node.lineno, node.col_offset = 1, 1
    return node
