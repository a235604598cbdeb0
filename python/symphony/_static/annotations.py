"""What annotations in text are made of; what they mean is told by the core, of live objects alike.

Used by `reader`. The invariant kept here: what is nowhere is told apart from what is there and cannot be
followed, because only the first is a fault.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from symphony._static.lines import Line, arguments, names_of

if TYPE_CHECKING:
    from typing import Any, Optional, Union

    from symphony._static.project import Project, SourceModule

    # An expression with the module that it stands in; a qualified name that is known.
    Node = Union[tuple[SourceModule, ast.expr], str]
    Variables = dict[str, Optional[Node]]

_ANNOTATED = ("typing.Annotated", "typing_extensions.Annotated")
_UNIONS = ("typing.Union", "typing.Optional")
_LITERAL = ("typing.Literal", "typing_extensions.Literal")
VARIABLES = ("typing.TypeVar", "typing_extensions.TypeVar")


class _Unreadable(Exception):  # noqa: N818 - it never leaves this module.
    """A part of a generic that is nowhere, or that the text does not tell."""


class AnnotationLookup:
    """Reads annotations through a project's modules."""

    __slots__ = ("_depth", "_project", "_variables")

    def __init__(self, project: Project, variables: Variables | None = None) -> None:
        """Takes the modules, and what the type variables of a generic class stand for."""
        self._project = project
        self._variables: Variables = variables or {}
        self._depth = 0

    def form(self, node: Node) -> tuple[Any, ...]:  # noqa: PLR0911 - one case each.
        """What an annotation is made of."""
        if isinstance(node, str):
            return self.key(node)
        module, written = node
        if isinstance(written, ast.Constant):
            if written.value is None:
                return ("nothing",)
            if not isinstance(written.value, str):
                return "unresolved", ast.unparse(written)
            try:
                return "same", (module, ast.parse(written.value.strip(), mode="eval").body)
            except SyntaxError:
                return "unresolved", written.value
        if isinstance(written, ast.BinOp) and isinstance(written.op, ast.BitOr):
            return "union", [(module, written.left), (module, written.right)]
        if not isinstance(written, ast.Subscript):
            return self._name(module, written)
        origin = self._project.qualify(module, written.value)
        if origin is None:
            return "unresolved", ast.unparse(written)
        given = [(module, one) for one in arguments(written)]
        if origin in _ANNOTATED:
            return (
                "annotated",
                given[0],
                [mark for one in given[1:] for mark in self._mark(*one)],
            )
        return "of", origin, given

    def key(self, node: Node) -> tuple[Any, ...]:
        """The qualified name of one type."""
        try:
            name = node if isinstance(node, str) else self._label(*node)
        except _Unreadable as error:
            form: tuple[Any, ...] = error.args[0]
            return form
        return "type", name, name.startswith("builtins.")

    def has(self, made: str, name: str) -> bool | None:
        """Whether a class has something of that name; nothing where the text does not tell."""
        line = Line(self._project, made)
        if any(name in names_of(body) for _, body in line.owners):
            return True
        return False if line.complete else None

    def text(self, node: Node) -> str:
        """What people read for an annotation."""
        meant, form = node, self.form(node)
        for _ in range(64):
            if form[0] != "same":
                break
            meant, form = form[1], self.form(form[1])
        else:
            # A name that stands for itself.
            meant = node
        if form[0] == "union" or (form[0] == "of" and form[1] in _UNIONS):
            last = ["None"] if form[1] == "typing.Optional" else []
            return " | ".join([*(self.text(part) for part in form[-1]), *last])
        if isinstance(meant, str):
            return meant
        if form[0] == "of":
            # As the generic itself is shown, whose arguments know where they come from.
            label = self.key(meant)
            return label_of(label[1]) if label[0] == "type" else ast.unparse(meant[1])
        is_text = form[0] == "same" and isinstance(meant[1], ast.Constant)
        return str(meant[1].value) if is_text else ast.unparse(meant[1])  # type: ignore[attr-defined]

    def _mark(self, module: SourceModule, node: ast.expr) -> list[tuple[str, bool]]:
        """A text, or `Named("…")`, beside a type."""
        is_name = (
            isinstance(node, ast.Call)
            and len(node.args) == 1
            and self._project.qualify(module, node.func) == "symphony.Named"
        )
        said = node.args[0] if is_name and isinstance(node, ast.Call) else node
        is_text = isinstance(said, ast.Constant) and isinstance(said.value, str)
        return [(said.value, is_name)] if is_text else []  # type: ignore[attr-defined]

    def _name(self, module: SourceModule, node: ast.expr) -> tuple[Any, ...]:
        """A plain name: of a class, of a type variable, or of an annotation that was given a name."""
        text = ast.unparse(node)
        known = self._variables.get(text)
        if known is not None:
            return "same", known
        assigned = self._project.assigned(module, node)
        if assigned is None:
            name = self._project.qualify(module, node)
            return ("unresolved", text) if name is None else self.key(name)
        home, alias, value = assigned
        said = isinstance(value, ast.Constant) and isinstance(value.value, str)
        if said or isinstance(value, (ast.Subscript, ast.BinOp)):
            # A text is looked up where it is used, as at run time.
            return "same", (module if said else home, value)
        made = self._project.qualify(home, value.func) if isinstance(value, ast.Call) else None
        if made in VARIABLES:
            known = self._variables.get(f"{home.name}.{alias}")
            return ("unresolved", alias) if known is None else ("same", known)
        return self.key(f"{home.name}.{alias}") if made == "typing.NewType" else ("untold", text)

    def _label(self, module: SourceModule, node: ast.expr) -> str:
        """The key of a generic, or of a part of one."""
        if isinstance(node, ast.List):
            return f"[{', '.join(self._label(module, one) for one in node.elts)}]"
        if isinstance(node, ast.Constant) and node.value is ...:
            return "..."
        self._depth += 1
        try:
            form: Any = self.form((module, node)) if self._depth < 50 else ("untold", "…")
            word, made = form[0], form[1:]
            if word in ("unresolved", "untold"):
                raise _Unreadable(form)
            if word in ("same", "annotated"):
                return made[0] if isinstance(made[0], str) else self._label(*made[0])
            if word == "union":
                return " | ".join(self._label(*part) for part in made[0])
            if word != "of":
                return str(made[0]) if made else "None"
            is_literal = made[0] in _LITERAL
            parts = [
                ast.unparse(part) if is_literal else self._label(home, part)
                for home, part in made[1]
            ]
            return f"{made[0]}[{', '.join(parts)}]"
        finally:
            self._depth -= 1


def label_of(name: str) -> str:
    """What people read for a qualified name, as `_annotations.text_of` has it for the type itself."""
    if "[" in name:
        return name.replace("builtins.", "").replace("typing.", "")
    return name.rpartition(".")[2]
