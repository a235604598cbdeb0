"""An operation's annotations are its contract, and a typed client's are what it gives back."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import sys
import types
import typing
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from kit_processes import running
from symphony import InvalidValueError, SymphonyError
from symphony.testing import extension

pytestmark = pytest.mark.timeout(60)

SOURCE = """
from __future__ import annotations
import dataclasses, datetime, decimal, enum, pathlib, typing, uuid
from symphony.extension import Extension
extension = Extension("lab")

class Color(enum.Enum):
    RED = "red"
    BOTH = ("red", 1)

class Level(enum.IntEnum):
    LOW = 1

class Mode(enum.Flag):
    READ = 1
    WRITE = 2

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int = 0

@dataclasses.dataclass
class Line:
    points: list[Point]
    name: typing.Optional[str] = None
    color: Color = Color.RED
    inner: "typing.Optional[Line]" = None
    length: int = dataclasses.field(init=False, default=0)

class Pair(typing.NamedTuple):
    left: Point
    right: int = 7

class Options(typing.TypedDict):
    path: pathlib.Path
    deep: bool

@extension.operation
def same(value):
    return value

@extension.operation
def point(value: Point) -> Point: return told(value, Point)
@extension.operation
def line(value: Line) -> Line: return told(value, Line)
@extension.operation
def pair(value: Pair) -> Pair: return told(value, Pair)
@extension.operation
def options(value: Options) -> Options:
    assert isinstance(value["path"], pathlib.Path)
    return value
@extension.operation
def color(value: Color) -> Color: return told(value, Color)
@extension.operation
def level(value: Level) -> Level: return told(value, Level)
@extension.operation
def mode(value: Mode) -> Mode: return told(value, Mode)
@extension.operation
def moment(value: datetime.datetime) -> datetime.datetime: return told(value, datetime.datetime)
@extension.operation
def day(value: datetime.date) -> datetime.date: return told(value, datetime.date)
@extension.operation
def span(value: datetime.timedelta) -> datetime.timedelta: return told(value, datetime.timedelta)
@extension.operation
def price(value: decimal.Decimal) -> decimal.Decimal: return told(value, decimal.Decimal)
@extension.operation
def key(value: uuid.UUID) -> uuid.UUID: return told(value, uuid.UUID)
@extension.operation
def path(value: pathlib.Path) -> pathlib.Path: return told(value, pathlib.Path)
@extension.operation
def words(value: typing.Set[str]) -> typing.Set[str]: return told(value, set)
@extension.operation
def pairs(value: typing.Tuple[int, ...]) -> typing.Tuple[int, ...]: return told(value, tuple)
@extension.operation
def either(value: typing.Union[int, Point, None]) -> typing.Union[int, Point, None]: return value
@extension.operation
def choice(value: typing.Literal["a", 1]) -> str: return repr(value)
@extension.operation
def number(value: int) -> int: return told(value, int)
@extension.operation
def real(value: float) -> str: return repr(value)
@extension.operation
def flag(value: bool) -> bool: return told(value, bool)
@extension.operation
def text(value: str) -> str: return told(value, str)
@extension.operation
def data(value: bytes) -> bytes: return told(value, bytes)
@extension.operation
def table(value: typing.Dict[str, typing.List[Point]]) -> typing.Dict[str, typing.List[Point]]:
    told(value["a"][0], Point)
    return value
@extension.operation
def unknown(value: OnlyForCheckers) -> str: return type(value).__name__
@extension.operation
def several(first: int, *, second: "list[int]" = (), **rest: int) -> int: return first
@extension.operation
def points(n: int) -> typing.Iterator[Point]:
    for x in range(n):
        yield Point(x)
@extension.operation
async def points_later(n: int) -> typing.AsyncIterator[Point]:
    for x in range(n):
        yield Point(x)

def told(value, kind):
    assert isinstance(value, kind), (value, kind)
    return value
