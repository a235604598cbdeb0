"""`Handle[T]` and `Late[T]`: a slot that holds the current object of a component.

Consumers read `.value`; the container binds, rewrites on a swap, and stops. The invariant kept
here: a bound handle costs one slot read and nothing else. So the two states in which a read must
raise (not yet bound, stopped) are classes of their own, with the same layout, and the container
changes the handle's class.
"""

from __future__ import annotations

from symphony.exceptions import LateBindingError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, TypeVar

    T_co = TypeVar("T_co", covariant=True)

    class Handle(Generic[T_co]):
        """The component of type `T`, also after it was swapped."""

        @property
        def value(self) -> T_co:
            """The current object.

            Raises:
                StoppedError: The system was shut down.
            """
            ...

    class Late(Handle[T_co]):
        """A declared back edge: a handle that is bound before `boot()` returns."""

        @property
        def value(self) -> T_co:
            """The current object.

            Raises:
                LateBindingError: Read before it was bound.
                StoppedError: The system was shut down.
            """
            ...

else:

    class Handle:
        """The component of type `T`, also after it was swapped."""

        __slots__ = ("__weakref__", "_label", "value")
        __class_getitem__ = classmethod(type(list[int]))

        def __repr__(self) -> str:
            """Its class and its component."""
            return f"<{type(self).__name__}[{self._label}]>"

    class Late(Handle):
        """A declared back edge: a handle that is bound before `boot()` returns."""

        __slots__ = ()


class _UnboundLate(Late["Any"]):
    """A `Late` before it is bound."""

    __slots__ = ()
    _label: str

    @property
    def value(self) -> Any:
        """Raises: there is no object yet."""
        raise LateBindingError(
            f"`Late[{self._label}]` was read before it was bound",
            hints=["read `.value` after `boot()` has returned, not in `__init__` or `start()`"],
        )


class _StoppedHandle(Handle["Any"]):
    """A handle of a system that was shut down."""

    __slots__ = ()
    _label: str

    @property
    def value(self) -> Any:
        """Raises: the object was stopped."""
        raise StoppedError(f"`{self._label}` was stopped with its system")


class _StoppedLate(Late["Any"]):
    """A late handle of a system that was shut down."""

    __slots__ = ()
    _label: str

    @property
    def value(self) -> Any:
        """Raises: the object was stopped."""
        raise StoppedError(f"`{self._label}` was stopped with its system")


def make_handle(label: str, value: Any) -> Handle[Any]:
    """A handle that is bound from the start."""
    handle: Any = Handle()
    handle._label = label  # noqa: SLF001 - a slot of this module's own.
    handle.value = value
    return handle  # type: ignore[no-any-return]


def make_late(label: str) -> Late[Any]:
    """A late handle that still has to be bound."""
    handle = _UnboundLate()
    setattr(handle, "_label", label)  # noqa: B010 - the slot is the container's to fill.
    return handle


def bind(handle: Handle[Any], value: Any) -> None:
    """Binds a handle, or puts another object into it."""
    slot: Any = handle
    if type(handle) is _UnboundLate:
        slot.__class__ = Late
    slot.value = value


def stop(handle: Handle[Any]) -> None:
    """Lets go of the object; each later read raises `StoppedError`."""
    slot: Any = handle
    late = isinstance(handle, Late)
    if not isinstance(handle, (_UnboundLate, _StoppedHandle, _StoppedLate)):
        del slot.value
    slot.__class__ = _StoppedLate if late else _StoppedHandle
