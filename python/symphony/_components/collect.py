"""From what a user registers to what the planner needs to know: a list of `ComponentSpec`.

Called by `boot()` with `components=`, `overrides=` and `conductor=`. The invariants kept here:
nothing that a user wrote is called, only looked at; and a plain class costs a few microseconds, so
places that need the source (`_places`) are found only when a fault is to be told.
"""

from __future__ import annotations

import sys

from symphony._components.annotations import (
    ONE,
    OPTIONAL,
    Scope,
    Unresolved,
    resolve,
    resolve_result,
    text_of,
)
from symphony._components.mark import MARK, Options
from symphony._core import (
    ComponentSpec,
    Diagnostic,
    NeedSpec,
    annotation_fault,
    main_thread_faults,
    qualify,
    stand_in,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_FUNCTION: Any = type(lambda: None)
_METHOD: Any = type(Scope({}, {}, {}, {}).__getitem__)
_MODULE: Any = type(sys)  # pyright: ignore[reportUnknownVariableType]
_OBJECT_INIT: Any = object.__init__
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_VARIABLE_POSITIONAL = 0x04
_EMPTY: dict[str, Any] = {}
_ONLY_OBJECT = (object,)


class Factory:
    """Marks a value of `overrides=` as what makes the instance, not as the instance."""

    __slots__ = ("target",)

    def __init__(self, target: Callable[..., Any]) -> None:
        """Keeps the callable."""
        self.target = target


def factory(target: Callable[..., Any]) -> Factory:
    """Says that a callable in `overrides=` is a factory and not the instance itself.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(target):
        raise TypeError(f"`factory()` takes a callable, not `{type(target).__name__}`")
    return Factory(target)


class Collected:
    """What `boot()` hands to the planner.

    Attributes:
        specs: The components, in the order of their registration, overrides in place.
        replaced: The names of Symphony's own parts that overrides stand in for.
        diagnostics: What could not be read; the plan fails with these too.
    """

    __slots__ = ("diagnostics", "replaced", "specs")

    def __init__(self) -> None:
        """Holds nothing yet."""
        self.specs: list[ComponentSpec] = []
        self.replaced: list[str] = []
        self.diagnostics: list[Diagnostic] = []


class Collector:
    """Reads targets into specs; one for each boot, so that two systems do not see each other.

    Attributes:
        diagnostics: What could not be read so far.
    """

    __slots__ = ("_imports", "_namespace", "_registered", "_siblings", "diagnostics")

    def __init__(self, namespace: Mapping[str, Any] | None = None) -> None:
        """Takes the names that the caller of `boot()` sees, for classes made in a function."""
        self._imports: dict[str, Mapping[str, Callable[[], Any]]] = {}
        self._namespace: Mapping[str, Any] = _EMPTY if namespace is None else namespace
        self._registered: list[Any] = []
        self._siblings: dict[tuple[str, str], dict[str, Any]] | None = None
        self.diagnostics: list[Diagnostic] = []

    def register(self, targets: Iterable[Any]) -> None:
        """Lets annotations find classes that the body of the same function defines."""
        self._registered.extend(targets)
        self._siblings = None

    def describe(self, target: Any, *, conductor: bool = False) -> ComponentSpec:
        """The spec of a class or a factory.

        Args:
            target: What to call.
            conductor: It is the Conductor's: it need not say what it makes.

        Raises:
            TypeError: It is neither a class nor a callable.
        """
        if isinstance(target, type):
            return self._class(target)
        if type(target) is _FUNCTION:
            return self._function(target, target, 0, (), conductor)
        if type(target) is _METHOD:
            return self._function(target, target.__func__, 1, (), conductor)
        partial = getattr(target, "func", None)
        if partial is not None and hasattr(target, "keywords"):
            bound = tuple(target.keywords)
            inner = getattr(partial, "__func__", partial)
            first = len(target.args) + (1 if inner is not partial else 0)
            if type(inner) is _FUNCTION:
                return self._function(target, inner, first, bound, conductor)
        call = getattr(type(target), "__call__", None)  # noqa: B004 - its function is asked for.
        if type(call) is _FUNCTION:
            return self._function(target, call, 1, (), conductor)
        if callable(target):
            return self._function(target, None, 0, (), conductor)
        raise TypeError(f"a component is a class or a callable, not `{type(target).__name__}`")

    def _class(self, target: type) -> ComponentSpec:
        """A class: its `__init__` says what it needs, it provides itself."""
        options: Options | None = target.__dict__.get(MARK)
        name = target.__name__
        spec = ComponentSpec(name, target, "class", target.__module__, target.__qualname__)
        spec.made = target
        spec.provides.append(target)
        initializer: Any = target.__init__  # type: ignore[misc]
        if initializer is not _OBJECT_INIT:
            if hasattr(initializer, "__wrapped__"):
                initializer = _unwrapped(initializer)
            if type(initializer) is _FUNCTION:
                spec.file = initializer.__code__.co_filename
                spec.line = initializer.__code__.co_firstlineno
                self._needs(spec, initializer, 1, ())
        lifecycle(spec, target)
        if options is not None:
            self._apply(spec, options)
        return spec

    def _function(
        self, target: Any, function: Any, first: int, bound: tuple[str, ...], conductor: bool
    ) -> ComponentSpec:
        """A factory: its parameters say what it needs, its result what it provides."""
        named = target if function is None or hasattr(target, "__name__") else function
        name = getattr(named, "__name__", None) or type(target).__name__
        if function is not None and named is function and function.__name__ == "__call__":
            name = type(target).__name__
        module = getattr(target, "__module__", None) or ""
        qualname = getattr(named, "__qualname__", name)
        spec = ComponentSpec(name, target, "function", module, qualname)
        options: Options | None = getattr(target, MARK, None)
        if function is not None:
            flags = function.__code__.co_flags
            if flags & _GENERATOR:
                spec.kind = "generator"
            elif flags & _COROUTINE:
                spec.kind = "async-function"
            elif flags & _ASYNC_GENERATOR:
                spec.kind = "async-generator"
            if hasattr(function, "__wrapped__"):
                function = _unwrapped(function)
            spec.file = function.__code__.co_filename
            spec.line = function.__code__.co_firstlineno
            self._needs(spec, function, first, bound)
            said = options is not None and bool(options.provides)
            self._result(spec, target, function, conductor or said)
        elif not conductor:
            self._unresolved(spec, is_function=False)
        if options is not None:
            self._apply(spec, options)
        return spec

    def _needs(
        self, spec: ComponentSpec, function: Any, first: int, bound: tuple[str, ...]
    ) -> None:
        """Reads the parameters from `first` on, but those that are bound already."""
        code = function.__code__
        count = code.co_argcount
        total = count + code.co_kwonlyargcount
        if total == first:
            return
        annotations = function.__annotations__
        defaults = count - len(function.__defaults__ or ())
        keyword_defaults = function.__kwdefaults__ or _EMPTY
        names = code.co_varnames
        scope: Scope | None = None
        for index in range(first, total):
            parameter = names[index]
            annotation = annotations.get(parameter, _EMPTY)
            has_default = index >= defaults if index < count else parameter in keyword_defaults
            if parameter in bound or (annotation is _EMPTY and has_default):
                continue
            key, kind, handle, named = annotation, ONE, False, None
            if type(annotation) is not type:
                if annotation is _EMPTY:
                    self._unresolved(spec, parameter)
                    continue
                if scope is None:
                    scope = self._scope(function, spec.module, spec.qualname)
                try:
                    key, kind, handle, named = resolve(
                        annotation, self._scope_of_field(spec, parameter, annotation) or scope
                    )
                except Unresolved as error:
                    self._unresolved(spec, parameter, error.text)
                    continue
            if has_default:
                if getattr(key, "__module__", None) == "builtins":
                    continue
                kind = OPTIONAL if kind == ONE else kind
            need = NeedSpec(parameter, key, kind, handle, named, spec.file, spec.line)
            need.default = has_default
            need.positional = index < code.co_posonlyargcount
            spec.needs.append(need)

    def _result(self, spec: ComponentSpec, target: Any, function: Any, lenient: bool) -> None:
        """What a factory provides, and the life of what it makes."""
        annotation = function.__annotations__.get("return", _EMPTY)
        owner = getattr(target, "__self__", None)
        if isinstance(owner, type) and (
            annotation is _EMPTY or text_of(annotation) in ("Self", owner.__name__)
        ):
            annotation = owner
        if annotation is _EMPTY:
            if not lenient:
                self._unresolved(spec)
            return
        try:
            key = resolve_result(
                annotation, spec.kind, self._scope(function, spec.module, spec.qualname)
            )
        except Unresolved as error:
            if not lenient:
                self._unresolved(spec, text=error.text)
            return
        if key is None:
            return
        spec.made = key
        spec.provides.append(key)
        if isinstance(key, type):
            lifecycle(spec, key)

    def _apply(self, spec: ComponentSpec, options: Options) -> None:
        """Lays what `@component` says over what the annotations say."""
        if options.name is not None:
            spec.name = options.name
            spec.named = True
        spec.phase = options.phase
        spec.timeout = options.timeout
        spec.required = options.required
        spec.main_thread = options.main_thread
        for key in options.provides:
            if key not in spec.provides:
                spec.provides.append(key)
        if spec.main_thread:
            self.diagnostics += main_thread_faults(
                spec.name, spec.phase, spec.is_async, lambda: _place(spec)
            )

    def _scope(self, function: Any, module: str, qualname: str) -> Scope:
        """Where the string annotations of a function are looked up."""
        body, inside, _ = qualname.rpartition("<locals>.")
        if not inside:
            return Scope(function.__globals__, self._imports, _EMPTY, _EMPTY)
        siblings = self._bodies().get((module, body), _EMPTY)
        return Scope(function.__globals__, self._imports, siblings, self._namespace)

    def _scope_of_field(self, spec: ComponentSpec, parameter: str, annotation: Any) -> Scope | None:
        """Where a data class names the type of a field that it has from a class of another module."""
        if spec.kind != "class" or not isinstance(annotation, str):
            return None
        made: type = spec.target
        if "__dataclass_fields__" not in made.__dict__:
            return None
        for owner in made.__mro__:
            if parameter in vars(owner).get("__annotations__", _EMPTY):
                module = sys.modules.get(owner.__module__)
                if owner is made or module is None:
                    return None
                body, inside, _ = owner.__qualname__.rpartition("<locals>.")
                siblings = (
                    self._bodies().get((owner.__module__, body), _EMPTY) if inside else _EMPTY
                )
                namespace = self._namespace if inside else _EMPTY
                return Scope(module.__dict__, self._imports, siblings, namespace)
        return None

    def _bodies(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Registered classes by the function body that defined them."""
        if self._siblings is None:
            self._siblings = {}
            for target in self._registered:
                body, inside, name = getattr(target, "__qualname__", "").rpartition("<locals>.")
                if inside and isinstance(target, type):
                    key = (target.__module__, body)
                    self._siblings.setdefault(key, {})[name] = target
        return self._siblings

    def _unresolved(
        self,
        spec: ComponentSpec,
        parameter: str | None = None,
        text: str | None = None,
        *,
        is_function: bool = True,
    ) -> None:
        """Notes an annotation that cannot be used."""
        fault = annotation_fault(
            spec.name,
            spec.module,
            lambda: _place(spec, parameter),
            parameter=parameter,
            text=text,
            is_function=is_function,
        )
        self.diagnostics.append(fault)


def _place(spec: ComponentSpec, parameter: str | None = None) -> tuple[str | None, int, int]:
    """Where a person wrote it; asked only for a fault, because it reads the source."""
    from symphony._components.places import place

    return place(spec, parameter)


def _unwrapped(function: Any) -> Any:
    """The function that decorators wrapped, as `inspect.signature` finds it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def lifecycle(spec: ComponentSpec, made: type) -> None:
    """Which of the optional steps the made object has, and whether each is async.

    A generator starts before its `yield` and stops after it, so it takes over only the health.
    """
    if made.__bases__ == _ONLY_OBJECT:
        # Most classes have no step; asking their own dictionary costs a third of `getattr`.
        body = made.__dict__
        if "start" not in body and "health" not in body and "stop" not in body:
            return
    health = getattr(made, "health", None)
    if health is not None:
        spec.health = _step(health)
    if spec.kind in ("generator", "async-generator"):
        return
    start = getattr(made, "start", None)
    if start is not None:
        spec.start = _step(start)
    stop = getattr(made, "stop", None)
    if stop is not None:
        spec.stop = _step(stop)


def _step(method: Any) -> str:
    """`async` for a coroutine function, `sync` for another callable, nothing for the rest."""
    code = getattr(method, "__code__", None)
    if code is None:
        return "sync" if callable(method) else ""
    return "async" if code.co_flags & _COROUTINE else "sync"


def collect(
    components: Iterable[Any] = (),
    overrides: Mapping[Any, Any] | None = None,
    *,
    namespace: Mapping[str, Any] | None = None,
) -> Collected:
    """Reads `components=` and `overrides=` of `boot()`.

    Args:
        components: Classes, factories, modules, names of modules.
        overrides: Replacements by type.
        namespace: The local names of the caller of `boot()`.

    Raises:
        BootError: A named module cannot be imported.
        TypeError: Something else than the above stands there.
    """
    collected = Collected()
    collector = Collector(namespace)
    collected.diagnostics = collector.diagnostics
    targets: list[Any] = []
    for item in components:
        if isinstance(item, (str, _MODULE)):
            from symphony._components.scan import scan

            targets.extend(scan(item))
        elif isinstance(item, type) or callable(item):
            targets.append(item)
        else:
            raise TypeError(
                "`components` takes classes, functions, modules and names of modules, "
                f"not `{type(item).__name__}`; an instance goes into `overrides`"
            )
    collector.register(targets)
    if overrides:
        collector.register(value for value in overrides.values() if isinstance(value, type))
    # A spec whose annotations cannot be resolved may be one that an override takes away, with its
    # faults.
    for target in targets:
        before = len(collector.diagnostics)
        spec = collector.describe(target)
        faults = collector.diagnostics[before:]
        if faults and (
            (overrides and any(key in overrides for key in spec.provides))
            # The same thing twice is one fault, and not each of its faults twice.
            or any(spec.target is other.target for other in collected.specs)
        ):
            del collector.diagnostics[before:]
        collected.specs.append(spec)
    for key, replacement in (overrides or _EMPTY).items():
        spec = _replacement(collector, key, replacement)
        collected.replaced.extend(stand_in(collected.specs, key, spec))
    if len({spec.name for spec in collected.specs}) < len(collected.specs):
        qualify(collected.specs)
    collected.diagnostics.extend(_contract_faults(collected.specs))
    return collected


def _contract_faults(specs: list[ComponentSpec]) -> list[Diagnostic]:
    """What provides a `Protocol` and does not have what that asks for.

    Most components provide nothing but themselves, and none of this is imported for them.
    """
    for spec in specs:
        if len(spec.provides) > 1 or spec.kind == "instance":
            for key in spec.provides:
                if getattr(key, "_is_protocol", False):
                    from symphony._components.contracts import contract_faults

                    return contract_faults(specs)
    return []


def describe_conductor(
    conductor: Any, namespace: Mapping[str, Any] | None = None
) -> tuple[ComponentSpec, list[Diagnostic]]:
    """The spec of the Conductor's class or factory, and what could not be read of it.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(conductor):
        raise TypeError(
            f'`conductor` takes a class, a function or `"module:callable"`, not an instance of '
            f"`{type(conductor).__name__}`"
        )
    collector = Collector(namespace)
    spec = collector.describe(conductor, conductor=True)
    return spec, collector.diagnostics + _contract_faults([spec])


def _replacement(collector: Collector, key: Any, replacement: Any) -> ComponentSpec:
    """A class or plain function is a factory; any other value, callable or not, the instance."""
    if isinstance(replacement, Factory):
        return collector.describe(replacement.target, conductor=True)
    if isinstance(replacement, type) or type(replacement) is _FUNCTION:
        return collector.describe(replacement, conductor=True)
    made: type = type(replacement)
    spec = ComponentSpec(text_of(key), replacement, "instance", made.__module__, made.__qualname__)
    spec.made = made
    return spec