"""

# Its annotations are texts, whose names are looked up in the module.
LAB = sys.modules["contracts_lab"] = types.ModuleType("contracts_lab")
exec(compile(SOURCE, "contracts_lab.py", "exec"), vars(LAB))

POINT, LINE = LAB.Point, LAB.Line
RICH = {
    "point": POINT(1, 2),
    "line": LINE([POINT(1), POINT(2, 3)], "a", LAB.Color.BOTH, LINE([])),
    "pair": LAB.Pair(POINT(1), 2),
    "options": {"path": pathlib.Path("/tmp/a"), "deep": True},
    "color": LAB.Color.BOTH,
    "level": LAB.Level.LOW,
    "mode": LAB.Mode.READ | LAB.Mode.WRITE,
    "moment": dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc),
    "day": dt.date(2026, 1, 2),
    "span": dt.timedelta(days=1, microseconds=3),
    "price": decimal.Decimal("0.10"),
    "key": uuid.UUID(int=7),
    "path": pathlib.Path("a/b"),
    "words": {"a", "b"},
    "pairs": (1, 2),
    "either": POINT(1),
    "table": {"a": [POINT(1)]},
}


@pytest.fixture(scope="module")
def lab():
    with extension(LAB) as served:
        yield served


def protocol_of(name: str, result) -> type:
    """A Protocol with one method of that name and that result."""

    def method(self, value): ...

    method.__annotations__ = {"return": result}
    return types.new_class("Made", (typing.Protocol,), {}, lambda body: body.update({name: method}))


@pytest.mark.parametrize("name", sorted(RICH))
def test_a_rich_value_goes_there_and_back(lab, name):
    hints = typing.get_type_hints(getattr(LAB, name), vars(LAB))
    client = lab.client(protocol_of(name, hints["return"]))
    given = RICH[name]
    got = getattr(client, name)(given)
    assert got == given
    assert type(got) is type(given)


WRONG = [
    ("number", "3", "wanted `int`, came `str` '3'"),
    ("number", True, "wanted `int`, came `bool` True"),
    ("number", 3.0, "wanted `int`, came `float` 3.0"),
    ("flag", 1, "wanted `bool`, came `int` 1"),
    ("text", b"a", "wanted `str`, came `bytes` b'a'"),
    ("data", "a", "wanted `bytes`, came `str` 'a'"),
    ("point", {"x": "1"}, "at `.x`: wanted `int`, came `str` '1'"),
    ("point", {"y": 1}, "wanted `Point`, which needs `x`"),
    ("point", {"x": 1, "z": 1}, "wanted `Point`, which has no `z`"),
    ("point", [1, 2], "wanted `Point` (a `dict` of its fields), came `list`"),
    ("line", {"points": [{"x": 1}, {"x": None}]}, "at `.points[1].x`: wanted `int`, came `None`"),
    (
        "line",
        {"points": [], "inner": {"points": 3}},
        "at `.inner.points`: wanted `list`, came `int` 3",
    ),
    ("pair", [1], "at `.left`: wanted `Point`"),
    ("options", {"path": "a"}, "wanted `Options`, which needs `deep`"),
    ("options", {"path": "a", "deep": 0}, "at `['deep']`: wanted `bool`"),
    ("color", "blue", "wanted `Color` ('red', ('red', 1)), came `str` 'blue'"),
    ("level", True, "wanted `Level`"),
    ("moment", "yesterday", "wanted `datetime`, came `str` 'yesterday'"),
    ("price", "a lot", "wanted `Decimal`"),
    ("price", 0.1, "wanted `Decimal`, came `float` 0.1"),
    ("key", "x", "wanted `UUID`"),
    ("path", 3, "wanted `PosixPath`|wanted `Path`"),
    ("words", ["a", 1], "at `[1]`: wanted `str`, came `int` 1"),
    ("either", "a", "wanted `int` or `Point` or `None`, came `str` 'a'"),
    ("either", {"x": "a"}, "at `.x`: wanted `int`"),
    ("choice", "b", "wanted one of 'a', 1, came `str` 'b'"),
    ("choice", True, "wanted one of"),
    ("table", {"a": [{"x": 1}, {"x": ""}]}, "at `['a'][1].x`: wanted `int`"),
]


@pytest.mark.parametrize(("operation", "value", "told"), WRONG)
def test_what_an_annotation_does_not_want_is_refused_with_its_place(lab, operation, value, told):
    with pytest.raises(SymphonyError) as caught:
        lab.call(operation, value=value)
    assert caught.value.code == "invalid-value"
    text = str(caught.value)
    assert f"operation `{operation}`: input `value`" in text
    assert any(one in text for one in told.split("|")), text


def test_what_says_nothing_of_plain_values_lets_everything_through(lab):
    for value in (1, "a", [None], {"a": b""}):
        assert lab.call("same", value=value) == value
    assert lab.call("unknown", value={"a": 1}) == "dict"


def test_an_integer_is_a_number_and_stays_one(lab):
    assert (lab.call("real", value=2), lab.call("real", value=2.0)) == ("2", "2.0")


def test_every_input_is_held_against_its_own_annotation(lab):
    assert lab.call("several", first=1, second=[1], other="x") == 1
    with pytest.raises(SymphonyError, match=r"input `second` at `\[0\]`: wanted `int`"):
        lab.call("several", first=1, second=["a"])


class Odd:
    pass


@pytest.mark.parametrize(
    "value",
    [
        Odd(),
        object(),
        Odd,
        POINT,
        lambda: 0,
        {1: 2},
        [{"a": Odd()}],
        2**64,
        1j,
        range(2),
        POINT(Odd()),
    ],
)
def test_anything_else_is_a_type_error_at_the_caller(lab, value):
    with pytest.raises(TypeError):
        lab.call("same", value=value)


def test_what_callers_hand_in_may_hold_what_operations_may_give(lab):
    given = [POINT(1), {"p": pathlib.Path("a")}, {3}, (LAB.Color.RED, decimal.Decimal(1))]
    assert lab.call("same", value=given) == [{"x": 1, "y": 0}, {"p": "a"}, [3], ["red", "1"]]


def test_scalars_of_numpy_are_numbers(lab, monkeypatch):
    """What they have, without numpy, which not every interpreter has here."""

    class Scalar:
        def __init__(self, value):
            self.value = value

        def item(self):
            return self.value

    class Wide(Scalar):
        def item(self):
            # As `longdouble`, which no number of Python's is.
            return self

    fake = types.ModuleType("numpy")
    fake.generic = Scalar
    monkeypatch.setitem(sys.modules, "numpy", fake)
    given = [Scalar(3), Scalar(0.5), Scalar(True)]
    got = lab.call("same", value=given)
    assert got == [3, 0.5, True]
    assert [type(one) for one in got] == [int, float, bool]
    assert lab.call("number", value=Scalar(4)) == 4
    with pytest.raises(TypeError):
        lab.call("same", value=Wide(1))


class Model:
    """What a model of pydantic's has."""

    def __init__(self, size):
        self.size = size

    @classmethod
    def model_validate(cls, value):
        if not isinstance(value.get("size"), int):
            error = ValueError("1 validation error")
            error.errors = lambda: [
                {"loc": ("size",), "msg": "a number", "input": value.get("size")}
            ]
            raise error
        return cls(value["size"])

    def model_dump(self):
        return {"size": self.size}


