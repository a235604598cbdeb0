"""Which parameters a class takes, from its text alone.

Used by `reader`. Only looked up here; which of them a class takes together is told by the core, of a live class
alike. The invariant kept here: what only the import would tell is a note, and never a guess.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from symphony._components.passing import rest_of
from symphony._components.places import Function, member_node
from symphony._core import Rest, Signature
from symphony._static.annotations import VARIABLES
from symphony._static.lines import PROTOCOLS, Line, arguments, names_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Union

    from symphony._static.annotations import Variables
    from symphony._static.lines import Owner
    from symphony._static.project import Project, SourceModule

    AnyFunction = Union[ast.FunctionDef, ast.AsyncFunctionDef]


class Parameter(NamedTuple):
    """A parameter as it was written: its annotation with its module, and where it stands."""

    name: str
    annotation: Any
    has_default: bool
    module: SourceModule
    place: ast.AST
    variables: Variables


# What reads a maker: the function that may pass on the rest of what it takes, and its parameters.
Made = tuple[Optional["AnyFunction"], dict[str, Parameter]]


# What a class of the package needs, where a user's class inherits its `__init__`.
_KNOWN_NEEDS = {
    f"symphony.{name}": ("kit", "symphony.OrchestraKit")
    for name in ("Conductor", "Fifo", "ShortestRemaining", "WarmFirst", "TorchPolicy")
}
_TUPLES = ("typing.NamedTuple", "typing_extensions.NamedTuple")
# Their classes make something else, or nothing, when they are called.
_PLAIN = (
    "typing.TypedDict",
    "typing_extensions.TypedDict",
    *(f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag")),
)
_MODELS = ("pydantic.BaseModel", "pydantic.main.BaseModel", "msgspec.Struct")
_DATA_CLASSES = ("dataclasses.dataclass", "pydantic.dataclasses.dataclass")
_ATTRS_CLASSES = tuple(
    f"{module}.{name}"
    for module in ("attr", "attrs")
    for name in ("s", "attrs", "define", "frozen", "mutable", "dataclass")
)
_FIELDS = (
    "dataclasses.field",
    "attr.ib",
    "attr.field",
    "attrs.field",
    "pydantic.Field",
    "msgspec.field",
)
_ABSTRACT = ("abc.abstractmethod", "abc.abstractproperty")


class Construction:
    """A class in text, as the core asks for what Python calls to make an object of it.

    Attributes:
        unknown: What of it only its import would tell: the node, and its text.
    """

    def __init__(self, project: Project, name: str, owner: Owner) -> None:
        """Follows its bases."""
        self._project = project
        self._owner = owner
        self._line = Line(project, name)
        self.unknown: list[tuple[SourceModule, ast.AST, str]] = []

    def refused(self) -> tuple[str, list[str]] | None:
        """Why it has no objects of its own, and what it lacks."""
        lacking = sorted(self._abstract())
        if lacking:
            return "abstract", lacking
        module, node = self._owner
        if any(self._project.qualify(module, plain(base)) in PROTOCOLS for base in node.bases):
            return "protocol", []
        return None if self._line.bases(self._project).isdisjoint(_PLAIN) else ("plain", [])

    def declared(self) -> list[Parameter] | None:
        """Nothing that the text tells, where it declares a `__signature__`."""
        if not any(member_node(node, "__signature__") for _, node in self._line.owners):
            return None
        self.unknown.append((*self._owner, "declares a `__signature__`"))
        return []

    def makers(self, attribute: str) -> Iterator[tuple[str, bool, Signature | None, Made]]:
        """What stands under a name in the order of resolution, as far as each may pass on what it takes."""
        line = self._line
        if attribute == "__call__":
            line = Line(self._project, self._metaclass() or "builtins.type")
        return self._makers(line, attribute)

    def rest(self, made: Made, attribute: str) -> Rest:
        """What it passes on."""
        return Rest() if made[0] is None else rest_of(made[0], attribute)

    def taken(self, made: Made, name: str, has_default: bool, _positional: bool) -> Parameter:
        """A parameter of it."""
        return made[1][name]._replace(has_default=has_default)

    def _metaclass(self) -> str | None:
        """The metaclass that the line names."""
        for module, node in self._line.owners:
            for keyword in node.keywords:
                if keyword.arg == "metaclass":
                    name = self._project.qualify(module, keyword.value)
                    if name is None or (
                        self._project.definition(name) is None and name != "abc.ABCMeta"
                    ):
                        text = ast.unparse(keyword.value)
                        self.unknown.append((module, keyword.value, f"is made by `{text}`"))
                    return None if name == "abc.ABCMeta" else name
        return None

    def _makers(
        self, line: Line, attribute: str
    ) -> Iterator[tuple[str, bool, Signature | None, Made]]:
        for owner in line.owners:
            module, node = owner
            variables = self._variables(owner) if line is self._line else {}
            statement = member_node(node, attribute)
            if isinstance(statement, Function):
                made = self._of_function(owner, statement, attribute, variables)
                yield made
                if made[3][0] is None:
                    return
            elif statement is not None:
                self.unknown.append((module, statement, f"assigns its `{attribute}`"))
                return
            else:
                fields = self._fields(owner, attribute, variables)
                if fields is not None:
                    yield self._of_fields(owner, attribute, fields)
                    return
        if attribute != "__init__" or line is not self._line:
            return
        for name in line.others:
            if name in _KNOWN_NEEDS:
                parameter, key = _KNOWN_NEEDS[name]
                needed = Parameter(parameter, key, False, *self._owner, {})
                yield self._of_fields(self._owner, attribute, {parameter: needed})
                return
        self.unknown += [
            (module, base, f"inherits from `{ast.unparse(base)}`")
            for module, node in line.owners
            for base in node.bases
            for name in (self._project.qualify(module, plain(base)),)
            if name in line.others and name not in (*_TUPLES, *_MODELS)
        ]

    def _of_function(
        self, owner: Owner, node: AnyFunction, attribute: str, variables: Variables
    ) -> tuple[str, bool, Signature | None, Made]:
        module, body = owner
        says = True
        for mark in node.decorator_list:
            name = self._project.qualify(module, mark)
            tells = name in ("builtins.staticmethod", *_ABSTRACT) or keeps_signature(
                self._project, module, mark
            )
            if tells is None:
                self.unknown.append((module, mark, f"decorates its `{attribute}`"))
            else:
                says = says and tells
        found = {one.name: one for one in of_function(module, node, 1, variables)}
        # One that calls no other one of its name passes nothing on.
        stars = node.args.vararg or node.args.kwarg
        calls = any(
            isinstance(one, ast.Attribute) and one.attr == attribute for one in ast.walk(node)
        )
        made = node if stars and calls else None, found
        return f"{body.name}.{attribute}", says, Signature.written(node.args, 1), made

    def _of_fields(
        self, owner: Owner, attribute: str, fields: dict[str, Parameter]
    ) -> tuple[str, bool, Signature, Made]:
        keywords = [(one.name, one.has_default) for one in fields.values()]
        signature = Signature([], keywords, False, False)
        return f"{owner[1].name}.{attribute}", True, signature, (None, fields)

    def _fields(
        self, owner: Owner, attribute: str, variables: Variables
    ) -> dict[str, Parameter] | None:
        """The fields that a class takes, where it takes fields."""
        module, node = owner
        named = {self._project.qualify(module, plain(base)) for base in node.bases}
        if attribute == "__new__":
            own = (
                (name, one) for name, one in self._own_fields(owner, variables) if one is not None
            )
            return dict(own) if named.intersection(_TUPLES) else None
        if attribute != "__init__":
            return None
        is_model = not self._line.bases(self._project).isdisjoint(_MODELS)
        if not is_model and not self._is_data_class(owner):
            return None
        # The fields of its bases come first; one that stands again keeps its place in the order.
        fields: dict[str, Parameter] = {}
        line = Line(self._project, f"{module.name}.{self._project.qualname(module, node)}")
        for one in reversed(line.owners):
            if is_model or self._is_data_class(one, of_base=True):
                for name, parameter in self._own_fields(one, self._variables(one)):
                    fields.pop(name, None) if parameter is None else fields.update(
                        {name: parameter}
                    )
        return fields

    def _is_data_class(self, owner: Owner, *, of_base: bool = False) -> bool:
        """Whether a decorator makes its `__init__` of its fields."""
        module, node = owner
        for mark in node.decorator_list:
            called = mark.func if isinstance(mark, ast.Call) else mark
            if self._project.qualify(module, called) in (*_DATA_CLASSES, *_ATTRS_CLASSES):
                said = _constant(mark, "init") if isinstance(mark, ast.Call) else None
                return of_base or said is not False
        return False

    def _own_fields(
        self, owner: Owner, variables: Variables
    ) -> Iterator[tuple[str, Parameter | None]]:
        """The fields of one class; nothing of one that is no parameter."""
        module, node = owner
        is_attrs = any(
            self._project.qualify(module, mark.func if isinstance(mark, ast.Call) else mark)
            in _ATTRS_CLASSES
            for mark in node.decorator_list
        )
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                default = self._default(module, statement)
                name = statement.target.id.lstrip("_") if is_attrs else statement.target.id
                said = (module, statement.annotation)
                yield (
                    name,
                    None
                    if default is None
                    else Parameter(name, said, default, module, statement, variables),
                )

    def _default(self, module: SourceModule, statement: ast.AnnAssign) -> bool | None:
        """Whether a field has a default; nothing where it is no parameter."""
        kind = statement.annotation
        if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
            kind = ast.Name(kind.value.partition("[")[0].rpartition(".")[2], ast.Load())
        if ast.unparse(plain(kind)).rpartition(".")[2] in ("ClassVar", "KW_ONLY"):
            return None
        value = statement.value
        if (
            not isinstance(value, ast.Call)
            or self._project.qualify(module, value.func) not in _FIELDS
        ):
            return value is not None
        if _constant(value, "init") is False:
            return None
        given = {keyword.arg for keyword in value.keywords}
        first = value.args[0] if value.args else None
        has_first = first is not None and not (
            isinstance(first, ast.Constant) and first.value is ...
        )
        return has_first or not given.isdisjoint(("default", "default_factory", "factory"))

    def _variables(self, owner: Owner, depth: int = 0) -> Variables:
        """What the type variables of a class stand for in the one that is read."""
        module, node = owner
        found: Variables = {
            one.name: (module, one.default_value)
            for one in getattr(node, "type_params", ())
            if getattr(one, "default_value", None) is not None
        }
        given = self._line.given.get(node)
        if given is None or depth > 20:
            return found
        home, values = given[0][0], given[1]
        inherited = self._variables(given[0], depth + 1)
        found.update(inherited)
        for name, value in zip(self._type_parameters(*owner), values):
            # A variable that is passed on is what it stands for there.
            known = inherited.get(ast.unparse(value)) or inherited.get(
                self._variable(home, value) or ""
            )
            found[name] = known or (home, value)
        return found

    def _type_parameters(self, module: SourceModule, node: ast.ClassDef) -> list[str]:
        """The names of its type variables, in the order of `Generic[…]`, else of its bases."""
        declared = [one.name for one in getattr(node, "type_params", ())]
        if declared:
            return declared
        subscripted = [base for base in node.bases if isinstance(base, ast.Subscript)]
        generic = [
            base
            for base in subscripted
            if self._project.qualify(module, base.value) in ("typing.Generic", *PROTOCOLS)
        ]
        found: list[str] = []
        for base in generic or subscripted:
            for argument in arguments(base):
                name = self._variable(module, argument)
                if name is not None and name not in found:
                    found.append(name)
        return found

    def _variable(self, module: SourceModule, node: ast.expr) -> str | None:
        """The qualified name of a type variable."""
        home, alias, value = self._project.assigned(module, node) or (module, "", None)
        made = self._project.qualify(home, value.func) if isinstance(value, ast.Call) else None
        return f"{home.name}.{alias}" if made in VARIABLES else None

    def _abstract(self) -> set[str]:
        """The names that are abstract in the class, where abstract names keep it from being made."""
        bases = self._line.bases(self._project)
        if bases.isdisjoint(("abc.ABC", *PROTOCOLS)) and not any(
            self._project.qualify(module, keyword.value) == "abc.ABCMeta"
            for module, node in self._line.owners
            for keyword in node.keywords
            if keyword.arg == "metaclass"
        ):
            return set()
        seen: set[str] = set()
        lacking: set[str] = set()
        for module, node in self._line.owners:
            for name in names_of(node):
                statement = member_node(node, name)
                if name in seen or (
                    isinstance(statement, ast.AnnAssign) and statement.value is None
                ):
                    continue
                seen.add(name)
                marks = statement.decorator_list if isinstance(statement, Function) else []
                if any(self._project.qualify(module, mark) in _ABSTRACT for mark in marks):
                    lacking.add(name)
        return lacking


def of_function(
    module: SourceModule, node: AnyFunction, first: int, variables: Variables
) -> Iterator[Parameter]:
    """The parameters of a function from `first` on."""
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults = len(positional) - len(node.args.defaults)
    every = [(argument, at >= defaults) for at, argument in enumerate(positional)][first:]
    every += [
        (argument, default is not None)
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults)
    ]
    for argument, has_default in every:
        annotation = None if argument.annotation is None else (module, argument.annotation)
        yield Parameter(argument.arg, annotation, has_default, module, argument, variables)


def keeps_signature(project: Project, module: SourceModule, mark: ast.expr) -> bool | None:
    """Whether a decorator keeps what it decorates readable, as `functools.wraps` does; nothing where nobody knows."""
    called = mark.func if isinstance(mark, ast.Call) else mark
    name = project.qualify(module, called)
    if name in _TRANSPARENT:
        return True
    found = project.definition(name) if name else None
    home, body = found or (module, None)
    if not isinstance(body, ast.FunctionDef):
        return None
    inner = [one for one in ast.walk(body) if isinstance(one, Function) and one is not body]
    if not inner:
        # It gives back what it was given, or what only running it would tell.
        given = {argument.arg for argument in body.args.args}
        gives = [node.value for node in ast.walk(body) if isinstance(node, ast.Return)]
        return all(isinstance(one, ast.Name) and one.id in given for one in gives) or None
    wraps = (
        project.qualify(home, one.func) in ("functools.wraps", "functools.update_wrapper")
        for one in ast.walk(body)
        if isinstance(one, ast.Call)
    )
    return any(wraps)


def _constant(call: ast.Call, name: str) -> object:
    """The constant that a call gives by a name."""
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


_TRANSPARENT = (
    "symphony.component",
    "functools.lru_cache",
    "functools.cache",
    "functools.singledispatch",
    "contextlib.contextmanager",
    "contextlib.asynccontextmanager",
    "typing.final",
    "typing.no_type_check",
    "typing_extensions.final",
    "typing_extensions.override",
    "typing_extensions.deprecated",
    "typing.override",
    "warnings.deprecated",
)
