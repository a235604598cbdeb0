"""Classes in text with what they inherit from, in the order of resolution.

Used by the readers of constructors and of contracts. The invariant kept here: what the text does not reach is
kept by its name, so that nobody takes a line for whole that is not.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from symphony._components.places import Function

if TYPE_CHECKING:
    from symphony._static.project import Project, SourceModule

    Owner = tuple[SourceModule, ast.ClassDef]

PROTOCOLS = ("typing.Protocol", "typing_extensions.Protocol")
_WITHOUT_BODY = (*PROTOCOLS, "typing.Generic", "abc.ABC", "builtins.object")


class Line:
    """A class and what it inherits from.

    Attributes:
        owners: The classes of the project, the class itself first.
        foreign: Builtin classes among them.
        others: What else is among them, by its qualified name where it has one.
        given: What a class of the project was given in brackets, with the class that gives it.
    """

    __slots__ = ("foreign", "given", "others", "owners")

    def __init__(self, project: Project, name: str) -> None:
        """Follows the bases."""
        self.owners: list[Owner] = []
        self.foreign: list[type] = []
        self.others: list[str | None] = []
        self.given: dict[ast.ClassDef, tuple[Owner, list[ast.expr]]] = {}
        self._follow(project, name, 0)

    @property
    def complete(self) -> bool:
        """Whether all of it is known."""
        return not self.others

    def bases(self, project: Project) -> set[str | None]:
        """The qualified names of all that its classes name as a base."""
        return {
            project.qualify(module, plain(base))
            for module, node in self.owners
            for base in node.bases
        }

    def _follow(self, project: Project, name: str | None, depth: int) -> ast.ClassDef | None:
        if name in _WITHOUT_BODY:
            return None
        module, _, attribute = (name or "").rpartition(".")
        builtin = getattr(builtins, attribute, None) if module == "builtins" else None
        if isinstance(builtin, type):
            self.foreign.append(builtin)
            return None
        found = project.definition(name) if name else None
        if found is None or not isinstance(found[1], ast.ClassDef) or depth > 20:
            self.others.append(name)
            return None
        owner = (found[0], found[1])
        # As in the order of resolution: a class comes after those that inherit from it.
        self.owners = [one for one in self.owners if one[1] is not owner[1]] + [owner]
        for base in owner[1].bases:
            node = self._follow(project, project.qualify(owner[0], plain(base)), depth + 1)
            if node is not None and isinstance(base, ast.Subscript):
                self.given[node] = owner, arguments(base)
        return owner[1]


def arguments(node: ast.Subscript) -> list[ast.expr]:
    """What stands between the brackets."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def plain(base: ast.expr) -> ast.expr:
    """A base without its brackets."""
    return base.value if isinstance(base, ast.Subscript) else base


def names_of(node: ast.ClassDef) -> list[str]:
    """The names that the statements of a class body define, then those that they only declare."""
    defined: dict[str, None] = {}
    declared: dict[str, None] = {}
    for statement in node.body:
        if isinstance(statement, (ast.ClassDef, *Function)):
            defined[statement.name] = None
        elif isinstance(statement, ast.Assign):
            defined.update((t.id, None) for t in statement.targets if isinstance(t, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            (declared if statement.value is None else defined)[statement.target.id] = None
    return [*defined, *(name for name in declared if name not in defined)]
