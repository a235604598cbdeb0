"""A Pit member gives its place to an object of Python's, and its operations with it.

Called by `_swap` and `_override`. The member itself stands there as a component whose one step is
its end, so that whatever swaps components swaps members too. Invariant: two members never share one
state folder.
"""

from __future__ import annotations

from symphony._boot.container import ABSENT, Live
from symphony._components.annotations import text_of
from symphony._core import ComponentSpec, own_parts_by_class
from symphony._work.typed_client import calls_by_name
from symphony.exceptions import ComponentNotFoundError, InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony import _core
    from symphony._boot.container import Container
    from symphony._boot.starter import Starter
    from symphony._core import Job, MemberSeat

MEMBER = "member"


class Member(Live):
    """A member of the Pit, as what it may give its place to sees it; its slot is its place in the core."""

    __slots__ = ()

    def __init__(self, container: Container, key: Any, instance: Any, seat: MemberSeat) -> None:
        """Takes the handle that everybody has of it."""
        name = own_parts_by_class()[key].name
        spec = ComponentSpec(name, None, MEMBER, "symphony", key.__name__)
        spec.provides, spec.phase, spec.stop = [key], "pit", "sync"
        super().__init__(spec, container)
        self.instance = instance
        self.up = True
        self.slot = seat
        seat.belong(self, container, key)

    def start(self, job: Job | None) -> None:
        """Nothing: it has started long ago."""

    def health(self) -> None:
        """Healthy."""

    def stop(self) -> None:
        """Closes it."""
        self.slot.close()

    def end(self) -> None:
        """The system is down: nobody asks for operations any more."""
        self.instance, self.up = ABSENT, False
        self.slot.end()
        self.slot = self.stepper = None


def standing(starter: Starter, key: Any) -> Member:
    """The member that nothing has taken the place of yet.

    Raises:
        InvalidValueError: It is a part of the core that is no member.
        ComponentNotFoundError: It was not started.
    """
    container = starter.container
    known: dict[Any, Member] = container.members
    found = known.get(key)
    if found is not None:
        return found
    part = own_parts_by_class()[key]
    name = part.name
    if part.attribute is None:
        raise InvalidValueError(
            f"`{text_of(key)}` cannot be swapped",
            hints=["swap one of the Pit's members by its type, or an extension by its name"],
        )
    instance = container.lookup(key)
    seat = starter.core.member_seat(name)
    if not isinstance(instance, key) or seat is None:
        raise ComponentNotFoundError(
            f"Pit member `{name}` was not started",
            hints=[f"add `{name}` to `members` in `[system]`"],
        )
    member = known[key] = Member(container, key, instance, seat)
    return member


def refuse_itself(key: Any, new: Any) -> None:
    """One member cannot be there twice.

    Raises:
        InvalidValueError: What is to come is a member of Symphony's own.
    """
    if new in own_parts_by_class() if isinstance(new, type) else type(new) in own_parts_by_class():
        raise InvalidValueError(
            f"`{text_of(new if isinstance(new, type) else type(new))}` cannot take the place of `{text_of(key)}`",
            hints=[
                "two members cannot share one state folder: give an object or a class of yours, or an extension"
            ],
        )


def client(key: Any, extension: _core.ExtensionHandle) -> Any:
    """An object with those methods of a member that an extension, such as a Pit library, declares.

    Raises:
        InvalidValueError: It declares none of them.
    """
    extension.activate()
    declared = extension.operations() or []
    methods = [
        name for name in declared if not name.startswith("_") and callable(getattr(key, name, None))
    ]
    if not methods:
        raise InvalidValueError(
            f"extension `{extension.name}` declares no operation of `{text_of(key)}`",
            hints=[f"it declares {', '.join(f'`{name}`' for name in declared) or 'none'}"],
        )
    body = {
        name: staticmethod(calls_by_name(extension.call, name, _positional(getattr(key, name))))
        for name in methods
    }
    return type(f"{extension.name} as {text_of(key)}", (), body)()


def _positional(method: Any) -> tuple[str, ...]:
    """The names of a built-in method's positional parameters."""
    text: str = getattr(method, "__text_signature__", None) or "()"
    names: list[str] = []
    for part in text.strip("()").split(","):
        name = part.partition("=")[0].strip()
        if name.startswith("*"):
            break
        if name and name not in ("$self", "/"):
            names.append(name)
    return tuple(names)
