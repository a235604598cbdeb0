"""What provides a `Protocol` is held against it: by `boot()`, by `check`, and as a type checker would."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Protocol
from unittest import mock

import pytest
import symphony
from symphony import PlanError, boot, component, factory
from symphony._cli._check import find_faults
from symphony._components.collect import collect

HEADER = """
from __future__ import annotations
import abc
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Callable, ClassVar, Generic, Protocol, TypeVar
from symphony import component
T = TypeVar("T")
"""


class Bench:
    """Writes a module with a Protocol and its provider, and has it judged in both ways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def judge(self, asked: str, given: str, *, head: str = "", bases: str = ""):
        """The faults of a provider; both ways agree on all that they tell."""
        self.number += 1
        name = f"contract_case_{self.folder.name}_{self.number}".replace("-", "_")
        folder = self.folder / str(self.number)
        folder.mkdir()
        body = textwrap.dedent(asked).strip() or "pass"
        text = HEADER + textwrap.dedent(head)
        text += "class Speaker(Protocol):\n" + textwrap.indent(body, "    ")
        text += f"\n\n@component(provides=Speaker)\nclass Dog{bases}:\n"
        text += textwrap.indent(textwrap.dedent(given).strip() or "pass", "    ") + "\n"
        (folder / f"{name}.py").write_text(text)
        checked = find_faults([str(folder)])
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            running = collect([name]).diagnostics
        finally:
            sys.path.remove(str(folder))
            sys.modules.pop(name, None)
        notes = [fault for fault in checked if fault.severity == "note"]
        checked = [fault for fault in checked if fault.severity != "note"]
        assert all("cannot be followed" in note.message for note in notes)
        if not notes:
            assert sorted(map(told, checked)) == sorted(map(told, running))
        return running


def told(fault):
    return (str(fault.to_dict()), str(fault.related))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


LAWFUL = {
    "the same": ("def f(self, a: int) -> int: ...", "def f(self, a: int) -> int: return a"),
    "another name": ("def f(self, a: int) -> int: ...", "def f(self, b: int) -> int: return b"),
    "more with defaults": ("def f(self) -> int: ...", "def f(self, a=1, *, b=2): return a"),
    "star": ("def f(self, a, b, c=1): ...", "def f(self, *all): ..."),
    "star and stars": ("def f(self, a, *, b): ...", "def f(self, *all, **more): ..."),
    "stars for keywords": ("def f(self, *, b): ...", "def f(self, **more): ..."),
    "a keyword by position": ("def f(self, *, b): ...", "def f(self, b): ..."),
    "positional only is less": ("def f(self, a, /): ...", "def f(self, a): ..."),
    "old positional only": ("def f(self, __a): ...", "def f(self, b): ..."),
    "a Protocol that does not care": (
        "def f(self, *args: Any, **kwargs: Any): ...",
        "def f(self, a, *, b): ...",
    ),
    "static": ("def f(self, a): ...", "@staticmethod\ndef f(a): ..."),
    "class method": ("def f(self, a): ...", "@classmethod\ndef f(cls, a): ..."),
    "abstract in the Protocol": ("@abc.abstractmethod\ndef f(self): ...", "def f(self): ..."),
    "async": ("async def f(self) -> int: ...", "async def f(self) -> int: return 1"),
    "awaitable said": (
        "async def f(self) -> int: ...",
        "def f(self) -> Awaitable[int]: raise OSError",
    ),
    "awaitable not said": ("async def f(self) -> int: ...", "def f(self): ..."),
    "async for what is not said": ("def f(self): ...", "async def f(self): ..."),
    "async for an awaitable": (
        "def f(self) -> Awaitable[int]: ...",
        "async def f(self) -> int: return 1",
    ),
    "async generator": (
        "def f(self) -> AsyncIterator[int]: ...",
        "async def f(self) -> AsyncIterator[int]:\n    yield 1",
    ),
    "an attribute of the class": ("name: str", "name = 'dog'"),
    "a declared attribute": ("name: str", "name: str"),
    "an attribute of the instance": (
        "name: str",
        "def __init__(self) -> None:\n    self.name = 'dog'",
    ),
    "set in another method": (
        "name: str",
        "def start(self) -> None:\n    def inner():\n        self.name = 'dog'\n    inner()",
    ),
    "set by name": ("name: str", "def start(self) -> None:\n    setattr(self, 'na' + 'me', 1)"),
    "a property for an attribute": ("name: str", "@property\ndef name(self) -> str: return ''"),
    "an attribute for a property": ("@property\ndef name(self) -> str: ...", "name = ''"),
    "a slot": ("name: str", "__slots__ = ('name',)"),
    "a callable attribute": ("def f(self) -> int: ...", "f: Callable[[], int]"),
    "a method for a callable": ("f: Callable[[], int]", "def f(self) -> int: return 1"),
    "a callable property": (
        "def f(self) -> int: ...",
        "@property\ndef f(self) -> Callable[[], int]: return int",
    ),
    "whatever is asked": ("def f(self): ...", "def __getattr__(self, name: str): return print"),
    "of object": ("def __eq__(self, other: object) -> bool: ...", ""),
    "a class variable": ("kind: ClassVar[str]", "kind = 'x'"),
    "nothing asked": ("", ""),
    "private of typing": ("def __init__(self, a): ...", ""),
}


