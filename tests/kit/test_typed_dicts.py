"""Which keys a `TypedDict` needs, however its annotations and its bases are written."""

from __future__ import annotations

import sys
import types
import typing

import pytest
from symphony._work.typed_values import Mismatch, converter


class Mark:
    """What the marks of `typing` have, which are of 3.11: before, those of an add-on stand in texts."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, inner: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(__origin__=self, __args__=(inner,))


MARKS = types.SimpleNamespace(
    **{name: getattr(typing, name, Mark(name)) for name in ("Required", "NotRequired")}
)
TEXTS = "from __future__ import annotations\n"
BODY = """
import typing, decimal
from typing import Annotated, TypedDict
class Base(TypedDict):
    a: int
    b: NotRequired[int]
class Part(TypedDict, total=False):
    c: int
    d: Required[int]
class Both(Base, Part):
    e: NotRequired[Unknown]
    f: Annotated[NotRequired[int], "f"]
class Partial(Base, total=False):
    g: int
    h: Annotated[Required[int], "h"]
class Spelt(Base):
    i: marks.NotRequired[int]
    j: "marks.Required[int]"
"""
NEEDED = {
    "Base": "a",
    "Part": "d",
    "Both": "ad",
    "Partial": "ah",
    "Spelt": "aj",
}


def module_of(begin: str) -> types.ModuleType:
    made = sys.modules["typed_dicts"] = types.ModuleType("typed_dicts")
    vars(made).update(marks=MARKS, Required=MARKS.Required, NotRequired=MARKS.NotRequired)
    body = BODY if begin else BODY.replace("Unknown", "int")
    exec(compile(begin + body, "typed_dicts.py", "exec", dont_inherit=True), vars(made))
    return made


@pytest.fixture(autouse=True)
def gone():
    yield
    sys.modules.pop("typed_dicts", None)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("begin", ["", TEXTS] if hasattr(typing, "Required") else [TEXTS])
def test_the_outer_mark_decides_and_then_its_class(begin, name):
    module = module_of(begin)
    wanted = getattr(module, name)
    convert = converter(wanted, {})
    assert convert is not None
    least = dict.fromkeys(NEEDED[name], 1)
    assert convert(least) == least
    for key in least:
        with pytest.raises(Mismatch, match=f"which needs `{key}`"):
            convert({other: 1 for other in least if other != key})
    for key in wanted.__annotations__:
        assert convert({**least, key: 1}) == {**least, key: 1}
    with pytest.raises(Mismatch, match="has no `z`"):
        convert({**least, "z": 1})


def test_the_texts_of_a_base_mean_what_they_mean_in_its_module(monkeypatch):
    begin = "from __future__ import annotations\nimport typing, {kind} as kind\n"
    for name, kind, body in (
        ("its_base", "decimal", "class Base(typing.TypedDict):\n    a: kind.Decimal\n"),
        ("its_child", "uuid", "class Child(Base):\n    b: kind.UUID\n"),
    ):
        made = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        made.Base = getattr(sys.modules.get("its_base"), "Base", None)
        code = compile(begin.format(kind=kind) + body, name, "exec", dont_inherit=True)
        exec(code, vars(made))
    convert = converter(sys.modules["its_child"].Child, {})
    with pytest.raises(Mismatch, match=r"\['a'\].*wanted `Decimal`"):
        convert({"a": "much", "b": "00000000-0000-0000-0000-000000000000"})
    with pytest.raises(Mismatch, match=r"\['b'\].*wanted `UUID`"):
        convert({"a": "1", "b": "1"})