def test_models_speak_for_themselves(lab):
    client = lab.client(protocol_of("same", Model))
    assert client.same(Model(3)).size == 3
    with pytest.raises(
        InvalidValueError, match=r"`lab.same` at `\.size`: wanted `Model`: a number"
    ):
        client.same({"size": "x"})


class Spread(typing.Protocol):
    def points(self, n: int) -> Iterator[POINT]: ...
    def points_later(self, n: int) -> AsyncIterator[POINT]: ...
    async def point(self, value: POINT) -> POINT: ...


class Wider(Spread, typing.Protocol):
    def same(self, value: object) -> list[POINT | None]: ...


def test_streams_awaited_calls_and_inherited_methods_are_typed_too(lab):
    client = lab.client(Wider)
    assert list(client.points(n=2)) == [POINT(0), POINT(1)]

    async def main() -> None:
        assert [one async for one in client.points_later(2)] == [POINT(0), POINT(1)]
        assert [one async for one in client.points(2)] == [POINT(0), POINT(1)]
        assert await client.point(POINT(3)) == POINT(3)

    asyncio.run(main())
    assert client.same([{"x": 1}, None]) == [POINT(1), None]
    with pytest.raises(InvalidValueError, match=r"the result of `lab.same` at `\[1\].x`"):
        client.same([None, {"x": "a"}])
    values = client.points(n=10**9)
    assert next(values) == POINT(0)
    values.close()


