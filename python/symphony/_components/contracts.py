"""Contracts of live classes: what a `Protocol` asks for, and what a class that provides it has.

Called for components that provide a `Protocol`. Only looked up here; what fits and what is said of
it is told by the core, of a source alike. The invariant kept here: nothing of this module is imported
for a system without Protocols.
"""

from __future__ import annotations

import sys

from symphony._components.annotations import (
    Scope,
    Unresolved,
    evaluate,
    is_protocol,
    own_annotations,
)
from symphony._core import Member, Signature
from symphony._core import contract_faults as faults_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from symphony._components.places import Place
    from symphony._core import ComponentSpec, Diagnostic

_FUNCTION: Any = type(lambda: None)
_DEEPEST = 64
"""Texts that stand for texts."""
_COROUTINE, _ASYNC_GENERATOR = 0x80, 0x200
_LITERALS = (bool, int, float, complex, str, bytes, tuple, list, dict, set)


def contract_faults(specs: Iterable[ComponentSpec]) -> list[Diagnostic]:
    """Every member of a Protocol that its provider lacks or has in another way."""
    faults: list[Diagnostic] = []
    compared: set[tuple[int, int]] = set()
    for spec in specs:
        for key in spec.provides:
            if not is_protocol(key) or key is spec.made or not isinstance(spec.made, type):
                continue
            # What was registered twice has each fault once.
            if (id(spec.target), id(key)) not in compared:
                compared.add((id(spec.target), id(key)))
                faults += faults_of(spec.name, _Lookup(spec, spec.made, key))
    return faults


class _Lookup:
    """A live class beside a Protocol that it provides, as the core asks for their members."""

    __slots__ = ("_made", "_protocol", "_spec", "is_whole", "made", "protocol")

    def __init__(self, spec: ComponentSpec, made: type, protocol: type) -> None:
        self._spec = spec
        self._made = made
        self._protocol = protocol
        self.made = made.__name__
        self.protocol = protocol.__name__
        self.is_whole = True

    def asked(self) -> Iterator[tuple[str, Member]]:
        """What the Protocol has, in the order in which it was written, its base Protocols' too."""
        seen: set[str] = set()
        for base in self._protocol.__mro__:
            if not is_protocol(base) or base.__module__ in ("typing", "typing_extensions"):
                continue
            body = vars(base)
            annotations = own_annotations(base)
            for name in (*body, *annotations):
                if name in seen:
                    continue
                seen.add(name)
                if name in body:
                    yield name, _member(body[name], base)
                else:
                    yield name, Member("attribute", plain=_plainness(annotations[name], base))

    def given(self, name: str) -> Member | None:
        """What the class has under a name, nothing where no class of its line has it."""
        for owner in self._made.__mro__:
            if name in vars(owner):
                return _UNKNOWN if owner is object else _member(vars(owner)[name], owner)
            if name in own_annotations(owner):
                return _UNKNOWN
        return None

    def is_open(self, name: str) -> bool:
        """Whether an object may have a member that its class does not tell of."""
        if self._spec.kind == "instance" and hasattr(self._spec.target, name):
            return True
        for owner in self._made.__mro__[:-1]:
            if owner.__module__ == "builtins":
                # Has an own `__getattribute__` as often as not, which finds what there is.
                continue
            body = vars(owner)
            if "__getattr__" in body or "__getattribute__" in body:
                return True
            for value in body.values():
                code = getattr(getattr(value, "__func__", value), "__code__", None)
                if code is not None and _stores(code, name):
                    return True
        return False

    def place(self, name: str) -> tuple[Place, bool]:
        """Where the class has a member, or where the class itself stands."""
        # Only a fault pays for a look at the sources.
        from symphony._components.places import class_place, member_of

        found = member_of(self._made, name)
        return (class_place(self._spec, self._made), False) if found is None else (found[0], True)

    def asked_place(self, name: str) -> tuple[Place, str | None]:
        """Where the Protocol has it, and how it is written there."""
        from symphony._components.places import heading, member_of

        found = member_of(self._protocol, name)
        return ((None, 0, 0), None) if found is None else (found[0], heading(found[1]))


_UNKNOWN = Member("unknown", plain=False)


def _member(value: Any, owner: type) -> Member:
    """A value of a class body as a member."""
    dropped = 1
    if isinstance(value, (staticmethod, classmethod)):
        dropped = 0 if isinstance(value, staticmethod) else 1
        value = value.__func__
    if type(value) is _FUNCTION:
        if hasattr(value, "__wrapped__"):
            return _UNKNOWN
        flags = value.__code__.co_flags
        result = value.__annotations__.get("return", _FUNCTION)
        return Member(
            "method",
            Signature.of(value, dropped),
            is_async=bool(flags & _COROUTINE),
            plain=False if flags & _ASYNC_GENERATOR else _plainness(result, owner),
        )
    if isinstance(value, property):
        returned = getattr(value.fget, "__annotations__", {}).get("return", _FUNCTION)
        return Member("attribute", plain=_plainness(returned, owner))
    if value is None or type(value) in _LITERALS:
        return Member("attribute", plain=True)
    return _UNKNOWN


def _plainness(annotation: Any, owner: type) -> Callable[[], bool]:
    """What tells whether an annotation is plain."""
    return lambda: _is_plain(annotation, owner)


def _is_plain(annotation: Any, owner: type) -> bool:
    """Whether an annotation names a class whose objects can be neither awaited nor called."""
    if isinstance(annotation, str):
        module = sys.modules.get(owner.__module__)
        scope = Scope(vars(module) if module else {}, {}, {}, {})
        try:
            for _ in range(_DEEPEST):
                if not isinstance(annotation, str):
                    break
                annotation = evaluate(annotation, scope)
            else:
                # A name that stands for itself.
                return False
        except Unresolved:
            return False
    if annotation is None:
        return True
    kind = getattr(annotation, "__origin__", annotation)
    if not isinstance(kind, type) or kind in (object, type, _FUNCTION):
        return False
    return not (hasattr(kind, "__await__") or _has_call(kind) or is_protocol(kind))


def _has_call(kind: type) -> bool:
    return any("__call__" in vars(owner) for owner in kind.__mro__)


def _stores(code: Any, name: str) -> bool:
    """Whether a function, or one inside it, sets an attribute of that name, or of any name."""
    if "setattr" in code.co_names or "__dict__" in code.co_names:
        return True
    if name in code.co_names:
        from opcode import opmap

        wanted = code.co_names.index(name)
        store, extended = opmap["STORE_ATTR"], opmap["EXTENDED_ARG"]
        argument = 0
        units = code.co_code
        for at in range(0, len(units), 2):
            argument = argument << 8 | units[at + 1]
            if units[at] == store and argument == wanted:
                return True
            if units[at] != extended:
                argument = 0
    return any(_stores(inner, name) for inner in code.co_consts if hasattr(inner, "co_code"))
