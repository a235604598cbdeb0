"""What the planner knows of a Python component, and the `@component` mark.

Made by `_components` at boot and by `_source` from text; read by the core's planner. The invariant
kept here: a spec holds what was read, in the same fields whether a component was imported or only
parsed.
"""

from __future__ import annotations

from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    Target = TypeVar("Target", bound=Callable[..., Any])
else:

    def overload(function: Any) -> Any:
        """Stands in for `typing.overload`, which only type checkers read."""
        return function


MARK = "__symphony_component__"


class NeedSpec:
    """One edge: a parameter asks for a key.

    Attributes:
        parameter: The parameter that asks.
        key: What it asks for: a type, or its qualified name where only the source was read.
        kind: `one`, `optional`, `every` or `late`.
        handle: It gets the handle and not the object.
        named: Only the provider of this name will do.
        file: The file of the parameter, with its line and column (0: not known yet).
        default: It has a default: where the key is absent the parameter is left out of the call.
        positional: It can only be given by position.
        fits: The class of a component that has all that the key asks for, and does not provide it.
        is_class: The key is a class of the user's, which could be registered.
    """

    __slots__ = (
        "column",
        "default",
        "file",
        "fits",
        "handle",
        "is_class",
        "key",
        "kind",
        "line",
        "named",
        "parameter",
        "positional",
    )

    def __init__(
        self,
        parameter: str,
        key: Any,
        kind: str,
        handle: bool,
        named: str | None,
        file: str | None,
        line: int,
        column: int = 0,
    ) -> None:
        """Keeps the fields."""
        self.parameter = parameter
        self.key = key
        self.kind = kind
        self.handle = handle
        self.named = named
        self.file = file
        self.line = line
        self.column = column
        self.default = False
        self.positional = False
        self.fits: str | None = None
        self.is_class = False

    def __repr__(self) -> str:
        """The parameter and what it asks for."""
        return f"<NeedSpec {self.parameter}: {self.kind} {self.key!r}>"


class ComponentSpec:
    """One component, before anything of it runs.

    Attributes:
        name: Its name in errors, events and the report.
        named: A person gave that name with `name=`.
        target: What is called; for the kind `instance`, the instance.
        kind: `class`, `function`, `generator`, `async-function`, `async-generator` or `instance`.
        module: The module that defines it, with its `qualname` there.
        made: The type of the object that it makes, where that is said; its qualified name where
            only the source was read.
        provides: Its keys.
        needs: Its edges.
        phase: The phase in which it starts.
        timeout: Its own deadline in seconds.
        required: Its failure fails the boot.
        main_thread: Its steps run on the thread that calls.
        start: `sync`, `async` or nothing; so are `health` and `stop`.
        file: Where it was written, with its line and column (0: not known yet).
    """

    __slots__ = (
        "column",
        "file",
        "health",
        "kind",
        "line",
        "made",
        "main_thread",
        "module",
        "name",
        "named",
        "needs",
        "phase",
        "provides",
        "qualname",
        "required",
        "start",
        "stop",
        "target",
        "timeout",
    )

    def __init__(self, name: str, target: Any, kind: str, module: str, qualname: str) -> None:
        """A required component of the last phase that needs and provides nothing yet."""
        self.name = name
        self.named = False
        self.target = target
        self.kind = kind
        self.module = module
        self.qualname = qualname
        self.made: Any = None
        self.provides: list[Any] = []
        self.needs: list[NeedSpec] = []
        self.phase = "conductor"
        self.timeout: float | None = None
        self.required = True
        self.main_thread = False
        self.start = ""
        self.health = ""
        self.stop = ""
        self.file: str | None = None
        self.line = 0
        self.column = 0

    @property
    def thread(self) -> str:
        """Where its steps run: on a thread of its own if there are some after its construction."""
        if self.main_thread:
            return "calling"
        if self.start or self.health or self.stop or self.kind.endswith("generator"):
            return "own"
        return "shared"

    @property
    def is_async(self) -> bool:
        """Whether one of its steps is."""
        steps = (self.start, self.health, self.stop)
        return self.kind.startswith("async") or "async" in steps

    def __repr__(self) -> str:
        """Its name, its kind and its edges."""
        return f"<ComponentSpec {self.name} ({self.kind}) needs {self.needs!r}>"


def stand_in(specs: list[ComponentSpec], key: Any, spec: ComponentSpec) -> list[str]:
    """Puts a replacement into the place of what provides a key, under all keys of that.

    Returns:
        The names of those of Symphony's own parts that it stands in for.
    """
    from symphony import _core

    standing = [one for one in specs if key in one.provides]
    keys = [key, *(other for old in standing for other in old.provides)]
    spec.provides.extend(other for other in keys if other not in spec.provides)
    if standing:
        first = standing[0]
        spec.phase = first.phase
        if spec.kind == "instance":
            spec.name, spec.named = first.name, first.named
        specs[next(at for at, one in enumerate(specs) if one is first)] = spec
        specs[:] = [one for one in specs if all(one is not old for old in standing)]
    else:
        specs.append(spec)
    own = _core.own_parts_by_class()
    parts = [own[other] for other in keys if other in own]
    for part in parts:
        # What stands in for a part of the core starts in its phase: others of it need it there.
        spec.phase = part.phase
    return [part.name for part in parts]


class Options:
    """What `@component` says of a class or function beyond its annotations."""

    __slots__ = ("main_thread", "name", "phase", "provides", "required", "timeout")

    def __init__(
        self,
        phase: str,
        provides: Any,
        timeout: float | None,
        name: str | None,
        required: bool,
        main_thread: bool,
    ) -> None:
        """Checks and keeps the options.

        Raises:
            InvalidValueError: There is no such phase, or the timeout is no positive number.
        """
        if phase != "conductor":
            from symphony import _core

            _core.known_phase(phase)
        if timeout is not None and not timeout > 0:
            raise InvalidValueError(f"`timeout` takes a positive number of seconds, not {timeout}")
        self.phase = phase
        self.provides: tuple[Any, ...] = (
            () if provides is None else provides if isinstance(provides, tuple) else (provides,)
        )
        self.timeout = timeout
        self.name = name
        self.required = required
        self.main_thread = main_thread


@overload
def component(target: Target, /) -> Target: ...


@overload
def component(  # noqa: F811 - an overload.
    *,
    phase: str = "conductor",
    provides: Any = None,
    timeout: float | None = None,
    name: str | None = None,
    required: bool = True,
    main_thread: bool = False,
) -> Callable[[Target], Target]: ...


def component(  # noqa: F811 - what the overloads describe.
    target: Any = None,
    /,
    *,
    phase: str = "conductor",
    provides: Any = None,
    timeout: float | None = None,
    name: str | None = None,
    required: bool = True,
    main_thread: bool = False,
) -> Any:
    """Marks a class or a factory for the scan of its module, and says more than its annotations do.

    Used bare, or with options. It only writes a mark: the class or function stays what it is.

    Args:
        target: The class or function, where it is used bare.
        phase: The phase in which it starts.
        provides: A type, or a tuple of types, that it provides beside itself.
        timeout: Its own deadline in seconds.
        name: Its name in errors, events and the report.
        required: `False`: its failure leaves the system degraded and does not fail the boot.
        main_thread: Its steps run on the thread that calls `boot()` and `shutdown()`.

    Raises:
        InvalidValueError: There is no such phase, or the timeout is no positive number.
    """
    options = Options(phase, provides, timeout, name, required, main_thread)

    def mark(marked: Any) -> Any:
        setattr(marked, MARK, options)
        return marked

    return mark if target is None else mark(target)
