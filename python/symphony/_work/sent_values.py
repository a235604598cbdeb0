"""What a value becomes on a lane that carries None, bool, int, float, str, bytes, list and dict: one step of it.

Called by the core for each value that is none of these, wherever one is sent: inputs, results, values of streams and
topics. Invariants: what a value is here is what `typed_values` reads back by its annotation; what is not known is
refused by the core; nothing is imported that the value's own module has not.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def plain(value: Any) -> Any:  # noqa: C901, PLR0911 - one branch for each kind.
    """One value in plain terms, whose parts may again be none of them; `NotImplemented` for what cannot be sent.

    Args:
        value: A data class, NamedTuple, enumeration, date, time, number, UUID, path, set or model.
    """
    kind = type(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    # A class itself has the marks of its objects.
    if isinstance(value, type):
        return NotImplemented
    if hasattr(kind, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in stored_fields(kind)}
    if _is(value, "enum", "Enum"):
        return value.value
    if _is(value, "datetime", "date") or _is(value, "datetime", "time"):
        return value.isoformat()
    if _is(value, "datetime", "timedelta"):
        return value.total_seconds()
    if _is(value, "decimal", "Decimal") or _is(value, "uuid", "UUID"):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if _is(value, "numpy", "generic"):
        made = value.item()
        return NotImplemented if type(made) is kind else made
    if hasattr(kind, "model_dump") and hasattr(kind, "model_validate"):
        return value.model_dump()
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "__struct_fields__"):
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    return NotImplemented


def stored_fields(kind: Any) -> list[str]:
    """The fields of a data class that an object of it has: not `InitVar`, not `ClassVar`."""
    marks: dict[str, Any] = kind.__dataclass_fields__
    return [name for name, field in marks.items() if field._field_type.name == "_FIELD"]  # noqa: SLF001 - as `dataclasses.fields` reads it.


def _is(value: Any, module: str, name: str) -> bool:
    """Whether it is an object of a class of a module, which nobody imports to ask."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(value, found)
