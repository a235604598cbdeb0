"""What a manifest names for its boot, as if a source had named it in a call of `boot`.

Used by `_static.boot_call` and `_static.graphs`: a name in `Symphony.toml` is followed by the rules, and told of
with the texts, of a literal in a call. The core reads the manifest.
"""

from __future__ import annotations

import ast
import os

from symphony._core import declared_in
from symphony._static.project import SourceModule


class ManifestSource(SourceModule):
    """A manifest as a module without names of its own.

    Attributes:
        components: The modules that it names.
        conductor: The Conductor that it names.
    """

    def __init__(self, file: str) -> None:
        """Keeps what the core reads of it; nothing of one at fault, which another tells."""
        # No text of Python: nothing is read or parsed.
        self.name = os.path.basename(file)
        self.file = file
        self.tree = ast.Module([], [])
        self.is_package = False
        self.stars = []
        self.bindings = {}
        self.unsure = set()
        declared = declared_in(file)
        _, components, conductor = declared or (file, [], None)
        self.components = [_constant(*one) for one in components]
        self.conductor = None if conductor is None else _constant(*conductor)

    @classmethod
    def read(cls, file: str) -> ManifestSource:
        """The manifest of a path, its file absolute as in every place that is told."""
        return cls(os.path.abspath(file))

    def place(self, node: ast.AST) -> tuple[str, int, int]:
        """File, line and column of a name; the core has counted the column in characters."""
        return self.file, getattr(node, "lineno", 0), getattr(node, "col_offset", 0)

    def call(self) -> ast.Call:
        """The call of `boot` that the command line makes of it."""
        call = ast.Call(ast.Name("boot", ast.Load()), [], [])
        call.keywords = [ast.keyword("config", ast.Constant(self.file))]
        call.lineno, call.col_offset = 1, 1
        return call


def is_none(node: ast.expr) -> bool:
    """Whether an expression is the literal `None`."""
    return isinstance(node, ast.Constant) and node.value is None


def _constant(text: str, line: int, column: int) -> ast.Constant:
    node = ast.Constant(text)
    node.lineno, node.col_offset = line, column
    return node