@pytest.mark.parametrize(("asked", "given"), LAWFUL.values(), ids=LAWFUL)
def test_what_a_type_checker_accepts_is_no_fault(bench, asked, given):
    assert bench.judge(asked, given) == []


UNLAWFUL = {
    "missing": ("def f(self): ...", "", "`Dog` provides `Speaker` and has no method `f`"),
    "missing attribute": ("name: str", "", "`Dog` provides `Speaker` and has no attribute `name`"),
    "missing property": (
        "@property\ndef name(self) -> str: ...",
        "",
        "`Dog` provides `Speaker` and has no attribute `name`",
    ),
    "missing call": (
        "def __call__(self): ...",
        "",
        "`Dog` provides `Speaker` and has no method `__call__`",
    ),
    "too few": (
        "def f(self, a, b): ...",
        "def f(self, a): ...",
        "`Dog.f` does not take `b`, which `Speaker.f` gives",
    ),
    "too many": (
        "def f(self, a): ...",
        "def f(self, a, b): ...",
        "`Dog.f` needs `b`, which `Speaker.f` does not give",
    ),
    "no default": (
        "def f(self, a=1): ...",
        "def f(self, a): ...",
        "`Dog.f` needs `a`, which `Speaker.f` may leave out",
    ),
    "another keyword": (
        "def f(self, *, a): ...",
        "def f(self, *, b=1): ...",
        "`Dog.f` does not take `a=`, which `Speaker.f` gives",
    ),
    "a keyword more": (
        "def f(self): ...",
        "def f(self, *, b): ...",
        "`Dog.f` needs `b`, which `Speaker.f` does not give",
    ),
    "a keyword without default": (
        "def f(self, *, a=1): ...",
        "def f(self, *, a): ...",
        "`Dog.f` needs `a`, which `Speaker.f` may leave out",
    ),
    "by keyword only": (
        "def f(self, a): ...",
        "def f(self, *, a): ...",
        "`Dog.f` does not take `a`, which `Speaker.f` gives",
    ),
    "by position only": (
        "def f(self, *, a): ...",
        "def f(self, a, /): ...",
        "`Dog.f` does not take `a=`, which `Speaker.f` gives",
    ),
    "another order": (
        "def f(self, a, b): ...",
        "def f(self, b, a): ...",
        "`Dog.f` takes `a` in another place than `Speaker.f` gives it",
    ),
    "into the keywords": (
        "def f(self, a): ...",
        "def f(self, a, /, **more): ...",
        "`Dog.f` takes `a=` among its `**` arguments, where `Speaker.f` means `a`",
    ),
    "no star": (
        "def f(self, *all): ...",
        "def f(self): ...",
        "`Dog.f` does not take `*` arguments, which `Speaker.f` does",
    ),
    "no stars": (
        "def f(self, **more): ...",
        "def f(self): ...",
        "`Dog.f` does not take `**` arguments, which `Speaker.f` does",
    ),
    "not async": (
        "async def f(self) -> int: ...",
        "def f(self) -> int: return 1",
        "`Dog.f` is not `async`, and `Speaker.f` is",
    ),
    "async": (
        "def f(self) -> 'int': ...",
        "async def f(self) -> int: return 1",
        "`Dog.f` is `async`, and `Speaker.f` is not",
    ),
    "async for nothing": (
        "def f(self) -> None: ...",
        "async def f(self) -> None: ...",
        "`Dog.f` is `async`, and `Speaker.f` is not",
    ),
    "a method for an attribute": (
        "name: str",
        "def name(self) -> str: return ''",
        "`Dog.name` is a method, and `Speaker.name` is none",
    ),
    "a method for a property": (
        "@property\ndef name(self) -> list[int]: ...",
        "def name(self) -> list[int]: return []",
        "`Dog.name` is a method, and `Speaker.name` is none",
    ),
    "an attribute for a method": (
        "def f(self): ...",
        "f = 3",
        "`Dog.f` is no method, and `Speaker.f` is one",
    ),
    "a property for a method": (
        "def f(self) -> int: ...",
        "@property\ndef f(self) -> int: return 1",
        "`Dog.f` is no method, and `Speaker.f` is one",
    ),
    "only read, never set": (
        "name: str",
        "def f(self) -> str:\n    return self.name",
        "`Dog` provides `Speaker` and has no attribute `name`",
    ),
}


