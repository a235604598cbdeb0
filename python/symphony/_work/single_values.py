"""Values without parts as annotations want them: numbers, texts, members of enumerations, what is sent as a text.

Called by `symphony._work.typed_values`, which reads annotations and what has parts. Invariants: a value is converted or
refused, never changed; whatever a foreign class raises while it is made of a value is a `Mismatch` with its text.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Convert = Callable[[Any], Any]

_SHOWN = 60


class Mismatch(Exception):  # noqa: N818 - it is told as another error.
    """A value is not what an annotation wants.

    Attributes:
        wanted: What was wanted.
        came: What came.
        path: Where in the value: `.field` and `[index]`, outermost first.
    """

    def __init__(self, wanted: str, came: Any) -> None:
        """Keeps both as texts."""
        self.wanted = wanted
        self.came = f"`{type(came).__name__}` {_short(came)}" if came is not None else "`None`"
        self.path: list[str] = []
        super().__init__(wanted)

    def within(self, part: str) -> Mismatch:
        """The same, one level further out."""
        self.path.insert(0, part)
        return self

    def __str__(self) -> str:
        """Where, what was wanted and what came."""
        place = f" at `{''.join(self.path)}`" if self.path else ""
        return f"{place}: wanted {self.wanted}, came {self.came}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def refusal_of(refused: Exception) -> str:
    """What a foreign class raised, as a text: its own words, and its kind where they alone say too little."""
    kind = type(refused).__name__
    try:
        text = str(refused)
    except Exception:  # noqa: BLE001 - whatever a foreign exception does when it is shown.
        return kind
    if not text:
        return kind
    return text if isinstance(refused, (ValueError, TypeError)) else f"{kind}: {text}"


def _exactly(*kinds: type) -> Convert:
    wanted = f"`{kinds[0].__name__}`"

    def convert(value: Any) -> Any:
        # A bool is an int to Python, and not to whoever reads an annotation.
        if type(value) not in kinds and not (bool not in kinds and _is_part_of(value, kinds)):
            raise Mismatch(wanted, value)
        return value

    return convert


def _is_part_of(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def none(value: Any) -> Any:
    if value is not None:
        raise Mismatch("`None`", value)


def or_none(convert: Convert | None) -> Convert | None:
    """The same, for what has None for its default, and takes it whatever its annotation says."""
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _bytearray(value: Any) -> Any:
    if not isinstance(value, bytes):
        raise Mismatch("`bytes`", value)
    return bytearray(value)


def of_items(kind: Callable[[Any], Any], items: list[Any], value: list[Any]) -> Any:
    """A collection of items, all of which are in it; `value` is what came."""
    try:
        made = kind(items)
    except TypeError:
        # A list or a dict is no member of a set.
        raise Mismatch("`list` of what can be in a set", value) from None
    if len(made) != len(items):
        raise Mismatch("`list` in which nothing is twice", value)
    return made


def _made_of_list(kind: Callable[[Any], Any]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise Mismatch("`list`", value)
        return of_items(kind, value, value)

    return convert


PLAIN: dict[Any, Convert] = {
    bool: _exactly(bool),
    int: _exactly(int),
    # An integer is a number where one with a fraction is asked for, and stays one.
    float: _exactly(float, int),
    str: _exactly(str),
    bytes: _exactly(bytes),
    bytearray: _bytearray,
    list: _exactly(list),
    dict: _exactly(dict),
    tuple: _made_of_list(tuple),
    set: _made_of_list(set),
    frozenset: _made_of_list(frozenset),
}
PLAIN_NAMES = {kind.__name__: convert for kind, convert in PLAIN.items()}


def literal(allowed: tuple[Any, ...]) -> Convert:
    wanted = "one of " + ", ".join(repr(one) for one in allowed)
    by_plain = [
        (getattr(one, "value", one) if not isinstance(one, type) else one, one) for one in allowed
    ]

    def convert(value: Any) -> Any:
        for sent, one in by_plain:
            if type(sent) is type(value) and sent == value:
                return one
        raise Mismatch(wanted, value)

    return convert


def enumeration(wanted: Any, label: str) -> Convert:
    from symphony._work.sent_values import plain

    members: list[Any] = list(wanted.__members__.values())
    names = ", ".join(repr(one.value) for one in members[:8])

    def sent(value: Any) -> Any:
        """A member's value as it arrives."""
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if isinstance(value, (list, tuple)):
            return [sent(one) for one in value]
        made = plain(value)
        return value if made is NotImplemented else sent(made)

    arrived = [(sent(one.value), one) for one in members]

    def convert(value: Any) -> Any:
        for each, one in arrived:
            if type(each) is type(value) and each == value:
                return one
        try:
            # Flags together, and what `_missing_` knows; a bool is no number.
            made = None if isinstance(value, bool) else wanted(value)
        except (ValueError, TypeError):
            made = None
        except Exception as refused:
            told = f"{label} ({names}), which refuses it ({refusal_of(refused)})"
            raise Mismatch(told, value) from refused
        if made is None or _is_only_equal(sent(made.value), value):
            raise Mismatch(f"{label} ({names})", value)
        return made

    return convert


def _is_only_equal(own: Any, value: Any) -> bool:
    """Whether a value is no member's, but equal to one's: 1.0 where it has 1. What `_missing_` finds differs."""
    if isinstance(own, type(value)) and not isinstance(own, bool):
        return False
    return bool(own == value)


def by_text(wanted: Any, label: str) -> Convert | None:
    """What is sent as a text, or as seconds, and is made of it."""
    if is_of(wanted, "datetime", "timedelta"):
        return lambda value: _made(_seconds(wanted), label, value, (int, float))
    if is_of(wanted, "datetime", "datetime"):
        return lambda value: _made(_moment(wanted), label, value, (str,))
    if is_of(wanted, "datetime", "date") or is_of(wanted, "datetime", "time"):
        return lambda value: _made(wanted.fromisoformat, label, value, (str,))
    if is_of(wanted, "decimal", "Decimal"):
        return lambda value: _made(wanted, label, value, (str, int))
    if is_of(wanted, "uuid", "UUID") or is_of(wanted, "pathlib", "PurePath"):
        return lambda value: _made(wanted, label, value, (str,))
    return None


def _made(make: Convert, label: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise Mismatch(label, value)
    try:
        return make(value)
    except Exception:  # noqa: BLE001 - a subclass of it may raise whatever it likes.
        raise Mismatch(label, value) from None


def _seconds(wanted: Any) -> Convert:
    return lambda seconds: wanted(seconds=seconds)


def _moment(wanted: Any) -> Convert:
    def make(text: str) -> Any:
        # `Z` is read from 3.11 on.
        return wanted.fromisoformat(f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text)

    return make


def is_of(wanted: Any, module: str, name: str) -> bool:
    """Whether it is a class of a module, which nobody imports to ask."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and issubclass(wanted, found)
