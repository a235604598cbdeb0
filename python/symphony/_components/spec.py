"""What the planner knows of a Python component, and the `@component` mark.

Made by `_components` at boot and by `_source` from text; read by the core's planner. The invariant
kept here: a spec holds what was read, in the same fields whether a component was imported or only
parsed.
"""

from __future__ import annotations

from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar, overload

    Target = TypeVar("Target", bound=Callable[..., Any])
else:

    def overload(function: Any) -> Any:
        """Stands in for `typing.overload`, which only type checkers read."""
        return function


MARK = "__symphony_component__"
_ONE_TYPE_HINT = "annotate with one type, `Optional[T]`, `Sequence[T]`, `Handle[T]` or `Late[T]`"
PHASES = ("foundation", "ipc_bus", "pit", "orchestra_kit", "conductor")


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
        hint: What to do when nobody provides the key, where the planner could not know.
    """

    __slots__ = (
        "column",
        "default",
        "file",
        "handle",
        "hint",
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
        self.hint: str | None = None

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
        replaces: The keys for which it stands in, where it is an override.
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
        "replaces",
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
        self.replaces: list[Any] | None = None

    @property
    def own_thread(self) -> bool:
        """Whether its steps get a thread of their own: there are steps after its construction."""
        return bool(
            self.start or self.health or self.stop or self.kind in ("generator", "async-generator")
        )

    @property
    def is_async(self) -> bool:
        """Whether one of its steps is."""
        steps = (self.start, self.health, self.stop)
        return self.kind.startswith("async") or "async" in steps

    def __repr__(self) -> str:
        """Its name, its kind and its edges."""
        return f"<ComponentSpec {self.name} ({self.kind}) needs {self.needs!r}>"


def qualify(specs: list[ComponentSpec]) -> None:
    """Different targets of one name get their module in front; one target twice does not."""
    if len({spec.name for spec in specs}) == len(specs):
        return
    by_name: dict[str, list[ComponentSpec]] = {}
    for spec in specs:
        if not spec.named:
            by_name.setdefault(spec.name, []).append(spec)
    for name, same in by_name.items():
        if any(spec.target is not same[0].target or _differ(spec, same[0]) for spec in same):
            for spec in same:
                spec.name = f"{spec.module}.{name}"


def _differ(one: ComponentSpec, other: ComponentSpec) -> bool:
    """Whether two specs that were only read are of different definitions."""
    written = one.target is None or isinstance(one.target, str)
    return written and (one.module, one.qualname) != (other.module, other.qualname)


def qualify_conductor(conductor: ComponentSpec, specs: Iterable[ComponentSpec]) -> None:
    """A Conductor that shares its name with a component gets its module in front.

    The component of the same target does not make it so: that is one thing twice.
    """
    if not conductor.named:
        for spec in specs:
            same = spec.target is conductor.target and not _differ(spec, conductor)
            if spec.name == conductor.name and not spec.named and not same:
                conductor.name = f"{conductor.module}.{conductor.name}"
                return


def unresolved_text(spec: ComponentSpec, verb: str, text: str) -> tuple[str, str]:
    """Message and hint for an annotation that its module cannot resolve."""
    return (
        f"`{spec.name}` {verb} `{text}`, which `{spec.module}` cannot resolve",
        f"import `{text}` in `{spec.module}`, also under `if TYPE_CHECKING:`"
        if text.isidentifier()
        else _ONE_TYPE_HINT,
    )


def main_thread_phase_text(spec: ComponentSpec) -> tuple[str, str]:
    """Message and hint for a component of the calling thread that would start while that thread is elsewhere."""
    return (
        f"`{spec.name}` says `main_thread=True` in phase `{spec.phase}`",
        "leave `phase` out: the calling thread serves phase `conductor` only",
    )


def async_on_main_text(spec: ComponentSpec) -> tuple[str, str]:
    """Message and hint for an async step that would have to run on the calling thread."""
    return (
        f"`{spec.name}` has an async step and says `main_thread=True`",
        "make its steps synchronous, or leave `main_thread` out",
    )


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
        if phase not in PHASES:
            raise InvalidValueError(
                f"there is no phase `{phase}`", hints=[f"the phases are {', '.join(PHASES)}"]
            )
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
