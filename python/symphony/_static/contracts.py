"""Contracts in text: what a `Protocol` asks for, and what a class that provides it has, of sources that nobody runs.

Called by `graphs` for each graph. Only looked up here; what fits and what is said of it is told by
the core, of a live class alike. The invariant kept here: what the text does not tell is said to be
hidden, never guessed.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from symphony._components.places import Function, heading, member_node
from symphony._core import Member, Signature, client_fault, contract_faults
from symphony._static.annotations import AnnotationLookup, label_of
from symphony._static.lines import PROTOCOLS, Line, names_of, plain
from symphony._static.reader import yields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Optional, Union

    from symphony._components.places import Place
    from symphony._core import ComponentSpec, Diagnostic
    from symphony._static.lines import Owner
    from symphony._static.project import Project, SourceModule

    # The class of a line that has a member, and the statement in it.
    Written = tuple[Owner, Optional[ast.stmt]]
    AnyFunction = Union[ast.FunctionDef, ast.AsyncFunctionDef]
    # By name: file, line and column of the manifest, and the names of the operations.
    Extensions = dict[str, tuple[str, int, int, list[str]]]

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
                    lookup = _Lookup(self, spec.made, key)
                    # Made of a class of elsewhere: its import will tell.
                    if lookup.line.owners:
                        yield from contract_faults(spec.name, lookup)

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
            for method in sorted(names_of(node)):
                member = member_node(node, method)
                asks = isinstance(member, Function) and not method.startswith("_")
                if member is None or not asks or method in operations:
                    continue
                manifest = file, line, column
                place = home.place(member)
                yield client_fault(node.name, method, name.value, operations, place, manifest)

    def is_protocol(self, key: str) -> bool:
        """Whether a class of the project has `Protocol` among its bases."""
        found = self.project.definition(key)
        return (
            found is not None
            and isinstance(found[1], ast.ClassDef)
            and self.says_protocol((found[0], found[1]))
        )

    def says_protocol(self, owner: Owner) -> bool:
        """Whether `Protocol` is among its bases."""
        module, node = owner
        return any(self.project.qualify(module, plain(base)) in PROTOCOLS for base in node.bases)

    def wanted(self, key: str) -> tuple[bool, bool, list[str]] | None:
        """Whether people cannot register a key, whether it is a Protocol, and what stands in its body."""
        found = self.project.definition(key)
        if found is None:
            ours = self.project.module(key.rpartition(".")[0]) is not None
            ours = ours or key.partition(".")[0] in ("builtins", "symphony", "typing")
            return ours or not label_of(key).isidentifier(), False, []
        if not isinstance(found[1], ast.ClassDef):
            return None
        return False, self.says_protocol((found[0], found[1])), names_of(found[1])

    @staticmethod
    def label(made: object) -> str | None:
        """What people read for a class."""
        return made.rpartition(".")[2] if isinstance(made, str) else None

    def inherits(self, made: str, key: str) -> bool:
        """Whether a class inherits from another one, also from one of elsewhere that it names."""
        found, line = self.project.definition(key), Line(self.project, made)
        ours = found is not None and any(owner[1] is found[1] for owner in line.owners)
        return ours or key in line.others

    def has(self, made: str, name: str) -> bool | None:
        """Whether a class has something of that name; nothing where the text does not tell."""
        return AnnotationLookup(self.project).has(made, name)

    def member(self, owner: Owner, node: ast.stmt | None, *, asked: bool) -> Member:
        """A statement of a class body as a member."""
        module, _ = owner
        if isinstance(node, Function):
            return self._function(module, node)
        if isinstance(node, ast.AnnAssign) and node.value is None:
            if not asked:
                return _UNKNOWN
            return Member("attribute", plain=self._plain(module, node.annotation))
        if isinstance(node, (ast.AnnAssign, ast.Assign)) and _is_literal(node.value):
            return Member("attribute", plain=True)
        return _UNKNOWN

    def _function(self, module: SourceModule, node: AnyFunction) -> Member:
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
                return Member("attribute", plain=self._plain(module, getter.returns))
            elif name not in _TRANSPARENT:
                return Member("unknown", plain=None)
        signature = Signature.written(node.args, dropped)
        if isinstance(node, ast.AsyncFunctionDef) and yields(node):
            return Member("method", signature, plain=False)
        asynchronous = isinstance(node, ast.AsyncFunctionDef)
        plain = self._plain(module, node.returns)
        return Member("method", signature, is_async=asynchronous, plain=plain)

    def _plain(self, module: SourceModule, annotation: ast.expr | None) -> bool | None:
        """Whether a type can be neither awaited nor called; what is not said is no such type."""
        return False if annotation is None else self._is_plain(module, annotation)

    def _is_plain(self, module: SourceModule, node: ast.expr) -> bool | None:  # noqa: C901, PLR0911
        """As a live class tells it; nothing where the text does not."""
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
            if not {"__await__", "__call__"}.isdisjoint(names_of(body)):
                return False
        if any(_is_callable(kind) for kind in line.foreign):
            return False
        return True if line.complete and line.owners else None


_UNKNOWN = Member("unknown", plain=False)


class _Lookup:
    """A class beside a Protocol that it provides, as the core asks for their members."""

    __slots__ = ("_asked", "_reader", "is_whole", "line", "made", "protocol")

    def __init__(self, reader: ContractReader, made: str, protocol: str) -> None:
        self._reader = reader
        self._asked: dict[str, Written] = {}
        self.line = Line(reader.project, made)
        self.made = made.rpartition(".")[2]
        self.protocol = protocol.rpartition(".")[2]
        self.is_whole = self.line.complete
        for owner in Line(reader.project, protocol).owners:
            for name in names_of(owner[1]) if reader.says_protocol(owner) else ():
                self._asked.setdefault(name, (owner, member_node(owner[1], name)))

    def asked(self) -> Iterator[tuple[str, Member]]:
        """What the Protocol has, its base Protocols' too."""
        for name, written in self._asked.items():
            yield name, self._reader.member(*written, asked=True)

    def given(self, name: str) -> Member | None:
        """What the classes of the line have under a name."""
        written = self._written(name)
        if written is None:
            kinds = (kind for one in (*self.line.foreign, object) for kind in one.__mro__)
            return _UNKNOWN if any(name in vars(kind) for kind in kinds) else None
        return _UNKNOWN if written[1] is None else self._reader.member(*written, asked=False)

    def _written(self, name: str) -> Written | None:
        for owner in self.line.owners:
            node = member_node(owner[1], name)
            if node is not None or name in _bound_inside(owner[1]) or name in _slots(owner[1]):
                return owner, node
        return None

    def is_open(self, name: str) -> bool:
        """Whether an object may have a member that its class does not tell of."""
        for _, body in self.line.owners:
            if not {"__getattr__", "__getattribute__"}.isdisjoint(names_of(body)):
                return True
            for function in body.body:
                if (
                    isinstance(function, Function)
                    and member_node(body, function.name) == function
                    and any(_stores(node, name) for node in ast.walk(function))
                ):
                    return True
        return False

    def place(self, name: str) -> tuple[Place, bool]:
        """Where the class has a member, or where the class itself stands."""
        (module, body), node = self._written(name) or (self.line.owners[0], None)
        return module.place(node or body), node is not None

    def asked_place(self, name: str) -> tuple[Place, str | None]:
        """Where the Protocol has it, and how it is written there."""
        (module, body), node = self._asked[name]
        return module.place(node or body), heading(node) if node is not None else None


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


def _functions(module: SourceModule, node: AnyFunction) -> Iterator[AnyFunction]:
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


def _stores(node: ast.AST, name: str) -> bool:
    """Whether a node sets an attribute of that name, or of any name."""
    if isinstance(node, ast.Attribute):
        stored = isinstance(node.ctx, ast.Store) and node.attr == name
        return stored or node.attr in ("setattr", "__dict__")
    return isinstance(node, ast.Name) and node.id in ("setattr", "__dict__")
