"""Keys of `overrides=` that stand for nothing: what they were to replace would go on in silence.

Called while `boot()` collects its components, for a key that no component provides. Invariant: something that nobody
provides may be brought in by an override, but never beside a component that is of the same kind.
"""

from __future__ import annotations

from symphony._components.annotations import text_of
from symphony._core import ComponentSpec, Diagnostic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_FUNCTION: Any = type(lambda: None)


def refuse_key(key: Any) -> None:
    """Refuses what is no type.

    Raises:
        TypeError: It says what to write.
    """
    if isinstance(key, tuple):
        raise TypeError("a key of `overrides` is one type: write an entry for each")
    if isinstance(key, (str, bytes, int, float)) or key is None:
        raise TypeError(f"a key of `overrides` is a type, not `{key!r}`")
    # Of Python 3.9 a `NewType` is a function.
    if isinstance(key, _FUNCTION) and not hasattr(key, "__supertype__"):
        raise TypeError(
            f"a key of `overrides` is a type, and `{text_of(key)}` is a function: name the type that it makes"
        )


def unmatched(
    stand_ins: Iterable[tuple[Any, ComponentSpec]], specs: list[ComponentSpec]
) -> list[Diagnostic]:
    """The faults of overrides that replaced no component, where one of a like type goes on.

    Args:
        stand_ins: The keys, and what was to stand for each.
        specs: Every component.
    """
    asked = [need.key for spec in specs for need in spec.needs]
    faults = []
    for key, stand_in in stand_ins:
        if not isinstance(key, type) or key in asked:
            continue
        like = next(
            (
                provided
                for spec in specs
                for provided in spec.provides
                if spec is not stand_in and isinstance(provided, type) and _alike(key, provided)
            ),
            None,
        )
        if like is not None:
            # Only a fault pays for the look at the sources.
            from symphony._components.places import locate

            locate([stand_in])
            faults.append(fault(text_of(key), text_of(like), stand_in))
    return faults


def _alike(key: type, provided: type) -> bool:
    """Whether one inherits from the other; what marks a `Protocol` or is everybody's is no kinship."""
    return key is not object and (key in provided.__mro__ or provided in key.__mro__[:-1])


def fault(key: str, like: str, stand_in: ComponentSpec) -> Diagnostic:
    """An override beside what it was meant for."""
    return Diagnostic(
        "missing-dependency",
        f"`overrides` replaces `{key}`, which nobody provides and nobody needs: `{like}` would go on",
        file=stand_in.file,
        line=stand_in.line,
        column=stand_in.column,
        path=[key],
        hint=f"override `{like}`",
    )
