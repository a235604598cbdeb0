"""Contracts in text: what `_contracts` tells of imported classes, told of sources that nobody runs.

Called by `_graph_source` for each graph. The invariant kept here: a fault has the words and the
places that the boot would give it; what the text does not tell is a note.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from symphony._components.contracts import (
    ATTRIBUTE,
    METHOD,
    NOT_ASKED,
    UNKNOWN,
    Member,
    Parameters,
    client_diagnostic,
    contract_diagnostic,
    difference,
    is_positional_only,
    missing_text,
)
from symphony._components.places import Function, heading, member_node
from symphony._static.reader import PROTOCOLS, unfollowed, yields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Optional

    from symphony._components.spec import ComponentSpec
    from symphony._static.project import Project, SourceModule
    from symphony.exceptions import Diagnostic

    Owner = tuple[SourceModule, ast.ClassDef]
    Found = tuple[Member, Owner, Optional[ast.stmt]]
    # By name: file, line and column of the manifest, and the names of the operations.
    Extensions = dict[str, tuple[str, int, int, list[str]]]
    # A class, the statement in it, and what people read.
    Written = tuple[Owner, Optional[ast.stmt], str]

_TRANSPARENT = frozenset(
    f"{module}.{name}"
    for module, names in {
        "abc": ("abstractmethod",),
        "typing": ("final", "override"),
        "typing_extensions": ("final", "override"),
    }.items()
    for name in names
)
_PLAIN = frozenset(f"typing.{name}" for name in ("List", "Dict", "Set", "FrozenSet", "Tuple"))
_NOT_PLAIN = frozenset(
    f"{module}.{name}"
    for module in ("typing", "collections.abc")
    for name in ("Any", "Awaitable", "Coroutine", "Callable", "Optional", "Union", "Generator")
)
_COMPLETE = (*PROTOCOLS, "typing.Generic", "abc.ABC", "builtins.object")


class Line:
    """A class and what it inherits from.

    Attributes:
        owners: The classes of the project, the class itself first.
        foreign: Builtin classes among them.
        complete: Nothing else is among them.
    """

    __slots__ = ("complete", "foreign", "owners")

    def __init__(self, project: Project, name: str) -> None:
        """Follows the bases."""
        self.owners: list[Owner] = []
        self.foreign: list[type] = []
        self.complete = True
        self._follow(project, name, 0)

    def _follow(self, project: Project, name: str | None, depth: int) -> None:
        if name in _COMPLETE:
            return
        module, _, attribute = (name or "").rpartition(".")
        builtin = getattr(builtins, attribute, None) if module == "builtins" else None
        if isinstance(builtin, type):
            self.foreign.append(builtin)
            return
        found = project.definition(name) if name else None
        if found is None or not isinstance(found[1], ast.ClassDef) or depth > 20:
            self.complete = False
            return
        owner = (found[0], found[1])
        # As in the order of resolution: a class comes after those that inherit from it.
        self.owners = [one for one in self.owners if one[1] is not owner[1]] + [owner]
        for base in owner[1].bases:
            plain = base.value if isinstance(base, ast.Subscript) else base
            self._follow(project, project.qualify(owner[0], plain), depth + 1)


class ContractReader:
    """Holds providers against the Protocols that they provide."""

    def __init__(self, project: Project) -> None:
        """Reads names through the project's modules."""
        self.project = project

    def faults(self, specs: list[ComponentSpec]) -> Iterator[Diagnostic]:
        """Every difference that the text tells, and a note where it may hide one."""
        for spec in specs:
            for key in spec.provides:
                if key != spec.made and isinstance(spec.made, str) and self.is_protocol(key):
                    yield from self._compare(spec, spec.made, key)

    def clients(self, module: SourceModule, extensions: Extensions) -> Iterator[Diagnostic]:
        """Calls of `client("name", Protocol)` whose Protocol names what that extension lacks."""
        for call in ast.walk(module.tree):
            if not isinstance(call, ast.Call) or len(call.args) != 2 or call.keywords:
                continue
            name, asked = call.args
            if (
                not isinstance(call.func, ast.Attribute)
                or call.func.attr != "client"
                or not isinstance(name, ast.Constant)
                or name.value not in extensions
            ):
                continue
            key = self.project.qualify(module, asked)
            found = self.project.definition(key) if key else None
            if found is None:
                continue
            home, node = found
            if not isinstance(node, ast.ClassDef):
                continue
            file, line, column, operations = extensions[name.value]
            for method in sorted(_names(node)):
                member = member_node(node, method)
                asks = isinstance(member, Function) and not method.startswith("_")
                if member is None or not asks or method in operations:
                    continue
                asked_place = home.file, member.lineno, home.column(member)
                manifest_place = file, line, column
                yield client_diagnostic(
                    node.name, method, name.value, operations, asked_place, manifest_place
                )

    def is_protocol(self, key: str) -> bool:
        """Whether a class of the project has `Protocol` among its bases."""
        found = self.project.definition(key)
        return (
            found is not None
            and isinstance(found[1], ast.ClassDef)
            and self._says_protocol((found[0], found[1]))
        )

    def _says_protocol(self, owner: Owner) -> bool:
        module, node = owner
        return any(
            self.project.qualify(module, base.value if isinstance(base, ast.Subscript) else base)
            in PROTOCOLS
            for base in node.bases
        )

    def _compare(self, spec: ComponentSpec, made: str, protocol: str) -> Iterator[Diagnostic]:
        line, asked_line = Line(self.project, made), Line(self.project, protocol)
        if not line.owners:
            # Made of a class of elsewhere: its import will tell.
            return
        made_label, label = made.rpartition(".")[2], protocol.rpartition(".")[2]
        for name, (asked, owner, node) in self._asked(asked_line).items():
            wanted = owner, node, f"{label}.{name}"
            given = self._given(line, name)
            if given is None:
                text = missing_text(made_label, label, name, asked)
                if _made_while_running(line, name):
                    continue
                if line.complete:
                    yield _fault(spec, text, (line.owners[0], None, made_label), wanted)
                else:
                    yield _note(spec, line.owners[0], None, text)
                continue
            told = difference(made_label, label, name, asked, given[0])
            if told is not None:
                yield _fault(spec, told, (given[1], given[2], f"{made_label}.{name}"), wanted)
            elif _may_differ(made_label, label, name, asked, given[0]):
                text = f"`{made_label}.{name}` and `{label}.{name}`"
                yield _note(spec, given[1], given[2], text)

    def _asked(self, line: Line) -> dict[str, Found]:
        """What the Protocols of a line ask for."""
        found: dict[str, Found] = {}
        for owner in line.owners:
            if not self._says_protocol(owner):
                continue
            for name in _names(owner[1]):
                if name in found or not _is_asked(owner[1], name):
                    continue
                node = member_node(owner[1], name)
                member = self._member(owner, node, asked=True)
                found[name] = (member, owner, node)
        return found

    def _given(self, line: Line, name: str) -> Found | None:
        """What the classes of a line have under a name."""
        for owner in line.owners:
            node = member_node(owner[1], name)
            if node is not None:
                return self._member(owner, node, asked=False), owner, node
            if name in _bound_inside(owner[1]) or name in _slots(owner[1]):
                return Member(UNKNOWN), owner, None
        if any(
            name in vars(kind) for foreign in (*line.foreign, object) for kind in foreign.__mro__
        ):
            return Member(UNKNOWN), line.owners[0], None
        return None

    def _member(self, owner: Owner, node: ast.stmt | None, *, asked: bool) -> Member:
        """A statement of a class body as a member."""
        module, _ = owner
        if isinstance(node, Function):
            return self._function(module, node)
        if isinstance(node, ast.AnnAssign) and node.value is None:
            if not asked:
                return Member(UNKNOWN)
            return self._plain(Member(ATTRIBUTE), module, node.annotation)
        if isinstance(node, (ast.AnnAssign, ast.Assign)) and _is_literal(node.value):
            return Member(ATTRIBUTE, plain=True)
        return Member(UNKNOWN)

    def _function(
        self, module: SourceModule, node: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> Member:
        dropped = 1
        for mark in node.decorator_list:
            name = self.project.qualify(module, mark)
            if name in ("builtins.staticmethod", "builtins.classmethod"):
                dropped = 0 if name.endswith("staticmethod") else 1
            elif name == "builtins.property" or (
                isinstance(mark, ast.Attribute) and mark.attr in ("setter", "getter", "deleter")
            ):
                getter = next(
                    (one for one in _functions(module, node) if one.name == node.name), node
                )
                return self._plain(Member(ATTRIBUTE), module, getter.returns)
            elif name not in _TRANSPARENT:
                return Member(UNKNOWN, is_unsure=True)
        asynchronous = isinstance(node, ast.AsyncFunctionDef)
        member = Member(
            METHOD, _parameters(node.args, dropped), is_async=asynchronous and not yields(node)
        )
        if asynchronous and yields(node):
            return member
        return self._plain(member, module, node.returns)

    def _plain(self, member: Member, module: SourceModule, annotation: ast.expr | None) -> Member:
        """Says whether the type of a member is one that can be neither awaited nor called."""
        plain = None if annotation is None else self._is_plain(module, annotation)
        member.plain = bool(plain)
        member.is_unsure = annotation is not None and plain is None
        return member

    def _is_plain(self, module: SourceModule, node: ast.expr) -> bool | None:  # noqa: C901, PLR0911
        """As `_contracts` sees it; nothing where the text does not tell."""
        while isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value.strip(), mode="eval").body
            except SyntaxError:
                return False
        if isinstance(node, ast.Constant):
            return node.value is None
        if isinstance(node, ast.BinOp):
            return False
        if isinstance(node, ast.Subscript):
            node = node.value
        name = self.project.qualify(module, node)
        if name is None or name in _NOT_PLAIN:
            return None if name is None else False
        if name in _PLAIN:
            return True
        owner, _, attribute = name.rpartition(".")
        if owner == "builtins":
            kind = getattr(builtins, attribute, None)
            return isinstance(kind, type) and kind not in (object, type) and not _is_callable(kind)
        if self.is_protocol(name):
            return False
        line = Line(self.project, name)
        for _, body in line.owners:
            if not {"__await__", "__call__"}.isdisjoint(_names(body)):
                return False
        if any(_is_callable(kind) for kind in line.foreign):
            return False
        return True if line.complete and line.owners else None