@pytest.mark.parametrize(("asked", "given", "message"), UNLAWFUL.values(), ids=UNLAWFUL)
def test_what_a_type_checker_refuses_is_a_fault(bench, asked, given, message):
    (fault,) = bench.judge(asked, given)
    assert (fault.code, fault.message) == ("contract-mismatch", message)
    assert fault.path == ["Dog", "Speaker"]
    assert fault.hint.startswith("`Speaker` asks for `")
    # Both places, and the provider's is the one to mend.
    (provider, protocol) = fault.related
    assert (provider[0], provider[1]) == (fault.file, fault.line)
    assert protocol[1] < provider[1]


def test_decorated_methods_and_inherited_ones(bench):
    assert (
        bench.judge(
            "def f(self, a): ...",
            "@functools.lru_cache\ndef f(self): ...",
        )
        == []
    )
    assert (
        bench.judge(
            "def f(self) -> contextlib.AbstractContextManager[int]: ...",
            "@contextlib.contextmanager\ndef f(self, a) -> Iterator[int]:\n    yield a",
        )
        == []
    )
    base = "class Base:\n    def f(self, a): ...\n    def __init__(self): self.name = 1\n"
    assert bench.judge("name: int\ndef f(self, a): ...", "", head=base, bases="(Base)") == []
    (fault,) = bench.judge("def f(self): ...", "", head=base, bases="(Base)")
    assert fault.message == "`Dog.f` needs `a`, which `Speaker.f` does not give"
    assert fault.line < 20  # Where the base wrote it.
    assert bench.judge("def append(self, x): ...", "", bases="(list)") == []
    data = "@dataclasses.dataclass\nclass Base:\n    name: str = ''\n"
    assert bench.judge("name: str", "", head=data, bases="(Base)") == []


def test_protocols_that_inherit_and_are_generic(bench):
    head = """
    class Named(Protocol):
        name: str
    class Both(Named, Protocol[T]):
        def f(self) -> T: ...
    class Speaks(Both[int], Protocol): ...
    """
    # `Speaker` itself asks for nothing more than its bases do.
    faults = bench.judge("pass", "", head=head)
    assert faults == []
    source = HEADER + textwrap.dedent(head)
    module = symphony.__class__("generic_contract")
    sys.modules["generic_contract"] = module
    try:
        exec(source + "@component(provides=Speaks)\nclass Dog: ...\n", module.__dict__)
        messages = [fault.message for fault in collect([module]).diagnostics]
    finally:
        del sys.modules["generic_contract"]
    assert sorted(messages) == [
        "`Dog` provides `Speaks` and has no attribute `name`",
        "`Dog` provides `Speaks` and has no method `f`",
    ]


