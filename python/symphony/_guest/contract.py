"""What an operation's annotations want of its inputs, held on the guest's side.

Called by `symphony._guest.server` for each request. Invariant: an operation gets what its annotations say, or its
caller a text that names the operation, the input, the place in it, what was wanted and what came.
"""

from __future__ import annotations

from symphony._work.single_values import Mismatch, refusal_of
from symphony._work.typed_values import annotations_of, converter

TYPE_CHECKING = False
if TYPE_CHECKING:
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
        annotations, names = _annotated(description.annotated)
        for name in (*description.required, *description.optional):
            convert = converter(annotations[name], names) if name in annotations else None
            if convert is not None:
                self._converts[name] = convert

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


def _annotated(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The annotations of what has the inputs, and what names in their texts stand for."""
    names: dict[str, Any] = getattr(function, "__globals__", {})
    signature = getattr(function, "__signature__", None)
    if signature is None:
        return annotations_of(function), names
    parameters = signature.parameters.items()
    return {
        key: parameter.annotation
        for key, parameter in parameters
        if parameter.annotation is not parameter.empty
    }, names