def _may_differ(made: str, label: str, name: str, asked: Member, given: Member) -> bool:
    """Whether they differ if what the text does not tell of them is the worst."""
    if given.kind == UNKNOWN and given.is_unsure:
        return asked.kind == METHOD
    worst = [
        Member(one.kind, one.parameters, is_async=one.is_async, plain=True)
        if one.is_unsure
        else one
        for one in (asked, given)
    ]
    return difference(made, label, name, *worst) is not None


def _fault(spec: ComponentSpec, text: str, given: Written, asked: Written) -> Diagnostic:
    """The diagnostic, with both places."""
    _, node, label = asked
    return contract_diagnostic(
        [spec.name, label.rpartition(".")[0]],
        text,
        (*_place(*given[:2]), f"`{given[2]}`"),
        (*_place(*asked[:2]), f"`{label}`"),
        heading(node) if node is not None else None,
    )


def _note(spec: ComponentSpec, owner: Owner, node: ast.stmt | None, text: str) -> Diagnostic:
    text = f"{text}, which cannot be followed without importing"
    return unfollowed(owner[0], owner[1] if node is None else node, text, spec.name)


def _place(owner: Owner, node: ast.stmt | None) -> tuple[str, int, int]:
    """File, line and column of a member, or of the class."""
    module, definition = owner
    place = definition if node is None else node
    return module.file, place.lineno, module.column(place)


