"""Whether a factory made what it says.

Called for each object whose class is not the very one that its factory names. The invariant kept here: what is
not sure to be another type is let through; a `Protocol` is held against by its members, never by `isinstance`.
"""

from __future__ import annotations

from symphony._components.annotations import is_protocol, text_of
from symphony._core import ComponentSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What a type checker takes for another type.
_PROMOTED: dict[type, tuple[type, ...]] = {
    float: (int,),
    complex: (int, float),
    bytes: (bytearray,),
}


def refuse_other(spec: ComponentSpec, instance: Any) -> None:
    """Refuses an object of another type than its factory says.

    Raises:
        TypeError: It is one.
    """
    made = spec.made
    if instance is None and spec.may_be_none:
        return
    other = "None" if instance is None else text_of(type(instance))
    # One that is swapped in goes by the name of what it takes the place of.
    name = spec.qualname.rpartition(".")[2] or spec.name
    told = f"`{name}` made `{other}`, and not `{text_of(made)}` as it says"
    while hasattr(made, "__supertype__"):
        made = made.__supertype__
    made = getattr(made, "__origin__", None) or made
    if not isinstance(made, type) or made.__module__ in ("typing", "typing_extensions"):
        # `Any` is a class from 3.11 on.
        return
    if is_protocol(made):
        if instance is None:
            raise TypeError(told)
        _hold_against(spec, made, instance, told)
        return
    try:
        fits = isinstance(instance, (made, *_PROMOTED.get(made, ())))
    except TypeError:
        # A `TypedDict`, which is a dictionary.
        fits = isinstance(instance, dict)
    if not fits:
        raise TypeError(told)


def _hold_against(spec: ComponentSpec, protocol: type, instance: Any, told: str) -> None:
    from symphony._components.contracts import contract_faults

    kind = type(instance)
    held = ComponentSpec(spec.name, instance, "instance", kind.__module__, kind.__qualname__)
    held.made = kind
    held.provides.append(protocol)
    for fault in contract_faults([held]):
        raise TypeError(f"{told}: {fault.message}")
