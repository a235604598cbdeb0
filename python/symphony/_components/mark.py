"""The `@component` mark, and what it says.

Read by the collector and by the scan. The invariant kept here: who only marks components does not
load the core.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar, overload

    from symphony._core import ComponentSpec, Diagnostic

    Target = TypeVar("Target", bound=Callable[..., Any])
else:

    def overload(function: Any) -> Any:
        """Stands in for `typing.overload`, which only type checkers read."""
        return function


MARK = "__symphony_component__"


class Named:
    """Says in `Annotated[T, Named("name")]` which provider of `T` is meant.

    Attributes:
        name: Its name.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Keeps the name."""
        self.name = name


class Options:
    """What `@component` says of a class or function beyond its annotations."""

    __slots__ = ("enter", "main_thread", "name", "phase", "provides", "required", "timeout")

    def __init__(
        self,
        phase: str = "conductor",
        provides: Any = None,
        timeout: float | None = None,
        name: str | None = None,
        required: bool = True,
        main_thread: bool = False,
        enter: bool = False,
    ) -> None:
        """Checks and keeps the options.

        Raises:
            InvalidValueError: There is no such phase, or the timeout is no positive number.
        """
        if phase != "conductor" or timeout is not None:
            from symphony import _core

            _core.known_phase(phase)
            if timeout is not None:
                _core.known_timeout(timeout)
        self.phase = phase
        self.provides: tuple[Any, ...] = (
            () if provides is None else provides if isinstance(provides, tuple) else (provides,)
        )
        self.timeout = timeout
        self.name = name
        self.required = required
        self.main_thread = main_thread
        self.enter = enter

    def apply(self, spec: ComponentSpec, place: Callable[[], Any]) -> list[Diagnostic]:
        """Lays what was said over what the annotations say; gives what forbids it."""
        if self.name is not None:
            spec.name = self.name
            spec.named = True
        spec.phase = self.phase
        spec.timeout = self.timeout
        spec.required = self.required
        spec.main_thread = self.main_thread
        for key in self.provides:
            if key is not None and key not in spec.provides:
                spec.provides.append(key)
        if not spec.main_thread:
            return []
        from symphony._core import main_thread_faults

        return main_thread_faults(spec.name, spec.phase, spec.is_async, place)


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
    enter: bool = False,
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
    enter: bool = False,
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
        enter: What is made is entered where others start, and left where they stop: `with`, or `async with`.

    Raises:
        InvalidValueError: There is no such phase, or the timeout is no positive number.
    """
    options = Options(phase, provides, timeout, name, required, main_thread, enter)

    def mark(marked: Any) -> Any:
        setattr(marked, MARK, options)
        return marked

    return mark if target is None else mark(target)
