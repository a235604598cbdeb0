"""Random graphs of components, wired by annotations, equal the same graphs wired by hand."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from symphony import Handle, Late, boot

_NUMBERS = itertools.count()

KINDS = ("class", "dataclass", "function", "generator", "async", "async-generator")
FORMS = (
    "plain",
    "string",
    "optional",
    "bar",
    "named",
    "sequence",
    "handle",
    "late",
    "defaulted",
    "absent",
    "named-handle",
    "every",
)
STEPS = ("", "", "start", "async start")
HEADER = """
import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Optional, Protocol
from symphony import Handle, Late, component

BUILT, STARTED, STOPPED = [], [], []

class Nobody: ...

class Everyone(Protocol): ...

class Part:
    def __init__(self, **got):
        BUILT.append(type(self).__name__)
        for name, value in got.items():
            setattr(self, name, value)
"""


class Need:
    """A parameter: how it asks, and whom for."""

    def __init__(self, form: str, target: int, by_protocol: bool, group: int) -> None:
        self.form, self.target, self.by_protocol, self.group = form, target, by_protocol, group

    def targets(self) -> list[int]:
        """Whom it waits for."""
        if self.form == "every":
            return list(range(self.group))
        return [] if self.form in ("late", "absent") else [self.target]


class Drawn:
    """One component of a random graph."""

    def __init__(
        self,
        number: int,
        kind: str,
        step: str,
        needs: list[Need],
        protocol: bool,
        grouped: bool,
    ) -> None:
        self.number, self.kind, self.step, self.needs = number, kind, step, needs
        self.protocol, self.grouped = protocol, grouped

    @property
    def name(self) -> str:
        return f"Part{self.number}"


@st.composite
def graphs(draw) -> tuple[list[Drawn], list[int], bool]:
    """Components that need earlier ones, and later ones only late; an order; whether annotations are strings."""
    count = draw(st.integers(1, 8))
    protocols = [draw(st.booleans()) for _ in range(count)]
    # The first ones are of a group, and only those behind them may ask for all of it.
    group = draw(st.integers(0, count))
    drawn = []
    for number in range(count):
        needs = []
        for _ in range(draw(st.integers(0, 3))):
            form = draw(st.sampled_from(FORMS))
            if form == "every" and number < group:
                continue
            latest = count if form == "late" else number
            if latest == 0 and form not in ("absent", "every"):
                continue
            target = draw(st.integers(0, max(0, latest - 1)))
            if target == number and form not in ("late", "absent", "every"):
                continue
            by_protocol = protocols[target] and draw(st.booleans())
            needs.append(Need(form, target, by_protocol, group))
        kind = draw(st.sampled_from(KINDS))
        step = draw(st.sampled_from(STEPS))
        drawn.append(Drawn(number, kind, step, needs, protocols[number], number < group))
    return drawn, draw(st.permutations(range(count))), draw(st.booleans())


def type_of(drawn: list[Drawn], need: Need) -> str:
    name = drawn[need.target].name
    return f"Asks{need.target}" if need.by_protocol else name


def annotation(drawn: list[Drawn], need: Need) -> str:
    target = type_of(drawn, need)
    return {
        "string": f'"{target}"',
        "optional": f'"Optional[{target}]"',
        "bar": f'"{target} | None"',
        "named": f"\"Annotated[{target}, '{drawn[need.target].name}']\"",
        "sequence": f'"Sequence[{target}]"',
        "handle": f'Handle["{target}"]',
        "late": f'"Late[{target}]"',
        "absent": "Optional[Nobody]",
        "every": "Sequence[Everyone]",
        "named-handle": f'Annotated[Handle["{target}"], "{drawn[need.target].name}"]',
    }.get(need.form, f'"{target}"')


def source(drawn: list[Drawn], order: list[int], future: bool) -> str:
    """The module of a graph; each component gives what it got to the object that it makes."""
    lines = ["from __future__ import annotations" if future else "", HEADER]
    lines += [
        f"class Asks{one.number}(Protocol):\n    def who(self) -> int: ..."
        for one in drawn
        if one.protocol
    ]
    for number in order:
        one = drawn[number]
        parameters = [
            f"n{at}: {annotation(drawn, need)}" + (" = None" if need.form == "defaulted" else "")
            for at, need in enumerate(one.needs)
        ]
        parameters.sort(key=lambda text: text.endswith("= None"))
        got = ", ".join(f"n{at}=n{at}" for at in range(len(one.needs)))
        body = f"    def who(self) -> int: return {number}\n"
        if one.step and "generator" not in one.kind:
            lead = "async def" if one.step.startswith("async") else "def"
            body += f"    {lead} start(self) -> None: STARTED.append('{one.name}')\n"
        body += f"    def stop(self) -> None: STOPPED.append('{one.name}')\n" if one.step else ""
        keys = [f"Asks{number}"] * one.protocol + ["Everyone"] * one.grouped
        provides = f", provides=({', '.join(keys)},)" if keys else ""
        mark = f"@component(name='{one.name}'{provides})\n"
        listed = ", ".join(parameters)
        if one.kind == "class":
            lines.append(
                f"{mark}class {one.name}(Part):\n    def __init__(self, {listed}):\n"
                f"        super().__init__({got})\n{body}"
            )
        elif one.kind == "dataclass":
            fields = "".join(f"    {parameter}\n" for parameter in parameters)
            lines.append(
                f"{mark}@dataclasses.dataclass(eq=False)\nclass {one.name}:\n{fields}"
                f"    def __post_init__(self): BUILT.append('{one.name}')\n{body}"
            )
        else:
            result, lead, end = {
                "function": (one.name, "def", "return"),
                "generator": (f"Iterator[{one.name}]", "def", "yield"),
                "async": (one.name, "async def", "return"),
                "async-generator": (f"AsyncIterator[{one.name}]", "async def", "yield"),
            }[one.kind]
            after = f"\n    STOPPED.append('{one.name}')" if end == "yield" and one.step else ""
            lines.append(
                f"class {one.name}(Part):\n{body}\n{mark}{lead} make_{one.name}({listed}) -> '{result}':\n"
                f"    {end} {one.name}({got}){after}"
            )
    return "\n\n".join(lines) + "\n"


class Wired:
    """The naive wiring: everything is made by hand, in an order in which whoever is needed is there."""

    def __init__(self, module, drawn: list[Drawn], order: list[int]) -> None:
        self.module, self.drawn, self.order = module, drawn, order
        self.made: dict[int, object] = {}
        self.open: list[object] = []

    def build(self) -> None:
        for one in self.drawn:
            self.made[one.number] = self.make(one)

    def make(self, one: Drawn):
        got = {f"n{at}": self.value(need) for at, need in enumerate(one.needs)}
        if one.kind in ("class", "dataclass"):
            return getattr(self.module, one.name)(**got)
        made = getattr(self.module, f"make_{one.name}")(**got)
        if one.kind == "generator":
            self.open.append(made)
            return next(made)
        if one.kind == "async":
            return asyncio.run(made)
        if one.kind == "async-generator":
            self.open.append(made)
            return asyncio.run(made.__anext__())
        return made

    def value(self, need: Need):
        if need.form == "absent":
            return None
        if need.form == "late":
            return _Promise(self, need.target)
        if need.form == "every":
            return [self.made[number] for number in self.order if number < need.group]
        target = self.made[need.target]
        return [target] if need.form == "sequence" else target

    def close(self) -> None:
        for generator in self.open:
            if hasattr(generator, "aclose"):
                asyncio.run(generator.aclose())
            else:
                generator.close()


class _Promise:
    def __init__(self, wired: Wired, target: int) -> None:
        self.wired, self.target = wired, target

    @property
    def value(self):
        return self.wired.made[self.target]


def shape(value, number_of):
    """What stands at an attribute, in numbers of components."""
    if isinstance(value, (Handle, Late, _Promise)):
        return ("behind a handle", number_of(value.value))
    if isinstance(value, list):
        return [number_of(one) for one in value]
    return None if value is None else number_of(value)


def attributes(drawn: list[Drawn], objects: dict[int, object]):
    """What each object holds at each of its parameters, and that it is the very same object."""
    numbers = {id(made): number for number, made in objects.items()}
    assert len(numbers) == len(objects)
    return {
        one.number: {
            f"n{at}": shape(getattr(objects[one.number], f"n{at}"), lambda made: numbers[id(made)])
            for at in range(len(one.needs))
        }
        for one in drawn
    }


def lawful(drawn: list[Drawn], built: list[str]) -> bool:
    """Whether everyone was built once, and after all that it needs and that is not late."""
    places = {name: place for place, name in enumerate(built)}
    return sorted(built) == sorted(one.name for one in drawn) and all(
        places[drawn[target].name] < places[one.name]
        for one in drawn
        for need in one.needs
        for target in need.targets()
    )


@pytest.mark.usefixtures("nothing_left")
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_a_random_graph_wired_by_annotations_equals_the_one_wired_by_hand(graph):
    drawn, order, future = graph
    for one in drawn:
        event(one.kind)
        for need in one.needs:
            event(need.form)
    name = f"random_wiring_{next(_NUMBERS)}"
    with TemporaryDirectory() as folder:
        Path(folder, f"{name}.py").write_text(source(drawn, order, future))
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            module = importlib.import_module(name)
            with boot(components=[module]) as system:
                injected = {one.number: system[getattr(module, one.name)] for one in drawn}
                by_annotation = attributes(drawn, injected)
                built = list(module.BUILT)
                for one in drawn:
                    if one.protocol:
                        assert system[getattr(module, f"Asks{one.number}")] is injected[one.number]
            assert lawful(drawn, built), built
            stopped = [one.name for one in drawn if one.step]
            assert sorted(module.STOPPED) == sorted(stopped)
            wired = Wired(module, drawn, order)
            wired.build()
            by_hand = attributes(drawn, wired.made)
            wired.close()
        finally:
            sys.path.remove(folder)
            sys.modules.pop(name, None)
    for one in drawn:
        for at, need in enumerate(one.needs):
            if need.form in ("handle", "named-handle"):
                held = by_hand[one.number][f"n{at}"]
                by_hand[one.number][f"n{at}"] = ("behind a handle", held)
    assert by_annotation == by_hand
