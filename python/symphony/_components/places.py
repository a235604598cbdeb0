"""Where a person wrote a component and each of its parameters, and what to do about a missing one.

Called only when a fault is to be told, because it reads and parses sources. The invariant kept
here: the places and hints are those that `symphony check` finds from the text alone.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

from symphony._components.annotations import is_protocol, own_annotations, unwrapped
from symphony._core import find_remedies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Union

    from symphony._core import ComponentSpec

    Definition = Union[ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef]

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Place = tuple["str | None", int, int]


TOO_DEEP = "its code is nested too deeply"


def source_text(file: str) -> bytes:
    """What a source holds.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        # Reading a pipe would wait for whoever writes to it.
        raise OSError(f"`{file}` is not a regular file")
    with open(file, "rb") as source:
        return source.read()


class Source:
    """One parsed file.

    Attributes:
        file: Its path.
        tree: Its syntax tree.
    """

    def __init__(self, file: str) -> None:
        """Reads and parses the file.

        Raises:
            OSError: It cannot be read.
            SyntaxError: It is not Python.
            ValueError: It is not in the encoding that it declares, or is nested too deeply.
        """
        text = source_text(file)
        self.file = file
        try:
            self.tree = ast.parse(text, file)
        except (RecursionError, MemoryError):
            # Both are what the parser says of depth, according to its version.
            raise ValueError(TOO_DEEP) from None
        self._lines = text.split(b"\n")

    def place(self, node: ast.AST) -> tuple[str, int, int]:
        """File, line and column of a node, the column in characters; zero for what is not known."""
        line: int = getattr(node, "lineno", 0)
        if not 0 < line <= len(self._lines):
            return self.file, line, 0
        offset: int = getattr(node, "col_offset", 0)
        return self.file, line, len(self._lines[line - 1][:offset].decode(errors="replace")) + 1

    def definition(self, path: list[str], line: int) -> Definition | None:
        """The definition at a qualified name; of several the one that begins at the line."""
        found: list[ast.AST] = [self.tree]
        for name in path:
            if name != "<locals>":
                found = [one for at in found for one in _definitions(at) if one.name == name]
        chosen: Definition | None = None
        for node in found:
            if isinstance(node, (ast.ClassDef, *Function)):
                first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
                inside = first <= line <= (node.end_lineno or first)
                if chosen is None or first == line or (inside and isinstance(node, ast.ClassDef)):
                    chosen = node
        return chosen


class Sources:
    """Parsed files, each once."""

    def __init__(self) -> None:
        """Has parsed nothing yet."""
        self._known: dict[str, Source | None] = {}

    def of(self, file: str | None) -> Source | None:
        """The source of a file; nothing where it cannot be read or parsed."""
        if file is None or not os.path.isfile(file):
            return None
        file = os.path.abspath(file)
        if file not in self._known:
            try:
                self._known[file] = Source(file)
            except (OSError, SyntaxError, ValueError):
                self._known[file] = None
        return self._known[file]


def place(spec: ComponentSpec, parameter: str | None = None) -> Place:
    """File, line and column of a component, or of one of its parameters."""
    return _place(spec, parameter, Sources())


def locate(specs: Iterable[ComponentSpec]) -> None:
    """Gives each spec and each of its needs the exact place, and what would help if one is missing.

    The core plans with what is cheap to know; when the plan has a fault, it asks for this and plans
    again.
    """
    specs = list(specs)
    sources = Sources()
    for spec in specs:
        # What was only read, because its module is still to be imported, has its places from there.
        if spec.target is not None:
            for need in spec.needs:
                need.file, need.line, need.column = _place(spec, need.parameter, sources)
            spec.file, spec.line, spec.column = _place(spec, None, sources)
    find_remedies(specs, _Classes)


class _Classes:
    """Live classes, as the core asks for them to find what would help about a need."""

    @staticmethod
    def wanted(key: Any) -> tuple[bool, bool, list[str]] | None:
        """Whether people cannot register a key, whether it is a Protocol, and what stands in its body."""
        if not isinstance(key, type):
            return None
        bases = [base for base in key.__mro__ if is_protocol(base)]
        names = [name for base in bases for name in (*vars(base), *_annotated(base))]
        ours = key.__module__.partition(".")[0] in ("builtins", "symphony", "typing")
        return ours, is_protocol(key), names

    @staticmethod
    def label(made: Any) -> str | None:
        """What people read for a class."""
        return made.__name__ if isinstance(made, type) else None

    @staticmethod
    def inherits(made: type, key: type) -> bool:
        """Whether a class inherits from another one."""
        return key in made.__mro__

    has = staticmethod(hasattr)


def _annotated(owner: type) -> Iterable[str]:
    found: Iterable[str] = getattr(owner, "__annotations__", ())
    return found


def protocol_place(protocol: type, member: str) -> Place:
    """Where a Protocol has a member; nowhere where its source cannot be read."""
    found = member_of(protocol, member)
    return (None, 0, 0) if found is None else found[0]


