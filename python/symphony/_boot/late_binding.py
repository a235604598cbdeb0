"""The boot's component `late-binding`: once every consumer and target has started, each `Late[T]` gets its object.

Imported only where a need is late. Invariant: what started is bound before its health is asked, or the boot fails and
names every edge that could not be bound.
"""

from __future__ import annotations

from symphony.exceptions import BootError, LateBindingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony._boot.container import Container, Live
    from symphony._core import Job, NeedSpec

NAME = "late-binding"


class LateBinding:
    """The component, as the threads of the boot see it.

    Attributes:
        is_async: Whether a step may return an awaitable; none does.
    """

    __slots__ = ("_container", "is_async")

    def __init__(self, container: Container) -> None:
        """Keeps whose edges it binds."""
        self._container = container
        self.is_async = False

    @property
    def threads_in_step(self) -> list[int]:
        """The threads that run a step of its system, each as often as it does."""
        return self._container.threads_in_step

    def start(self, job: Job | None) -> None:
        """Binds every late edge of what started.

        Args:
            job: The step; `None` outside of the engine.

        Raises:
            LateBindingError: A target did not start.
        """
        del job
        missing = self._container.bind_late()
        if missing:
            raise _unbound(missing)

    def health(self) -> None:
        """Healthy: it has nothing of its own."""

    def stop(self) -> None:
        """Nothing: the container lets go of every handle."""


def failed(error: LateBindingError) -> BootError:
    """The failure of a boot whose Conductor asked for what its source did not tell."""
    return BootError(
        f"`{NAME}` failed to start in phase `conductor`\n  " + str(error).replace("\n", "\n  "),
        code=error.code,
        phase="conductor",
        component=NAME,
        hints=error.hints,
    )


def _unbound(missing: list[tuple[NeedSpec, Live, list[Live]]]) -> LateBindingError:
    """The error that names consumer, target and place of each edge."""
    from symphony._components.annotations import text_of
    from symphony._components.places import place, relative

    lines: list[str] = []
    hints: list[str] = []
    for need, consumer, targets in missing:
        label = text_of(need.key)
        target = targets[0].spec.name if len(targets) == 1 else label
        lines.append(f"`{consumer.spec.name}` needs `Late[{label}]`, and `{target}` did not start")
        file, line, _ = place(consumer.spec, need.parameter)
        if file:
            written = f"{need.parameter}: Late[{label}]"
            lines.append(f"  {relative(file)}:{line}  `{written}` of `{consumer.spec.name}`")
        if not targets:
            hint = f"add it: `boot(components=[{label}])`"
        else:
            file, line, _ = place(targets[0].spec)
            at = f" at {relative(file)}:{line}" if file else ""
            hint = f"a late need has no default: take `required=False` of `{target}` out{at}"
        if hint not in hints:
            hints.append(hint)
    return LateBindingError("\n".join(lines), hints=hints)
