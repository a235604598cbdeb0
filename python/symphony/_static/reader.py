"""Reads classes and functions into specs, from text alone, by the rules of `_components`.

Used by `_source` and `_graph_source`. The invariant kept here: what cannot be followed is said,
never guessed, and a fault has the words and the place that the boot would give it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from symphony._components.places import Function
from symphony._core import (
    ComponentSpec,
    Diagnostic,
    NeedSpec,
    annotation_fault,
    known_phase,
    main_thread_faults,
    unfollowed,
)
from symphony._static.annotations import AnnotationReader, Unfollowed, Untold
from symphony.exceptions import InvalidValueError

if TYPE_CHECKING:
    from symphony._components.places import Definition
    from symphony._static.project import Project, SourceModule

_ITERATORS = tuple(
    f"{module}.{name}"
    for module in ("typing", "collections.abc")
    for name in (
        "Iterator",
        "Iterable",
        "Generator",
        "AsyncIterator",
        "AsyncIterable",
        "AsyncGenerator",
    )
)
PROTOCOLS = ("typing.Protocol", "typing_extensions.Protocol")
_WITHOUT_INIT = ("builtins.object", "typing.Protocol", "typing.Generic", "abc.ABC")
# What a class of the package needs, where a user's class inherits its `__init__`.
_KNOWN_NEEDS = {
    f"symphony.{name}": [("kit", "symphony.OrchestraKit")]
    for name in ("Conductor", "Fifo", "ShortestRemaining", "WarmFirst", "TorchPolicy")
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
        self.annotations = AnnotationReader(project)

    def describe(
        self, module: SourceModule, node: Definition, *, conductor: bool = False
    ) -> ComponentSpec:
        """The spec of a class or function at the top level of a module."""
        kind = "class"
        if isinstance(node, Function):
            asynchronous = isinstance(node, ast.AsyncFunctionDef)
            kind = "generator" if yields(node) else "function"
            kind = f"async-{kind}" if asynchronous else kind
        qualname = self.project.qualname(module, node)
        spec = ComponentSpec(node.name, None, kind, module.name, qualname)
        spec.file, spec.line, spec.column = module.place(node)
        if isinstance(node, ast.ClassDef):
            spec.made = f"{module.name}.{qualname}"
            spec.provides.append(spec.made)
            self._class_needs(spec, module, node)
        else:
            self._needs(spec, module, node, 0)
            mark = self.mark(module, node)
            options = mark.keywords if isinstance(mark, ast.Call) else []
            said = any(option.arg == "provides" for option in options)
            self._result(spec, module, node, lenient=conductor or said)
        if spec.made:
            self._steps(spec, spec.made)
        self._options(spec, module, node)
        if spec.main_thread:
            self.diagnostics += main_thread_faults(
                spec.name, spec.phase, spec.is_async, lambda: module.place(node)
            )
        return spec

    def _steps(self, spec: ComponentSpec, made: str, depth: int = 0) -> None:
        """Which of the optional steps the class of the made object has, and which are async."""
        found = self.project.definition(made)
        if found is None or depth > 20:
            return
        module, node = found
        if not isinstance(node, ast.ClassDef):
            return
        for statement in node.body:
            if isinstance(statement, Function) and statement.name in ("start", "health", "stop"):
                if spec.kind.endswith("generator") and statement.name != "health":
                    continue
                asynchronous = isinstance(statement, ast.AsyncFunctionDef)
                setattr(spec, statement.name, "async" if asynchronous else "sync")
        # What a class does not define itself it has from the first base that does.
        for base in node.bases:
            name = self.project.qualify(module, base)
            inherited = ComponentSpec("", None, spec.kind, "", "")
            if name is not None:
                self._steps(inherited, name, depth + 1)
            spec.start = spec.start or inherited.start
            spec.health = spec.health or inherited.health
            spec.stop = spec.stop or inherited.stop

    def mark(self, module: SourceModule, node: Definition) -> ast.expr | None:
        """The `@component` of a definition, bare or called."""
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self.project.qualify(module, called) == "symphony.component":
                return decorator
        return None

    def _class_needs(
        self, spec: ComponentSpec, module: SourceModule, node: ast.ClassDef, depth: int = 0
    ) -> None:
        """The parameters of the `__init__` that a class has or inherits."""
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                self._needs(spec, module, statement, 1)
                return
        if any(self._is_dataclass(module, mark) for mark in node.decorator_list):
            self._fields(spec, module, node)
            return
        for base in node.bases:
            plain = base.value if isinstance(base, ast.Subscript) else base
            name = self.project.qualify(module, plain)
            if name in _WITHOUT_INIT or name in PROTOCOLS:
                continue
            if name in _KNOWN_NEEDS:
                for parameter, key in _KNOWN_NEEDS[name]:
                    need = NeedSpec(parameter, key, "one", False, None, spec.file, spec.line)
                    spec.needs.append(need)
                return
            found = self.project.definition(name) if name else None
            if found is None or not isinstance(found[1], ast.ClassDef) or depth > 20:
                text = ast.unparse(base)
                self._note(spec, module, base, f"`{spec.name}` inherits from `{text}`")
                return
            before = len(spec.needs)
            self._class_needs(spec, found[0], found[1], depth + 1)
            if len(spec.needs) > before:
                return

    def _is_dataclass(self, module: SourceModule, mark: ast.expr) -> bool:
        called = mark.func if isinstance(mark, ast.Call) else mark
        return self.project.qualify(module, called) == "dataclasses.dataclass"

    def _fields(
        self, spec: ComponentSpec, module: SourceModule, node: ast.ClassDef, depth: int = 0
    ) -> None:
        """The fields of a data class that its `__init__` takes, those of its bases first."""
        fields: dict[str, tuple[SourceModule, ast.AnnAssign, bool]] = {}
        self._collect_fields(fields, module, node, depth)
        for name, (home, field, has_default) in fields.items():
            self._need(spec, home, name, field.annotation, field, has_default=has_default)

    def _collect_fields(
        self,
        fields: dict[str, tuple[SourceModule, ast.AnnAssign, bool]],
        module: SourceModule,
        node: ast.ClassDef,
        depth: int,
    ) -> None:
        """Adds the fields of a data class; one that stands again keeps its place in the order."""
        for base in reversed(node.bases):
            name = self.project.qualify(module, base)
            found = self.project.definition(name) if name else None
            if found is None or depth > 20:
                continue
            home, body = found
            marked = any(self._is_dataclass(home, mark) for mark in body.decorator_list)
            if marked and isinstance(body, ast.ClassDef):
                self._collect_fields(fields, home, body, depth + 1)
        for statement in node.body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(
                statement.target, ast.Name
            ):
                continue
            kind = statement.annotation
            plain = kind.value if isinstance(kind, ast.Subscript) else kind
            if isinstance(plain, ast.Constant) and isinstance(plain.value, str):
                plain = ast.Name(plain.value.partition("[")[0].rpartition(".")[2], ast.Load())
            if ast.unparse(plain).rpartition(".")[2] in ("ClassVar", "KW_ONLY"):
                continue
            default = self._field_default(module, statement.value)
            if default is not None:
                fields[statement.target.id] = (module, statement, default)

    def _field_default(self, module: SourceModule, value: ast.expr | None) -> bool | None:
        """Whether a field has a default; nothing where it is no parameter."""
        if (
            not isinstance(value, ast.Call)
            or self.project.qualify(module, value.func) != "dataclasses.field"
        ):
            return value is not None
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        init = given.get("init")
        if isinstance(init, ast.Constant) and init.value is False:
            return None
        return "default" in given or "default_factory" in given

    def _needs(
        self,
        spec: ComponentSpec,
        module: SourceModule,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        first: int,
    ) -> None:
        """The annotated parameters of a function from `first` on."""
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = len(positional) - len(node.args.defaults)
        every = [(argument, at >= defaults) for at, argument in enumerate(positional)][first:]
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults):
            every.append((argument, default is not None))
        for argument, has_default in every:
            name = argument.arg
            self._need(spec, module, name, argument.annotation, argument, has_default=has_default)

    def _need(
        self,
        spec: ComponentSpec,
        module: SourceModule,
        parameter: str,
        annotation: ast.expr | None,
        place: ast.AST,
        *,
        has_default: bool,
    ) -> None:
        """One parameter, by the rules of `_components.Collector`."""
        if annotation is None:
            if not has_default:
                self._unusable(spec, module, place, parameter)
            return
        try:
            key, kind, handle, named = self.annotations.read(module, annotation)
        except Unfollowed as error:
            self._unusable(spec, module, place, parameter, str(error))
            return
        except Untold as error:
            self._note(spec, module, place, f"`{spec.name}` needs `{error}`")
            return
        if has_default:
            if key.startswith("builtins."):
                return
            kind = "optional" if kind == "one" else kind
        need = NeedSpec(parameter, key, kind, handle, named, *module.place(place))
        need.default = has_default
        spec.needs.append(need)

    def _result(  # noqa: C901 - one case for each form.
        self,
        spec: ComponentSpec,
        module: SourceModule,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        *,
        lenient: bool,
    ) -> None:
        """What a function provides."""
        made = node.returns
        if made is None:
            if not lenient:
                self._unusable(spec, module, node)
            return
        if isinstance(made, ast.Constant) and isinstance(made.value, str):
            try:
                made = ast.parse(made.value.strip(), mode="eval").body
            except SyntaxError:
                made = ast.Constant(None)  # What it makes is told by its import.
        if (
            spec.kind.endswith("generator")
            and isinstance(made, ast.Subscript)
            and self.project.qualify(module, made.value) in _ITERATORS
        ):
            inner = made.slice
            made = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
        elif spec.kind.endswith("generator"):
            if not lenient:
                self._unusable(spec, module, node, text=ast.unparse(made))
            return
        if isinstance(made, ast.Constant) and made.value is None:
            return
        try:
            spec.made = self.annotations.read(module, made)[0]
            spec.provides.append(spec.made)
        except Unfollowed as error:
            if not lenient:
                self._unusable(spec, module, node, text=str(error))
        except Untold as error:
            self.incomplete.add((spec.module, spec.qualname))
            self._note(spec, module, node, f"`{spec.name}` makes `{error}`")

    def _options(  # noqa: C901 - one case for each option.
        self, spec: ComponentSpec, module: SourceModule, node: Definition
    ) -> None:
        """What a literal `@component(...)` says."""
        mark = self.mark(module, node)
        for keyword in mark.keywords if isinstance(mark, ast.Call) else []:
            value = keyword.value
            if keyword.arg == "provides":
                keys = value.elts if isinstance(value, ast.Tuple) else [value]
                for key in keys:
                    name = self.project.qualify(module, key)
                    if name is None:
                        self.incomplete.add((spec.module, spec.qualname))
                        self._note(spec, module, key, f"`provides=` of `{spec.name}`")
                    elif name not in spec.provides:
                        spec.provides.append(name)
            elif not isinstance(value, ast.Constant):
                self._note(spec, module, value, f"`{keyword.arg}=` of `{spec.name}`")
            elif keyword.arg == "name" and isinstance(value.value, str):
                spec.name, spec.named = value.value, True
            elif keyword.arg == "phase" and isinstance(value.value, str):
                try:
                    known_phase(value.value)
                    spec.phase = value.value
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
            elif keyword.arg == "required":
                spec.required = bool(value.value)
            elif keyword.arg == "main_thread":
                spec.main_thread = bool(value.value)
            elif keyword.arg == "timeout" and isinstance(value.value, (int, float)):
                spec.timeout = float(value.value)

    def _unusable(
        self,
        spec: ComponentSpec,
        module: SourceModule,
        node: ast.AST,
        parameter: str | None = None,
        text: str | None = None,
    ) -> None:
        """An annotation that cannot be used."""
        fault = annotation_fault(
            spec.name, spec.module, lambda: module.place(node), parameter=parameter, text=text
        )
        self.diagnostics.append(fault)

    def _note(self, spec: ComponentSpec, module: SourceModule, node: ast.AST, what: str) -> None:
        """Something that the text alone does not tell."""
        self.diagnostics.append(unfollowed(spec.name, what, module.place(node)))