def test_what_stands_in_is_held_against_the_contract_too():
    from typing import Protocol

    class Store(Protocol):
        def get(self, key: str) -> bytes: ...

    class Real:
        def get(self, key: str) -> bytes:
            return b""

    class Wrong:
        def get(self) -> bytes:
            return b""

    class Holds:
        def __init__(self) -> None:
            self.get = lambda key: b""

    real = component(provides=Store)(Real)
    for replacement in (Wrong(), Wrong, factory(Wrong)):
        with pytest.raises(PlanError, match=r"`Wrong.get` does not take `key`") as caught:
            boot(components=[real], overrides={Store: replacement})
        assert [fault.code for fault in caught.value.diagnostics] == ["contract-mismatch"]
    with boot(components=[real], overrides={Store: Holds()}) as system:
        assert system[Store].get("x") == b""


class Words(dict):
    """Of a built-in class, and has what is asked for."""

    def say(self, text: str) -> str:
        return text


def with_a_say() -> types.ModuleType:
    made = types.ModuleType("speaks")
    made.say = lambda text: text
    return made


@pytest.mark.parametrize(
    ("stand_in", "fits"),
    [
        (3, False),
        ("text", False),
        ([1], False),
        (print, False),
        (ValueError("no"), False),
        (types.ModuleType("mute"), False),
        (dict, False),
        (Words(), True),
        (with_a_say(), True),
        (mock.MagicMock(), True),
    ],
    ids=["int", "str", "list", "function", "error", "module", "class", "own", "speaks", "mock"],
)
def test_built_in_types_are_held_against_the_contract_too(stand_in, fits):
    class Speaker(Protocol):
        def say(self, text: str) -> str: ...

    @component(provides=Speaker)
    class Dog:
        def say(self, text: str) -> str:
            return text

    def overridden() -> None:
        with boot(components=[Dog], overrides={Speaker: stand_in}):
            pass

    def swapped() -> None:
        with boot(components=[Dog]) as system:
            system.swap(Dog, stand_in)

    for way in (overridden, swapped):
        if fits:
            way()
        else:
            with pytest.raises(PlanError, match="has no method `say`"):
                way()


def test_mismatches_are_told_with_all_other_faults():
    from typing import Protocol

    class Store(Protocol):
        def get(self) -> bytes: ...

    class Absent: ...

    class Wrong:
        def __init__(self, absent: Absent, bare) -> None: ...

    with pytest.raises(PlanError) as caught:
        boot(components=[component(provides=Store)(Wrong)])
    assert sorted(fault.code for fault in caught.value.diagnostics) == [
        "contract-mismatch",
        "missing-dependency",
        "unresolved-annotation",
    ]
    assert "`Store.get`" in str(caught.value)


CLIENT = """
from typing import Protocol
from symphony import boot

class Greeter(Protocol):
    def greet(self, name: str) -> str: ...
    def gret(self, name: str) -> str: ...
    def _private(self) -> None: ...

def run(config):
    with boot(config=config) as system:
        return system.kit.client("greeter", Greeter)
"""


def test_a_client_of_an_extension_is_told_with_both_places_by_check_and_by_the_kit(workshop):
    workshop.extension(
        "greeter",
        "@extension.operation\ndef greet(name): return name\n",
        'operations = ["greet"]\n',
    )
    (workshop.folder / "greeter_client.py").write_text(CLIENT)
    (fault,) = [fault for fault in find_faults([str(workshop.folder)]) if fault.severity == "error"]
    assert fault.code == "contract-mismatch"
    assert fault.message == "`Greeter` names `gret`, which extension `greeter` does not declare"
    assert (fault.line, fault.column, fault.path) == (7, 5, ["Greeter", "greeter"])
    assert fault.hint == "extension `greeter` declares `greet`"
    manifest = str(workshop.folder / "extensions" / "greeter" / "Symphony.toml")
    assert fault.related[1][:2] == (manifest, 2)
    sys.path.insert(0, str(workshop.folder))
    importlib.invalidate_caches()
    try:
        with pytest.raises(PlanError) as caught:
            importlib.import_module("greeter_client").run(workshop.config)
    finally:
        sys.path.remove(str(workshop.folder))
        sys.modules.pop("greeter_client", None)
    (raised,) = caught.value.diagnostics
    assert raised.to_dict() == fault.to_dict()
    assert [edge[0] for edge in raised.related] == [edge[0] for edge in fault.related]