def _names(node: ast.ClassDef) -> list[str]:
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


def _is_asked(node: ast.ClassDef, name: str) -> bool:
    """As `_contracts` sees it."""
    if name in NOT_ASKED:
        return False
    if name.startswith("__"):
        return name.endswith("__") and isinstance(member_node(node, name), Function)
    return True


def _bound_inside(node: ast.ClassDef) -> set[str]:
    """The names that are bound inside an `if`, `try`, `with` or loop of a class body."""
    found: set[str] = set()
    for statement in node.body:
        if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            for inner in ast.walk(statement):
                if isinstance(inner, (ast.ClassDef, *Function)):
                    found.add(inner.name)
                elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    found.add(inner.id)
    return found


def _slots(node: ast.ClassDef) -> set[str]:
    """The names in a literal `__slots__`."""
    statement = member_node(node, "__slots__")
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    found = value.elts if isinstance(value, (ast.Tuple, ast.List, ast.Set)) else [value]
    return {
        one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def _functions(
    module: SourceModule, node: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The definitions that share a class body with one, in their order."""
    for owner in ast.walk(module.tree):
        if isinstance(owner, ast.ClassDef) and node in owner.body:
            yield from (one for one in owner.body if isinstance(one, Function))


def _is_literal(node: ast.expr | None) -> bool:
    """Whether a value is a display or a constant, which is no method."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Constant):
        return node.value is not ...
    return isinstance(node, (ast.JoinedStr, ast.Tuple, ast.List, ast.Dict, ast.Set))


def _is_callable(kind: type) -> bool:
    awaited = hasattr(kind, "__await__")
    return awaited or any("__call__" in vars(owner) for owner in kind.__mro__)


def _parameters(arguments: ast.arguments, dropped: int) -> Parameters | None:
    """The parameters of a method without its first."""
    positional = [*arguments.posonlyargs, *arguments.args]
    if len(positional) < dropped and arguments.vararg is None:
        return None
    first_default = len(positional) - len(arguments.defaults)
    only = len(arguments.posonlyargs)
    return Parameters(
        [
            (
                argument.arg,
                index >= first_default,
                index < only or is_positional_only(argument.arg),
            )
            for index, argument in enumerate(positional)
            if index >= dropped
        ],
        {
            argument.arg: default is not None
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults)
        },
        star=arguments.vararg is not None,
        stars=arguments.kwarg is not None,
    )


def _made_while_running(line: Line, name: str) -> bool:
    """Whether an object may have a member that its class does not tell of."""
    for _, body in line.owners:
        if not {"__getattr__", "__getattribute__"}.isdisjoint(_names(body)):
            return True
        for function in body.body:
            if not isinstance(function, Function) or member_node(body, function.name) != function:
                continue
            if any(_stores(node, name) for node in ast.walk(function)):
                return True
    return False


def _stores(node: ast.AST, name: str) -> bool:
    """Whether a node sets an attribute of that name, or of any name."""
    if isinstance(node, ast.Attribute):
        stored = isinstance(node.ctx, ast.Store) and node.attr == name
        return stored or node.attr in ("setattr", "__dict__")
    return isinstance(node, ast.Name) and node.id in ("setattr", "__dict__")
