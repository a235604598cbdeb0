"""Which keys of a `TypedDict` are needed. Called by `symphony._work.typed_values`, for the first `TypedDict` only.

Invariant: an outer `Required` or `NotRequired` decides, also in the text of an annotation, which `typing` itself does
not read; what says neither is as its class's `total` has it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_NEEDED = {"Required": True, "NotRequired": False}
_AROUND = ("Annotated", "ReadOnly")


def required_keys(wanted: Any, annotations: Mapping[str, Any]) -> set[str]:
    """The keys that a `TypedDict` needs.

    Args:
        wanted: The class. What its bases say is in it: `__required_keys__` knows each base's `total`.
        annotations: The annotations of all its keys.
    """
    by_total: set[str] = set(getattr(wanted, "__required_keys__", ()))
    names = names_of(wanted.__module__)
    needed = set()
    for key, annotation in annotations.items():
        told = _told(annotation, names)
        if told is True or (told is None and key in by_total):
            needed.add(key)
    return needed


def names_of(module: str | None) -> dict[str, Any]:
    """What names stand for in a module."""
    found = sys.modules.get(module or "")
    return {} if found is None else dict(vars(found))


def _told(annotation: Any, names: dict[str, Any]) -> bool | None:
    """What the outermost marks of an annotation say; None where they say nothing."""
    while not isinstance(annotation, str):
        text = getattr(annotation, "__forward_arg__", None)
        if text is not None:
            module = getattr(annotation, "__forward_module__", None)
            return _told_by_text(text, names_of(module) if isinstance(module, str) else names)
        origin = getattr(annotation, "__origin__", None)
        name = _name(origin)
        if name in _NEEDED:
            return _NEEDED[name]
        if hasattr(annotation, "__metadata__"):
            annotation = origin
        elif name in _AROUND:
            annotation = annotation.__args__[0]
        else:
            return None
    return _told_by_text(annotation, names)


def _told_by_text(text: str, names: dict[str, Any]) -> bool | None:
    """The same of a text: only the marks are evaluated, as what is in them may be known to type checkers alone."""
    while True:
        head, bracket, text = text.strip().lstrip("'\"").partition("[")
        if not bracket:
            return None
        try:
            name = _name(eval(head, dict(names)))  # noqa: S307 - as `typing.get_type_hints` does.
        except Exception:  # noqa: BLE001 - whatever its evaluation raises.
            return None
        if name in _NEEDED:
            return _NEEDED[name]
        if name not in _AROUND:
            return None


def _name(mark: Any) -> str:
    return getattr(mark, "_name", None) or getattr(mark, "__name__", None) or ""
