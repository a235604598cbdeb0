"""Inputs of a call as people write them: a string after `=`, JSON after `:=`.

`call` and `dev` read them. The invariant kept here: a value is what was written, or is refused by name.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from symphony._cli._errors import UsageError

if TYPE_CHECKING:
    from typing import Any, NoReturn


def read_inputs(words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The inputs among words, and the words that are none.

    Raises:
        UsageError: A value is not JSON, or a name is given twice or not at all.
    """
    inputs: dict[str, Any] = {}
    rest: list[str] = []
    for text in words:
        name, equals, value = text.partition("=")
        if not equals:
            rest.append(text)
            continue
        given: Any = value
        if name.endswith(":"):
            name = name[:-1]
            try:
                given = _value(value)
            except (ValueError, RecursionError) as bad:
                raise UsageError(f"the input `{name}` is not JSON: {bad}") from None
        if not name:
            raise UsageError(f"`{text}` is not of the form NAME=VALUE")
        if name in inputs:
            raise UsageError(f"input `{name}` is given twice")
        inputs[name] = given
    return inputs, rest


def _value(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: It is none, or says what no receiver could be told: a number that is none, a key twice.
    """
    return json.loads(
        text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_object
    )


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"`{word}` is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"`{digits}` is beyond the range of numbers")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` is given twice")
        found[key] = value
    return found
