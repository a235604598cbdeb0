"""From what a user registers to what the planner needs to know: a list of `ComponentSpec`.

Called by `boot()` with `components=`, `overrides=` and `conductor=`. The invariants kept here:
nothing that a user wrote is called, only looked at; and a plain class costs a few microseconds, so
places that need the source (`_places`) are found only when a fault is to be told.
"""

from __future__ import annotations

import sys

from symphony._components.annotations import Scope, text_of, unwrapped
from symphony._components.constructor import (
    dispatched,
    is_generated,
    life_of,
    of_class,
    of_function,
    variables,
)
from symphony._components.mark import MARK, Options
from symphony._core import (
    ComponentSpec,
    Diagnostic,
    NeedSpec,
    annotation_fault,
    enter,
    not_injectable,
    qualify,
    read_need,
    read_result,
    settle_names,
    stand_in,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from symphony._components.constructor import Parameter

_FUNCTION: Any = type(lambda: None)
_MODULE: Any = type(sys)  # pyright: ignore[reportUnknownVariableType]
_NOTHING: Any = type(None)
_COROUTINE = 0x80
ONE = "one"
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


class _Given:
    """An object of `components=`."""

    __slots__ = ("instance",)

    def __init__(self, instance: Any) -> None:
        """Keeps it."""
        self.instance = instance


class Collected:
    """What `boot()` hands to the planner.

    Attributes:
        specs: The components, in the order of their registration, overrides in place.
        replaced: The names of Symphony's own parts that overrides stand in for.
        apart: Overrides that stand in for no component, by their keys.
        diagnostics: What could not be read; the plan fails with these too.
    """

    __slots__ = ("apart", "diagnostics", "replaced", "specs")

    def __init__(self) -> None:
        """Holds nothing yet."""
        self.specs: list[ComponentSpec] = []
        self.replaced: list[str] = []
        self.apart: list[tuple[Any, ComponentSpec]] = []
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
        called, first, bound = target, 0, ()
        is_partial = not isinstance(target, type) and hasattr(target, "func")
        if is_partial and type(getattr(target, "keywords", None)) is dict:
            # A mock would have any attribute, and a class may have one of that name.
            called, first, bound = target.func, len(target.args), tuple(target.keywords)
        origin = getattr(called, "__origin__", None)
        if isinstance(called, type) or isinstance(origin, type):
            kind = origin if isinstance(origin, type) else called
            return self._class(target, called, kind, first, bound)
        if callable(called):
            return self._function(target, called, first, bound, conductor)
        raise TypeError(f"a component is a class or a callable, not `{type(target).__name__}`")

    def describe_stand_in(self, new: Any, name: str) -> ComponentSpec:
        """The spec of what is to stand in for a component.

        Args:
            new: A class or plain function is a factory, as what `factory()` marks; any other value, callable or not, is
                the instance.
            name: What an instance is called.
        """
        if isinstance(new, (Factory, type)) or type(new) is _FUNCTION:
            target = new.target if isinstance(new, Factory) else new
            return self.describe(target, conductor=True)
        made: type = type(new)
        spec = ComponentSpec(name, new, "instance", made.__module__, made.__qualname__)
        spec.made = made
        return spec

    def describe_given(self, given: Any) -> ComponentSpec:
        """The spec of an object of `components=`: what its class would have made, which needs nothing any more."""
        kind: type = type(given)
        options: Options | None = kind.__dict__.get(MARK)
        entered = options is not None and options.enter
        # What is entered is a generator's life: it is made, by what gives it.
        target, form = ((lambda: given), "class") if entered else (given, "instance")
        spec = ComponentSpec(kind.__name__, target, form, kind.__module__, kind.__qualname__)
        spec.made = kind
        spec.provides.append(kind)
        if entered:
            spec.entered = True
            self._tell(enter(spec, Scope, _place(spec)))
        lifecycle(spec, kind)
        if options is not None:
            self.diagnostics += options.apply(spec, _place(spec))
        return spec

    def _class(
        self, target: Any, made: Any, kind: type, first: int, bound: tuple[str, ...]
    ) -> ComponentSpec:
        """A class, also as `partial` or with its type variables: it provides itself."""
        options: Options | None = kind.__dict__.get(MARK)
        name = kind.__name__
        if made is not kind:
            name += f"[{', '.join(text_of(argument) for argument in made.__args__)}]"
        spec = ComponentSpec(name, target, "class", kind.__module__, kind.__qualname__)
        spec.made = made
        spec.provides.append(made)
        initializer: Any = kind.__init__  # type: ignore[misc]
        if type(initializer) is _FUNCTION:
            spec.file = initializer.__code__.co_filename
            spec.line = initializer.__code__.co_firstlineno
        if options is not None and options.enter:
            spec.entered = True
            self._tell(enter(spec, Scope, _place(spec)))
        taken, fault = of_class(kind, name, _place(spec))
        self._tell(fault)
        self._needs(spec, taken, first, bound, kind)
        lifecycle(spec, kind)
        if options is not None:
            self.diagnostics += options.apply(spec, _place(spec))
        return spec

    def _tell(self, fault: Diagnostic | None) -> None:
        if fault is not None:
            self.diagnostics.append(fault)

    def _function(
        self, target: Any, called: Any, first: int, bound: tuple[str, ...], conductor: bool
    ) -> ComponentSpec:
        """A factory: its parameters say what it needs, its result what it provides."""
        # A method is bound to its first argument, and an object is called by its class's `__call__`.
        plain = getattr(called, "__func__", called)
        function = unwrapped(plain)
        if type(function) is not _FUNCTION:
            plain = getattr(type(called), "__call__", None)  # noqa: B004 - its function is asked for.
            function = unwrapped(plain)
            called = function if type(function) is _FUNCTION else called
            first += 1
        elif plain is not called:
            first += 1
        named = target if hasattr(target, "__name__") else called
        name = getattr(named, "__name__", "__call__")
        name = type(target).__name__ if name == "__call__" else name
        module = getattr(called, "__module__", None) or ""
        qualname = getattr(named, "__qualname__", name)
        spec = ComponentSpec(name, target, "function", module, qualname)
        options: Options | None = getattr(target, MARK, None)
        if type(function) is _FUNCTION:
            spec.file = function.__code__.co_filename
            spec.line = function.__code__.co_firstlineno
            spec.kind = life_of(plain, function)
            if options is not None and options.enter:
                spec.entered = True
            taken = of_function(function, first)
            if hasattr(plain, "dispatch") and hasattr(plain, "registry"):
                taken = dispatched(taken)
            self._needs(spec, taken, 0, bound, None)
            said = options is not None and bool(options.provides)
            self._result(spec, target, function, conductor or said)
            if spec.kind != "function" and hasattr(plain, "cache_info"):
                self._tell(not_injectable(spec.name, "cached", _place(spec)))
        elif not conductor:
            self._tell(annotation_fault(spec.name, spec.module, _place(spec), is_function=False))
        if options is not None:
            self.diagnostics += options.apply(spec, _place(spec))
        return spec

    def _needs(
        self,
        spec: ComponentSpec,
        taken: Iterable[Parameter],
        first: int,
        bound: tuple[str, ...],
        kind: type | None,
    ) -> None:
        """The needs of parameters, but of those that are bound already."""
        scope, known = None, _EMPTY
        needs = spec.needs
        for parameter, annotation, has_default, positional, function in taken:
            if first > 0:
                first -= 1
                continue
            if parameter in bound:
                continue
            if type(annotation) is type and not has_default and annotation is not _NOTHING:
                need = NeedSpec(parameter, annotation, ONE, False, None, spec.file, spec.line)
                if positional:
                    need.positional = True
                needs.append(need)
                continue
            if scope is None or known is not function or is_generated(function):
                scope, known = self._scope(function, spec, parameter, kind), function
            fault = read_need(
                spec,
                scope,
                parameter,
                annotation,
                _place(spec, parameter),
                has_default=has_default,
                positional=positional,
            )
            self._tell(fault)

    def _result(self, spec: ComponentSpec, target: Any, function: Any, lenient: bool) -> None:
        """What a factory provides, and the life of what it makes."""
        annotations = function.__annotations__
        annotation = annotations.get("return", "None" if "return" in annotations else None)
        owner = getattr(target, "__self__", None)
        if isinstance(owner, type) and (
            annotation is None or text_of(annotation) in ("Self", owner.__name__)
        ):
            annotation = owner
        scope = self._scope(function, spec, None, None)
        fault = read_result(spec, scope, annotation, _place(spec))
        if not lenient:
            self._tell(fault)
        if spec.entered and fault is None and spec.made is not None:
            self._tell(enter(spec, scope, _place(spec), annotation))
        if isinstance(spec.made, type):
            lifecycle(spec, spec.made)

    def _scope(
        self, function: Any, spec: ComponentSpec, parameter: str | None, kind: type | None
    ) -> Scope:
        """Where the annotations of a function are looked up; of what a class decorator made, where its field is."""
        names = _EMPTY if function is None else function.__globals__
        module, qualname = spec.module, spec.qualname
        stand: Any = _EMPTY
        if kind is not None:
            owner = _owner(kind, function, parameter)
            if is_generated(function):
                names = _names_of_fields(owner, names)
                module, qualname = owner.__module__, owner.__qualname__
            given = getattr(spec.made, "__args__", ())
            known = dict(zip(getattr(kind, "__parameters__", ()), given))
            stand = variables(kind, owner, known)
        body, inside, _ = qualname.rpartition("<locals>.")
        siblings = self._bodies().get((module, body), _EMPTY) if inside else _EMPTY
        if stand:
            siblings = {**siblings, **{one.__name__: known for one, known in stand.items()}}
        return Scope(names, self._imports, siblings, self._namespace if inside else _EMPTY, stand)

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


def _owner(kind: type, function: Any, parameter: str | None) -> type:
    """The class of a line that wrote a parameter: its constructor, or its field."""
    if is_generated(function):
        for owner in kind.__mro__:
            fields = vars(owner).get("__annotations__", _EMPTY)
            if parameter in fields or f"_{parameter}" in fields:
                return owner
    if function is not None:
        for owner in kind.__mro__:
            written = vars(owner).get(function.__name__)
            if unwrapped(getattr(written, "__func__", written)) is function:
                return owner
    return kind


def _names_of_fields(owner: type, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names that the fields of a class are written with: its module's, and those of its constructor.

    What looks made from fields may be written by a person, where the code has no file: at a prompt, in a text that is
    executed. That has the names it was executed with, and its module is any, or none.
    """
    module = sys.modules.get(owner.__module__)
    if module is None or module is sys.modules["builtins"]:
        return own
    names = vars(module)
    return names if own is names else {**own, **names}


def _place(spec: ComponentSpec, parameter: str | None = None) -> Callable[[], Any]:
    """What tells where a person wrote it; asked only for a fault, because it reads the source."""

    def tell() -> Any:
        from symphony._components.places import place

        return place(spec, parameter)

    return tell


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
        return "sync" if callable(method) or _becomes_a_method(method) else ""
    return "async" if code.co_flags & _COROUTINE else "sync"


def _becomes_a_method(attribute: object) -> bool:
    """Whether an object in the class is called through its instances only, as some decorators make one.

    Properties are values, which may be called `start` and `stop` as those of a range are.
    """
    kind = type(attribute)
    is_value = hasattr(kind, "__set__") or kind.__name__ == "cached_property"
    return hasattr(kind, "__get__") and not is_value


def collect(
    components: Iterable[Any] = (),
    overrides: Mapping[Any, Any] | None = None,
    *,
    namespace: Mapping[str, Any] | None = None,
    declared: Sequence[str] = (),
    look_through: Callable[[Any], list[Any]] | None = None,
) -> Collected:
    """Reads `components=` and `overrides=` of `boot()`.

    Args:
        components: Classes, factories, instances, modules, names of modules.
        overrides: Replacements by type.
        namespace: The local names of the caller of `boot()`.
        declared: The modules that the manifest names; one that both name is one.
        look_through: Gives the components of a module, or of the name of one; `scan` when none.

    Raises:
        BootError: A named module cannot be imported.
        TypeError: Something else than the above stands there.
    """
    collected = Collected()
    collector = Collector(namespace)
    collected.diagnostics = collector.diagnostics
    targets = _targets(components, declared, look_through)
    collector.register(targets)
    if overrides:
        collector.register(value for value in overrides.values() if isinstance(value, type))
    # A spec whose annotations cannot be resolved may be one that an override takes away, with its
    # faults.
    for target in targets:
        before = len(collector.diagnostics)
        is_given = type(target) is _Given
        spec = collector.describe_given(target.instance) if is_given else collector.describe(target)
        faults = collector.diagnostics[before:]
        if faults and (
            (overrides and any(key in overrides for key in spec.provides))
            # The same thing twice is one fault, and not each of its faults twice.
            or any(spec.target is other.target for other in collected.specs)
        ):
            del collector.diagnostics[before:]
        collected.specs.append(spec)
    if overrides:
        _put_overrides(collector, collected, overrides)
    if len({spec.name for spec in collected.specs}) < len(collected.specs):
        qualify(collected.specs)
    settle_names(collected.specs, collected.specs)
    collected.diagnostics.extend(_contract_faults(collected.specs))
    return collected


def _targets(
    components: Iterable[Any],
    declared: Sequence[str],
    look_through: Callable[[Any], list[Any]] | None,
) -> list[Any]:
    """What `components=` and the manifest name, with the modules looked through."""
    targets: list[Any] = []
    if isinstance(components, (type, _FUNCTION)) or not hasattr(components, "__iter__"):
        name = getattr(components, "__name__", "…")
        raise TypeError(f"`components` takes several: write `components=[{name}]`")
    items = [components] if isinstance(components, str) else [*components]
    for item in [*items, *(name for name in declared if name not in items)]:
        if isinstance(item, (str, _MODULE)):
            from symphony._components.scan import scan

            targets.extend((look_through or scan)(item))
        elif isinstance(item, type) or callable(item):
            targets.append(item)
        elif type(item).__module__ == "builtins":
            raise TypeError(
                "`components` takes classes, functions, instances of classes, modules and names of modules, "
                f"not `{type(item).__name__}`"
            )
        else:
            targets.append(_Given(item))
    return targets


def _put_overrides(
    collector: Collector, collected: Collected, overrides: Mapping[Any, Any]
) -> None:
    """Puts each replacement in the place of what provides its type."""
    from symphony._components.stand_ins import refuse_key

    for key, replacement in overrides.items():
        refuse_key(key)
        spec = collector.describe_stand_in(replacement, text_of(key))
        before = len(collected.specs)
        replaced = stand_in(collected.specs, key, spec)
        collected.replaced.extend(replaced)
        if not replaced and len(collected.specs) > before:
            collected.apart.append((key, spec))


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
