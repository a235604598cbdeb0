"""A Pit member gives its place to an object of Python's, and its operations with it.

Called by `_swap` and `_override`. The member itself stands there as a component whose one step is
its end, so that whatever swaps components swaps members too. Invariant: Melodies and extensions
that name an operation of the member reach whatever stands in its place, on threads of Python's.
"""

from __future__ import annotations

import _thread

from symphony._boot.container import ABSENT, Live
from symphony._components.annotations import text_of
from symphony._core import ComponentSpec, Holder, own_parts_by_class
from symphony._work.kit import calls_by_name
from symphony.exceptions import ComponentNotFoundError, InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony import _core
    from symphony._boot.container import Container
    from symphony._boot.starter import Starter
    from symphony._core import Job, MemberPort, MemberRequest, MemberSeat, Slot, Stepper

MEMBER = "member"
# So many calls of operations run side by side; more wait.
_THREADS = 8


class Member(Live):
    """A member of the Pit, as what it may give its place to sees it.

    Attributes:
        seat: Its place in the core.
    """

    __slots__ = ("_port", "seat")

    def __init__(self, container: Container, key: Any, instance: Any, seat: MemberSeat) -> None:
        """Takes the handle that everybody has of it."""
        name = own_parts_by_class()[key].name
        spec = ComponentSpec(name, None, MEMBER, "symphony", key.__name__)
        spec.provides, spec.phase, spec.stop = [key], "pit", "sync"
        super().__init__(spec, container)
        self.instance = instance
        self.up = True
        self.seat = seat
        self.slot = Seat(self)
        self._port: MemberPort | None = None

    def start(self, job: Job | None) -> None:
        """Nothing: it has started long ago."""

    def health(self) -> None:
        """Healthy."""

    def stop(self) -> None:
        """Closes it."""
        self.seat.close()

    def leave(self) -> None:
        """From now on its operations are asked of what stands in its place."""
        self._port = port = self.seat.take()
        key = self.spec.provides[0]
        _Server(port, self._container, key).grow()

    def come_back(self) -> None:
        """Its operations are its own again."""
        self.seat.give_back()
        self._close_port()

    def end(self) -> None:
        """The system is down: nobody asks for operations any more."""
        self.instance, self.up = ABSENT, False
        self.slot = self.stepper = None
        self._close_port()

    def _close_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()


class Seat:
    """The place of a member, with the methods of a component's: the core's own is made when it is first needed."""

    __slots__ = ("_member", "_own", "_slot")

    def __init__(self, member: Member) -> None:
        """Nothing has come into it yet."""
        self._member = member
        self._slot: Slot | None = None
        self._own: Stepper | None = None

    def candidate(self, live: Live, thread: str) -> Stepper:
        """The steps of an object that may come into this place."""
        return self._member.seat.candidate(live, thread)

    def exchange(self, stepper: Stepper) -> Stepper | None:
        """Puts another object into the place: gives the steps of the one before, `None` at the shutdown."""
        seat = self._member.seat
        if self._slot is None:
            self._slot = seat.occupy(stepper)
            if self._slot is None:
                return None
            self._own = seat.candidate(self._member, "own")
            return self._own
        before = self._slot.exchange(stepper)
        if stepper is self._own and before is not None:
            seat.vacate()
            self._slot = self._own = None
        return before

    def retire(self, stepper: Stepper) -> bool:
        """Leaves an object to be stopped with the place; false when that is being stopped already."""
        return self._slot is not None and self._slot.retire(stepper)

    def reclaim(self, steppers: list[Stepper]) -> bool:
        """Takes back objects that were left; false when they are being stopped already."""
        return self._slot is not None and self._slot.reclaim(steppers)


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


def keeper_of(live: Live) -> Holder | None:
    """The part of the core that goes on working with a member that was taken out."""
    if not isinstance(live, Member):
        return None
    keeper, _ = live.seat.about()
    if keeper is None:
        return None
    return Holder("symphony", keeper, "none is needed: it is closed with the system")


def notes_of(live: Live) -> tuple[str, ...]:
    """What a report says of a member that was taken out, beside that."""
    if not isinstance(live, Member):
        return ()
    _, company = live.seat.about()
    if company is None:
        return ()
    return (f"stopped with it: `{company}`, which works inside it",)


class _Server:
    """The threads that answer the operations of one member."""

    __slots__ = ("_container", "_gate", "_idle", "_key", "_port", "_threads")

    def __init__(self, port: MemberPort, container: Container, key: Any) -> None:
        self._port = port
        self._container = container
        self._key = key
        self._gate = _thread.allocate_lock()
        self._threads = self._idle = 0

    def grow(self) -> None:
        """Starts a thread where all others are busy."""
        with self._gate:
            if self._idle or self._threads >= _THREADS:
                return
            self._threads += 1
            self._idle += 1
        _thread.start_new_thread(self._serve, ())

    def _serve(self) -> None:
        while True:
            request = self._port.next()
            if request is None:
                return
            with self._gate:
                self._idle -= 1
            self.grow()
            self._answer(request)
            del request
            with self._gate:
                self._idle += 1

    def _answer(self, request: MemberRequest) -> None:
        try:
            operation, required, inputs = request.read()
            instance = self._container.lookup(self._key)
            method = getattr(instance, operation, None)
            if not callable(method):
                kind, name = type(instance).__qualname__, own_parts_by_class()[self._key].name
                request.fail(
                    f"`{kind}`, which stands in the place of `{name}`, has no `{operation}`", "", ""
                )
                return
            data = inputs.get("data")
            if isinstance(data, str):
                inputs["data"] = data.encode()
            positional = [inputs.pop(name) for name in required]
            value: Any = method(*positional, **inputs)
            if hasattr(value, "__await__"):
                if hasattr(value, "close"):
                    value.close()
                raise TypeError(f"`{operation}` is `async`, and operations of members are not")
            request.answer(value)
        except BaseException as error:  # noqa: BLE001 - whatever it raises is its caller's to hear.
            import traceback

            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            request.fail(str(error), type(error).__qualname__, text)


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
        name: staticmethod(calls_by_name(extension, name, _positional(getattr(key, name))))
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