def test_a_newer_result_has_more_than_an_older_client_knows(lab):
    client = lab.client(protocol_of("same", POINT))
    assert client.same({"x": 1, "y": 2, "z": 3}) == POINT(1, 2)
    with pytest.raises(InvalidValueError, match="wanted `Point`, which needs `x`"):
        client.same({})


def test_it_is_so_in_a_process_of_its_own(workshop):
    folder = workshop.extension("lab", "")
    (folder / "lab.py").write_text(SOURCE)
    with running(workshop) as system:
        client = system.kit.client("lab", Wider)
        assert client.same([POINT(1)]) == [POINT(1)]
        handle = system.kit.extension("lab")
        for value in RICH.items():
            handle.call(value[0], value=value[1])
        with pytest.raises(SymphonyError, match="input `value`: wanted `int`, came `str` '3'"):
            handle.call("number", value="3")


def test_dataclasses_that_refuse_say_why(lab):
    @dataclasses.dataclass
    class Positive:
        n: int

        def __post_init__(self):
            if self.n < 0:
                raise ValueError("below zero")

    client = lab.client(protocol_of("same", Positive))
    with pytest.raises(InvalidValueError, match=r"which refuses it \(below zero\)"):
        client.same({"n": -1})


def test_an_enumeration_is_found_by_what_was_sent(lab):
    class Kind(enum.Enum):
        ONE = decimal.Decimal(1)
        TWO = "two"

    client = lab.client(protocol_of("same", Kind))
    assert [client.same(kind) for kind in Kind] == list(Kind)


RAISING = """
import dataclasses, enum, typing
from symphony.extension import Extension
extension = Extension("raising")

def fail(kind):
    raise {error.__name__: error for error in (KeyError, AssertionError, RecursionError)}[kind]("odd")

@dataclasses.dataclass
class Record:
    kind: str
    def __post_init__(self): fail(self.kind)
class Level(enum.Enum):
    LOW = 1
    @classmethod
    def _missing_(cls, value): fail(value)
class Model:
    @classmethod
    def model_validate(cls, value): fail(value["kind"])
class Pair(typing.NamedTuple("Pair", [("kind", str)])):
    def __new__(cls, kind): fail(kind)

@extension.operation
def record(value: Record): return 1
@extension.operation
def level(value: Level): return 1
@extension.operation
def model(value: Model): return 1
@extension.operation
def pair(value: Pair): return 1
@extension.operation
def deep(value: "Deep"): return 1
@extension.operation
def either(value: typing.Union[Record, typing.Dict[str, str]]): return value

@dataclasses.dataclass
class Deep:
    inner: "typing.Optional[Deep]" = None
"""
GIVEN = {"record": {"kind": "{}"}, "level": "{}", "model": {"kind": "{}"}, "pair": ["{}"]}


def test_what_a_constructor_raises_is_an_answer_and_the_extension_goes_on(workshop):
    folder = workshop.extension("raising", "")
    (folder / "raising.py").write_text(RAISING)
    with running(workshop) as system:
        handle = system.kit.extension("raising")
        for kind in ("KeyError", "AssertionError", "RecursionError"):
            for operation, value in GIVEN.items():
                given = dict.fromkeys(value, kind) if isinstance(value, dict) else kind
                given = [kind] if isinstance(value, list) else given
                with pytest.raises(SymphonyError, match=f"input `value`.*{kind}.*odd") as caught:
                    handle.call(operation, value=given)
                assert caught.value.code == "invalid-value"
        assert handle.call("either", value={"kind": "KeyError"}) == {"kind": "KeyError"}
        assert handle.state == "ready"


def test_what_a_constructor_of_a_client_raises_is_told_as_of_the_result(lab):
    module = sys.modules["raising"] = types.ModuleType("raising")
    exec(compile(RAISING, "raising.py", "exec"), vars(module))
    for kind in ("Record", "Level", "Model"):
        given = "KeyError" if kind == "Level" else {"kind": "KeyError"}
        client = lab.client(protocol_of("same", getattr(module, kind)))
        with pytest.raises(InvalidValueError, match=r"the result of `lab.same`.*KeyError: 'odd'"):
            client.same(given)
    del sys.modules["raising"]
