"""Inputs of a call as people write them: a string after `=`, JSON after `:=`.

`call` and `dev` read them. The invariant kept here: a value is what was written, or is refused by name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from symphony._cli._errors import UsageError

if TYPE_CHECKING:
    from typing import Any


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
                given = json.loads(value)
            except ValueError as bad:
                raise UsageError(f"the input `{name}` is not JSON: {bad}") from None
        if not name:
            raise UsageError(f"`{text}` is not of the form NAME=VALUE")
        if name in inputs:
            raise UsageError(f"input `{name}` is given twice")
        inputs[name] = given
    return inputs, rest
