"""What an operation's annotations want of its inputs, held on the guest's side.

Called by `symphony._guest.server` for each request. Invariant: an operation gets what its annotations say, or its
caller a text that names the operation, the input, the place in it, what was wanted and what came. Under a decorator
that says nothing of its own, an input is converted where it fits and handed on as it came where not.
"""

from __future__ import annotations

from symphony._work.single_values import Mismatch, refusal_of
from symphony._work.typed_values import annotations_of, converter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from symphony._work.single_values import Convert
    from symphony.extension import OperationDescription


class RefusedInputError(TypeError):
    """An input is not what the operation's annotation wants."""


class Contract:
    """The annotations of one operation, read with its first call."""

    __slots__ = ("_converts", "_operation")

    def __init__(self, description: OperationDescription) -> None:
        """Read them.

        Args:
            description: What the operation takes.
        """
        self._operation = description.name
        self._converts: dict[str, Convert] = {}
        inputs = (*description.required, *description.optional)
        for layer, said, is_what_is_called in annotated_layer(description.layers, inputs):
            names: dict[str, Any] = getattr(layer, "__globals__", {})
            without = _defaults_of_none(layer)
            for name in inputs:
                convert = converter(said[name], names) if name in said else None
                if convert is not None:
                    made = _or_none(convert) if name in without else convert
                    self._converts[name] = made if is_what_is_called else _where_it_fits(made)

    def converted(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs as the operation wants them.

        Args:
            inputs: As they came; changed in place.

        Raises:
            RefusedInputError: One is not what its annotation says.
        """
        for name, convert in self._converts.items():
            if name in inputs:
                try:
                    inputs[name] = convert(inputs[name])
                except Mismatch as mismatch:
                    raise RefusedInputError(
                        f"operation `{self._operation}`: input `{name}`{mismatch}"
                    ) from None
                except Exception as fault:  # noqa: BLE001 - whatever foreign code raises.
                    # Of code that is not ours: what is too deep, a value that cannot be shown.
                    raise RefusedInputError(
                        f"operation `{self._operation}`: input `{name}` cannot be read "
                        f"({type(fault).__name__}: {refusal_of(fault)})"
                    ) from None
        return inputs


def annotated_layer(
    layers: tuple[Any, ...], inputs: tuple[str, ...]
) -> Iterator[tuple[Any, dict[str, Any], bool]]:
    """The outermost layer that says something of the inputs, and whether it is the one that gets them.

    `functools.wraps` overwrites what a decorator says by what it wraps: such a decorator may be what makes the inputs
    into what is annotated.
    """
    is_what_is_called = True
    for place, layer in enumerate(layers):
        if hasattr(layer, "registry") and hasattr(layer, "dispatch"):
            # `functools.singledispatch`: its annotations are those of one of many.
            return
        said = _said_by(layer)
        within = _said_by(layers[place + 1]) if place + 1 < len(layers) else {}
        if said != within and any(name in said for name in inputs):
            yield layer, said, is_what_is_called
            return
        if hasattr(layer, "__wrapped__") and type(layer).__name__ != "_lru_cache_wrapper":
            is_what_is_called = False


def _said_by(layer: Any) -> dict[str, Any]:
    """The annotations of what has inputs; an object with `__call__` has annotations too, of its fields."""
    signature = getattr(layer, "__signature__", None)
    if signature is not None:
        return {
            key: parameter.annotation
            for key, parameter in signature.parameters.items()
            if parameter.annotation is not parameter.empty
        }
    is_function = hasattr(layer, "__code__") or hasattr(layer, "__func__")
    has_inputs = is_function or hasattr(layer, "__wrapped__")
    return annotations_of(layer) if has_inputs else {}


def _defaults_of_none(layer: Any) -> set[str]:
    """The inputs whose default is None, which they take whatever their annotation says."""
    signature = getattr(layer, "__signature__", None)
    if signature is not None:
        parameters = signature.parameters.items()
        return {name for name, parameter in parameters if parameter.default is None}
    code = getattr(layer, "__code__", None)
    if code is None:
        return set()
    named = code.co_varnames[: code.co_argcount]
    defaults: tuple[Any, ...] = getattr(layer, "__defaults__", None) or ()
    by_name: dict[str, Any] = getattr(layer, "__kwdefaults__", None) or {}
    given = {**dict(zip(named[len(named) - len(defaults) :], defaults)), **by_name}
    return {name for name, default in given.items() if default is None}


def _or_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _where_it_fits(convert: Convert) -> Convert:
    def made(value: Any) -> Any:
        try:
            return convert(value)
        except Exception:  # noqa: BLE001 - whatever a constructor raises; the decorator gets what came.
            return value

    return made