def heading(node: ast.AST) -> str:
    """A definition without its body and its decorators, or a declaration as it was written."""
    if isinstance(node, Function):
        word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
        return f"{word} {node.name}({ast.unparse(node.args)}){result}"
    if isinstance(node, ast.AnnAssign):
        return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
    return ast.unparse(node)


def member_node(node: ast.ClassDef, name: str) -> ast.stmt | None:
    """The last statement of a class body that defines or declares a name."""
    found: ast.stmt | None = None
    for statement in node.body:
        if isinstance(statement, (ast.ClassDef, *Function)):
            bound = statement.name == name
        elif isinstance(statement, ast.AnnAssign):
            bound = isinstance(statement.target, ast.Name) and statement.target.id == name
        elif isinstance(statement, ast.Assign):
            bound = any(isinstance(t, ast.Name) and t.id == name for t in statement.targets)
        else:
            bound = False
        found = statement if bound else found
    return found


def member_of(owner: type, name: str) -> tuple[Place, ast.stmt] | None:
    """Where the class of a line that has a member wrote it, and how."""
    for base in owner.__mro__:
        if name in vars(base) or name in own_annotations(base):
            source, node = _class_node(base, Sources())
            found = None if node is None else member_node(node, name)
            return None if source is None or found is None else (source.place(found), found)
    return None


def _class_node(owner: type, sources: Sources) -> tuple[Source | None, ast.ClassDef | None]:
    """The file of a class, and its definition."""
    source = sources.of(getattr(sys.modules.get(owner.__module__), "__file__", None))
    if source is None:
        return None, None
    line = next(
        (
            value.__code__.co_firstlineno
            for value in vars(owner).values()
            if hasattr(value, "__code__") and value.__code__.co_filename != "<string>"
        ),
        0,
    )
    node = source.definition(owner.__qualname__.split("."), line)
    return source, node if isinstance(node, ast.ClassDef) else None


def class_place(spec: ComponentSpec, made: type) -> Place:
    """Where a class was written; where that is not known, the component that makes it."""
    source, node = _class_node(made, Sources())
    return place(spec) if source is None or node is None else source.place(node)


def _place(spec: ComponentSpec, parameter: str | None, sources: Sources) -> Place:
    """Finds the node by name and line; what is not found keeps the place that was cheap to know."""
    module = sys.modules.get(spec.module)
    file = getattr(module, "__file__", None) or spec.file
    made = getattr(spec.made, "__origin__", spec.made)
    if parameter is not None and isinstance(made, type) and made.__qualname__ == spec.qualname:
        found = _parameter_of_class(made, parameter, sources)
        if found is not None:
            return found
    if spec.kind not in ("class", "instance") and spec.file is not None:
        file = spec.file
    if file is None or not os.path.isfile(file):
        return spec.file, spec.line, 0
    source = sources.of(file)
    node = source.definition(spec.qualname.split("."), spec.line) if source else None
    if source is None or node is None:
        return os.path.abspath(file), spec.line, 0
    argument = None if parameter is None else argument_of(node, parameter)
    return source.place(argument or node)


def _parameter_of_class(target: type, parameter: str, sources: Sources) -> Place | None:
    """The parameter in the constructor of the class that wrote it, or its field."""
    meta: type = type(target)
    owners = [(owner, ("__call__",)) for owner in meta.__mro__]
    for owner, makers in [*owners, *((owner, ("__new__", "__init__")) for owner in target.__mro__)]:
        names, body = owner.__qualname__.split("."), vars(owner)
        places = [(getattr(sys.modules.get(owner.__module__), "__file__", None), names, 0)]
        for maker in makers:
            function = unwrapped(getattr(body.get(maker), "__func__", body.get(maker)))
            code = getattr(function, "__code__", None)
            if code is not None and not code.co_filename.startswith("<"):
                places.insert(0, (code.co_filename, [*names, maker], code.co_firstlineno))
        for file, path, line in places:
            source = sources.of(file)
            node = source.definition(path, line) if source else None
            found: ast.AST | None = None
            if isinstance(node, Function):
                found = argument_of(node, parameter)
            elif isinstance(node, ast.ClassDef):
                declared = body.get("__annotations__", {})
                field = parameter if parameter in declared else f"_{parameter}"
                found = member_node(node, field) if field in declared else None
            if source is not None and found is not None:
                return source.place(found)
    return None


def argument_of(node: ast.AST, parameter: str) -> ast.arg | None:
    """The argument of a function by its name."""
    arguments = getattr(node, "args", None)
    if not isinstance(arguments, ast.arguments):
        return None
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return next((argument for argument in every if argument.arg == parameter), None)


def _definitions(parent: ast.AST) -> Iterator[Definition]:
    """Classes and functions that are defined in a body, also inside its `if`, `try` and `with`."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.ClassDef, *Function)):
            yield node
        elif isinstance(node, (ast.stmt, ast.excepthandler)):
            yield from _definitions(node)


def relative(file: str) -> str:
    """The file, relative to the working directory where it lies in it."""
    try:
        directory = os.getcwd() + os.sep
    except OSError:
        return file
    return file.removeprefix(directory)
