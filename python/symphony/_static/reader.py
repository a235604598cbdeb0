"""Reads classes and functions into specs, from text alone, by the rules of `_components`.

Used by `_static.graphs` and `_static.operations`. The invariant kept here: what cannot be followed is said,
never guessed, and a fault has the words and the place that the boot would give it.
"""

from __future__ import annotations

import ast
from functools import partial
from typing import TYPE_CHECKING

from symphony._components.mark import Options
from symphony._components.places import Function, member_node
from symphony._core import (
    ComponentSpec,
    Diagnostic,
    enter,
    not_injectable,
    parameters_of,
    read_need,
    read_result,
    unfollowed,
)
from symphony._static.annotations import AnnotationLookup
from symphony._static.constructor import Construction, keeps_signature, of_function
from symphony._static.lines import Line
from symphony.exceptions import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symphony._components.places import Definition
    from symphony._static.constructor import AnyFunction, Parameter
    from symphony._static.project import Project, SourceModule

_CACHES = ("functools.lru_cache", "functools.cache")
_MANAGERS = {
    "contextlib.contextmanager": "generator",
    "contextlib.asynccontextmanager": "async-generator",
}


def yields(node: ast.AST) -> bool:
    """Whether a function is a generator: it yields itself and not in a function inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Yield, ast.YieldFrom)):
            return True
        inner = (ast.Lambda, ast.ClassDef, *Function)
        if not isinstance(child, inner) and yields(child):
            return True
    return False


class Reader:
    """Reads definitions into specs.

    Attributes:
        diagnostics: What could not be read so far; notes for what could not be followed.
        incomplete: The definitions of which the text does not tell all that they provide.
    """

    def __init__(self, project: Project) -> None:
        """Reads names through the project's modules."""
        self.project = project
        self.diagnostics: list[Diagnostic] = []
        self.incomplete: set[tuple[str, str]] = set()

    def describe(
        self, module: SourceModule, node: Definition, *, conductor: bool = False
    ) -> ComponentSpec:
        """The spec of a class or function at the top level of a module."""
        qualname = self.project.qualname(module, node)
        spec = ComponentSpec(node.name, None, "class", module.name, qualname)
        spec.file, spec.line, spec.column = module.place(node)
        options = self._options(spec, module, node)
        spec.entered = options.enter
        place = partial(module.place, node)
        if isinstance(node, ast.ClassDef):
            spec.made = f"{module.name}.{qualname}"
            spec.provides.append(spec.made)
            if spec.entered:
                self._tell(enter(spec, AnnotationLookup(self.project), place))
            made = Construction(self.project, spec.made, (module, node))
            taken, fault = parameters_of(spec.name, made, place)
            for home, at, text in made.unknown:
                self._note(spec, home, at, f"`{spec.name}` {text}")
            self._tell(fault)
            self._needs(spec, taken)
        else:
            self._factory(spec, module, node, lenient=conductor or bool(options.provides))
        if spec.made:
            self._steps(spec, spec.made)
        self.diagnostics += options.apply(spec, place)
        return spec

    def _factory(
        self, spec: ComponentSpec, module: SourceModule, node: AnyFunction, *, lenient: bool
    ) -> None:
        """A factory: its parameters say what it needs, its result what it provides."""
        asynchronous = isinstance(node, ast.AsyncFunctionDef)
        kind = "generator" if yields(node) else "function"
        spec.kind = f"async-{kind}" if asynchronous else kind
        first_needed = False
        place = partial(module.place, node)
        for mark in node.decorator_list:
            called = mark.func if isinstance(mark, ast.Call) else mark
            name = self.project.qualify(module, called) or ""
            spec.kind = _MANAGERS.get(name, spec.kind)
            first_needed |= name == "functools.singledispatch"
            if name in _CACHES and spec.kind != "function":
                self._tell(not_injectable(spec.name, "cached", place))
            if not keeps_signature(self.project, module, mark):
                self._note(spec, module, mark, f"`@{ast.unparse(mark)}` around `{spec.name}`")
        taken = list(of_function(module, node, 0, {}))
        if first_needed and taken:
            taken[0] = taken[0]._replace(has_default=False)
        self._needs(spec, taken)
        lookup = AnnotationLookup(self.project)
        result = None if node.returns is None else (module, node.returns)
        fault = read_result(spec, lookup, result, place)
        if fault is not None and fault.severity == "note":
            self.incomplete.add((spec.module, spec.qualname))
        if fault is not None and not (lenient and fault.severity == "error"):
            self._tell(fault)
        if spec.entered and result is not None and spec.made is not None:
            self._tell(enter(spec, lookup, place, result))

    def _steps(self, spec: ComponentSpec, made: str) -> None:
        """Which of the optional steps the class of the made object has, and which are async."""
        owners = Line(self.project, made).owners
        # A generator starts before its `yield` and stops after it.
        for step in ("health",) if spec.kind.endswith("generator") else ("start", "health", "stop"):
            found = (member_node(body, step) for _, body in owners)
            statement = next((one for one in found if isinstance(one, Function)), None)
            if statement is not None:
                asynchronous = isinstance(statement, ast.AsyncFunctionDef)
                setattr(spec, step, "async" if asynchronous else "sync")

    def mark(self, module: SourceModule, node: Definition) -> ast.expr | None:
        """The `@component` of a definition, bare or called."""
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self.project.qualify(module, called) == "symphony.component":
                return decorator
        return None

    def _needs(self, spec: ComponentSpec, taken: Iterable[Parameter]) -> None:
        """The needs of parameters."""
        for one in taken:
            fault = read_need(
                spec,
                AnnotationLookup(self.project, one.variables),
                one.name,
                one.annotation,
                partial(one.module.place, one.place),
                has_default=one.has_default,
                at=one.module.place(one.place),
            )
            self._tell(fault)

    def _options(self, spec: ComponentSpec, module: SourceModule, node: Definition) -> Options:
        """What a literal `@component(...)` says."""
        options = Options()
        mark = self.mark(module, node)
        for keyword in mark.keywords if isinstance(mark, ast.Call) else []:
            value, name = keyword.value, str(keyword.arg)
            if name == "provides":
                keys = value.elts if isinstance(value, ast.Tuple) else [value]
                options.provides = tuple(self._provided(spec, module, key) for key in keys)
                continue
            try:
                said = Options(**{name: ast.literal_eval(value)})
            except InvalidValueError as error:
                file, line, column = module.place(value)
                self.diagnostics.append(
                    Diagnostic(
                        error.code,
                        error.message,
                        file=file,
                        line=line,
                        column=column,
                        path=[spec.name],
                        hint=error.hints[0],
                    )
                )
            except (TypeError, ValueError):
                self._note(spec, module, value, f"`{name}=` of `{spec.name}`")
            else:
                setattr(options, name, getattr(said, name))
        return options

    def _provided(self, spec: ComponentSpec, module: SourceModule, key: ast.expr) -> str | None:
        """One key of `provides=`."""
        name = self.project.qualify(module, key)
        if name is None:
            self.incomplete.add((spec.module, spec.qualname))
            self._note(spec, module, key, f"`provides=` of `{spec.name}`")
        return name

    def _tell(self, fault: Diagnostic | None) -> None:
        if fault is not None:
            self.diagnostics.append(fault)

    def _note(self, spec: ComponentSpec, module: SourceModule, node: ast.AST, what: str) -> None:
        """Something that the text alone does not tell."""
        self.diagnostics.append(unfollowed(spec.name, what, module.place(node)))
