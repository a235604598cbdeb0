"""From an annotation in text to what is to be injected, by the rules of `_annotations`.

Used by `_reader`. The invariant kept here: what is nowhere is told apart from what is there and
cannot be followed, because only the first is a fault.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symphony._static.project import Project, SourceModule

_SEQUENCES = ("typing.Sequence", "collections.abc.Sequence")


class Unfollowed(Exception):  # noqa: N818 - it never leaves the package.
    """An annotation that names what is nowhere."""


class Untold(Exception):  # noqa: N818 - it never leaves the package.
    """An annotation of which the text does not tell what it stands for."""


class AnnotationReader:
    """Reads annotations through a project's modules."""

    def __init__(self, project: Project) -> None:
        """Takes the modules."""
        self.project = project
        self._depth = 0

    def read(self, module: SourceModule, node: ast.expr) -> tuple[str, str, bool, str | None]:
        """What an annotation asks for: (qualified name, kind, whether by handle, provider's name).

        Raises:
            Unfollowed: It cannot be followed.
        """
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                return self.read(module, ast.parse(node.value.strip(), mode="eval").body)
            except SyntaxError as error:
                raise Unfollowed(node.value) from error
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union(module, _parts(node))
        if isinstance(node, ast.Subscript):
            return self._subscript(module, node)
        return self._name(module, node)

    def _name(self, module: SourceModule, node: ast.expr) -> tuple[str, str, bool, str | None]:
        """A plain name: of a class, or of an annotation that was given a name."""
        assigned = self.project.assigned(module, node)
        if assigned is not None:
            home, alias, value = assigned
            said = isinstance(value, ast.Constant) and isinstance(value.value, str)
            followed = said or isinstance(value, (ast.Subscript, ast.BinOp))
            if value is not None and followed and self._depth < 20:
                self._depth += 1
                try:
                    # A text is looked up where it is used, as at run time.
                    return self.read(module if said else home, value)
                finally:
                    self._depth -= 1
            made = self.project.qualify(home, value.func) if isinstance(value, ast.Call) else None
            if made == "typing.NewType":
                return f"{home.name}.{alias}", "one", False, None
            raise Untold(ast.unparse(node))
        name = self.project.qualify(module, node)
        if name is None:
            raise Unfollowed(ast.unparse(node))
        return name, "one", False, None

    def _subscript(  # noqa: PLR0911 - one case each.
        self, module: SourceModule, node: ast.Subscript
    ) -> tuple[str, str, bool, str | None]:
        origin = self.project.qualify(module, node.value)
        inside = node.slice
        arguments = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
        if origin == "typing.Optional":
            return self._union(module, [arguments[0], ast.Constant(None)])
        if origin == "typing.Union":
            return self._union(module, arguments)
        if origin in ("typing.Annotated", "typing_extensions.Annotated"):
            key, kind, handle, named = self.read(module, arguments[0])
            for extra in arguments[1:]:
                if isinstance(extra, ast.Constant) and isinstance(extra.value, str):
                    return key, kind, handle, extra.value
            return key, kind, handle, named
        if origin in ("symphony.Late", "symphony.Handle", *_SEQUENCES):
            key, kind, handle, named = self.read(module, arguments[0])
            if origin == "symphony.Late":
                return key, "late", True, named
            if origin == "symphony.Handle":
                return key, kind, True, named
            return key, "every", handle, named
        if origin is None:
            raise Unfollowed(ast.unparse(node))
        inner = ", ".join(self.read(module, argument)[0] for argument in arguments)
        return f"{origin}[{inner}]", "one", False, None

    def _union(
        self, module: SourceModule, parts: list[ast.expr]
    ) -> tuple[str, str, bool, str | None]:
        parts = [one for part in parts for one in self._flat(module, part)]
        # As `Union` has it, one type twice is that type.
        once = {self.project.qualify(module, part) or ast.unparse(part): part for part in parts}
        parts = list(once.values())
        if len(parts) == 1:
            return self.read(module, parts[0])
        rest = [p for p in parts if not (isinstance(p, ast.Constant) and p.value is None)]
        if len(rest) != 1 or len(rest) == len(parts):
            raise Unfollowed(" | ".join(ast.unparse(part) for part in parts))
        key, kind, handle, named = self.read(module, rest[0])
        return key, "optional" if kind == "one" else kind, handle, named

    def _flat(self, module: SourceModule, node: ast.expr) -> list[ast.expr]:
        """The parts of a union, and of the unions inside it."""
        parts = _parts(node)
        if len(parts) == 1 and isinstance(node, ast.Subscript):
            origin = self.project.qualify(module, node.value)
            if origin == "typing.Optional":
                parts = [node.slice, ast.Constant(None)]
            elif origin == "typing.Union":
                parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(parts) == 1:
            return parts
        return [one for part in parts for one in self._flat(module, part)]


def label_of(name: str) -> str:
    """What people read for a qualified name, as `_annotations.text_of` has it for the type itself."""
    if "[" in name:
        return name.replace("builtins.", "").replace("typing.", "")
    return name.rpartition(".")[2]


def _parts(node: ast.expr) -> list[ast.expr]:
    """The parts of `a | b | c`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]
