"""Who holds an object that a swap took out: the place, and the edit that lets a swap reach it.

Called only when an object was not drained, because it looks at everything that the garbage
collector knows.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from symphony._components.places import relative
from symphony._swap.references import frames_of
from symphony._swap.sites import asks, codes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from symphony._boot.container import Live

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEPTH = 6
_MOST = 20
_CELL: Any = type((lambda value: lambda: value)(0).__closure__[0])  # type: ignore[index]  # noqa: PLC3002
_FRAME: Any = type(sys._getframe())
_FUNCTION: Any = type(lambda: None)


class Holder(NamedTuple):
    """Somebody who still holds an object that was taken out.

    Attributes:
        place: `file:line` of what holds it.
        what: What that is.
        edit: What to write instead, so that the next swap reaches it.
    """

    place: str
    what: str
    edit: str

    def __str__(self) -> str:
        """Place, what it is, and the edit below it."""
        return f"{self.place}  {self.what}\n  {self.edit}"


class _Search:
    """One search for the holders of an object."""

    def __init__(self, live: Live, label: str, consumers: Iterable[Live]) -> None:
        self._live = live
        self._label = label
        self._consumers = [one for one in consumers if one is not live]
        self._by_instance = {id(one.instance): one for one in self._consumers}
        self._ignored: set[int] = {id(live), id(self), id(self.__dict__)}
        self.found: dict[Holder, None] = {}

    def run(self) -> list[Holder]:
        """Looks at the collector's objects first, then at the stacks of all threads."""
        self._climb(self._live.instance, _DEPTH, "")
        self._stacks()
        return list(self.found)[:_MOST]

    def _climb(self, item: Any, depth: int, way: str) -> None:
        """Goes from an object to those that refer to it, until one has a place."""
        referrers = gc.get_referrers(item)
        self._ignored.add(id(referrers))
        for referrer in referrers:
            if id(referrer) in self._ignored or isinstance(referrer, _FRAME):
                continue
            self._ignored.add(id(referrer))
            if len(self.found) >= _MOST or self._tell(referrer, item, way):
                continue
            if depth:
                self._climb(referrer, depth - 1, way or _kind(referrer))
        del referrers

    def _tell(self, holder: Any, held: Any, way: str) -> bool:
        """Adds the holder where it has a place; false when what holds it in turn has to be asked."""
        within = f" ({way})" if way else ""
        consumer = self._by_instance.get(id(holder))
        if consumer is not None:
            place = self._place_of(consumer)
            self._add(place, f"`{consumer.spec.name}` keeps it in an attribute{within}", consumer)
        elif isinstance(holder, _FUNCTION):
            self._add(
                _at(holder.__code__),
                f"the function `{holder.__qualname__}`{within}",
                self._maker(holder.__code__),
            )
        elif (code := _suspended(holder)) is not None:
            self._add(_at(code), f"`{code.co_name}`, which is suspended{within}", self._maker(code))
        elif isinstance(holder, dict) and isinstance(
            holder.get("__spec__", 0), (type(None), type(sys.__spec__))
        ):
            self._add(*_global(holder, held, within), None)
        elif isinstance(holder, type):
            self._add(_class_place(holder), f"the class `{holder.__qualname__}`{within}", None)
        elif type(holder).__flags__ & 1 << 9 and not isinstance(holder, (dict, list, tuple, set)):
            # A class that was written in Python.
            kind = type(holder)
            self._add(
                _class_place(kind), f"an object of the class `{kind.__qualname__}`{within}", None
            )
        else:
            return False
        return True

    def _stacks(self) -> None:
        """Calls in progress, and variables of functions that still run."""
        for top in sys._current_frames().values():
            for frame in reversed(frames_of(top)):
                file = frame.f_code.co_filename
                if file.startswith(_HOME) or not any(
                    value is self._live.instance for value in frame.f_locals.values()
                ):
                    continue
                place = f"{relative(file)}:{frame.f_lineno}"
                self._add(place, f"a variable of `{frame.f_code.co_name}`, which still runs", None)
                break

    def _add(self, place: str, what: str, consumer: Live | None) -> None:
        handle = f"Handle[{self._label}]"
        if consumer is None:
            edit = f"keep `system.handle({self._label})` there and read `.value` at each use"
        else:
            need = next(need for need in consumer.spec.needs if asks(need, self._live))
            edit = (
                f"declare `{need.parameter}: {handle}` at {self._place_of(consumer)} "
                "and read `.value` at each use"
            )
        self.found[Holder(place, what, edit)] = None

    def _place_of(self, consumer: Live) -> str:
        from symphony._components.places import place

        need = next((need for need in consumer.spec.needs if asks(need, self._live)), None)
        file, line, _ = place(consumer.spec, need.parameter if need else None)
        return (
            f"{relative(file or consumer.spec.module)}:{line}"
            if line
            else str(file or consumer.spec.module)
        )

    def _maker(self, code: Any) -> Live | None:
        """The consumer in whose constructor or factory that code was written."""
        for consumer in self._consumers:
            if any(asks(need, self._live) for need in consumer.spec.needs) and any(
                code is inner for own in _written(consumer) for inner in _nested(own)
            ):
                return consumer
        return None


def find(live: Live, label: str, consumers: Iterable[Live]) -> list[Holder]:
    """Who holds the object of a component that was taken out.

    Args:
        live: The component.
        label: How its type is written.
        consumers: The components that may hold it.
    """
    return _Search(live, label, consumers).run()


def _written(consumer: Live) -> list[Any]:
    target = consumer.spec.target
    if not isinstance(target, type):
        return codes_of(target)
    return [
        code
        for base in target.__mro__
        for member in base.__dict__.values()
        for code in codes_of(member)
    ]


def _nested(code: Any) -> Iterator[Any]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _nested(constant)


def _suspended(holder: Any) -> Any:
    """The code of a generator, a coroutine or an async generator."""
    for name in ("gi_code", "cr_code", "ag_code"):
        code = getattr(holder, name, None) if type(holder).__name__ in _SUSPENDED else None
        if code is not None:
            return code
    return None


_SUSPENDED = ("generator", "coroutine", "async_generator")


def _kind(holder: Any) -> str:
    """How a container without a place is told."""
    if isinstance(holder, _CELL):
        return "in its closure"
    if type(holder).__name__ == "method":
        return f"as the bound method `{holder.__name__}`"
    return f"in a {type(holder).__name__}"


def _global(names: dict[str, Any], held: Any, within: str) -> tuple[str, str]:
    """Place and text of a module's global."""
    name = next((name for name, value in names.items() if value is held), "?")
    file = names.get("__file__") or str(names.get("__name__"))
    line = 0
    try:
        with open(file, encoding="utf-8", errors="replace") as source:
            pattern = re.compile(rf"\s*{re.escape(name)}\b[^=]*=(?!=)")
            line = next((at for at, text in enumerate(source, 1) if pattern.match(text)), 0)
    except OSError:
        line = 0
    place = f"{relative(file)}:{line}" if line else relative(file)
    return place, f"the global `{name}` of `{names.get('__name__')}`{within}"


def _class_place(kind: type) -> str:
    """Where a class was written: the first line that is known of it."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None) or kind.__module__
    codes = [code for member in kind.__dict__.values() for code in codes_of(member)]
    line = kind.__dict__.get("__firstlineno__") or min(
        (code.co_firstlineno for code in codes), default=0
    )
    return f"{relative(file)}:{line}" if line else relative(file)


def _at(code: Any) -> str:
    return f"{relative(code.co_filename)}:{code.co_firstlineno}"