def test_a_system_without_protocols_imports_nothing_for_them(tmp_path):
    script = """
    import sys
    from symphony import boot, component
    class Base: ...
    @component(provides=Base)
    class A(Base): ...
    class B:
        def __init__(self, base: Base): ...
    with boot(components=[A, B]):
        print([name for name in ("symphony._components.contracts", "inspect", "ast") if name in sys.modules])
    """
    protocol = """
    import sys
    from typing import Protocol
    from symphony import boot, component
    before = set(sys.modules)
    class Named(Protocol):
        name: str
        def f(self, a: int) -> int: ...
    @component(provides=Named)
    class A:
        def __init__(self): self.name = ""
        def f(self, b: int) -> int: return b
    with boot(components=[A]):
        print([name for name in ("ast", "inspect") if name in set(sys.modules) - before])
    """
    for text in (script, protocol):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        assert (done.stdout, done.stderr) == ("[]\n", "")


def signature(chance: random.Random) -> str:
    """A random parameter list; everything is an `int`, so that only the shape can be wrong."""
    chosen = []
    positional = chance.choice(("", "a", "b", "a b", "b a", "a / b", "a b /", "a *", "*"))
    defaults = False
    for word in positional.split():
        if word == "/":
            chosen.append("/")
        elif word == "*":
            chosen.append("*all: int")
        else:
            defaults = defaults or chance.random() < 0.3
            chosen.append(f"{word}: int" + (" = 1" if defaults else ""))
    keywords = [name for name in ("k", "m") if chance.random() < 0.3]
    if keywords and "*all: int" not in chosen:
        chosen.append("*")
    chosen += [f"{name}: int" + chance.choice(("", " = 1")) for name in keywords]
    if chance.random() < 0.2:
        chosen.append("**more: int")
    return ", ".join(["self", *chosen])


def test_a_type_checker_and_the_plan_judge_random_signatures_alike(tmp_path, monkeypatch):
    """One run of mypy over many pairs: it refuses all that the plan refuses, and hardly more."""
    chance = random.Random(5)
    head = "from typing import Protocol\nfrom {} import component\n"
    # The checker need not read all of Symphony for this.
    (tmp_path / "marks.py").write_text("def component(**options): return lambda made: made\n")
    blocks, last = [], []
    for index in range(200):
        asked, given = signature(chance), signature(chance)
        if "*all" in asked and "**more" in asked:
            # For mypy only `*args: Any, **kwargs: Any` is free; here it is whatever the types are.
            asked = "self"
        first, second = (chance.choice(("", "", "async ")) for _ in range(2))
        if chance.random() < 0.3:
            given, second = asked, first
        blocks.append(
            f"class P{index}(Protocol):\n    {first}def f({asked}) -> int: ...\n"
            f"@component(provides=P{index})\nclass C{index}:\n"
            f"    {second}def f({given}) -> int: return 1\n"
        )
        last.append(f"p{index}: P{index} = C{index}()")
    text = head + "".join(blocks)
    lines = text.count("\n")
    for name, origin in (("many_contracts", "symphony"), ("many_types", "marks")):
        (tmp_path / f"{name}.py").write_text(text.format(origin) + "\n".join(last) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--no-error-summary", "--hide-error-context",
         "--cache-dir", str(tmp_path / "cache"), "many_types.py"],
        capture_output=True, text=True, timeout=110, check=False, cwd=tmp_path,
    )  # fmt: skip
    refused = {
        int(line.split(":")[1]) - lines - 1
        for line in done.stdout.splitlines()
        if ": error:" in line
    }
    try:
        planned = {int(fault.path[0][1:]) for fault in collect(["many_contracts"]).diagnostics}
    finally:
        sys.modules.pop("many_contracts", None)
    checked = {
        int(fault.path[0][1:]) for fault in find_faults([str(tmp_path / "many_contracts.py")])
    }
    assert 60 < len(refused) < 180, done.stdout + done.stderr
    assert checked == planned
    assert {index: blocks[index] for index in planned - refused} == {}
    missed = {index: blocks[index] for index in refused - planned}
    assert len(missed) <= len(refused) // 20, missed
