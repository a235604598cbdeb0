"""Scenarios as data: which components there are, what goes wrong, and what has to come of it.

A scenario is a table, in Python or in a TOML or JSON file. Its components are mocks, its faults reach Symphony's own
components too. Invariant: whatever differs from what is expected is told at once, and nothing of it is left behind.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, cast

import symphony
from symphony._components.handles import Late
from symphony._core import Health, own_parts_by_class
from symphony.exceptions import (
    BootError,
    InvalidValueError,
    SymphonyError,
    TransientError,
)
from symphony.testing._faults import Fault, FaultPlan
from symphony.testing._leaks import Leaks
from symphony.testing._mock import STEPS, MockComponent, MockFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from symphony import BootReport
    from symphony._core import SystemHealth

_SCENARIO = ("name", "timeout", "config", "components", "faults", "expect")
_COMPONENT = (
    "needs",
    "late",
    "phase",
    "timeout",
    "required",
    "main_thread",
    "latency",
    "fail",
    "failures",
    "transient",
    "hang",
    "health",
    "memory",
)
_FAULT = ("component", "step", "kind", "call", "seconds", "message")
_EXPECT = (
    "error",
    "component",
    "phase",
    "text",
    "starts",
    "stops",
    "calls",
    "status",
    "health",
    "rollback_errors",
)


class ScenarioError(AssertionError):
    """A scenario came out otherwise than it expects; each line names one difference.

    Attributes:
        differences: The differences.
        outcome: What came of it.
    """

    def __init__(self, name: str, differences: Iterable[str], outcome: Outcome) -> None:
        """Keeps them."""
        self.differences: tuple[str, ...] = tuple(differences)
        self.outcome = outcome
        lines = [f"scenario `{name}` came out otherwise:"]
        lines.extend(f"  {difference}" for difference in self.differences)
        lines.append(f"what happened: {outcome}")
        super().__init__("\n".join(lines))


class Outcome:
    """What came of a scenario.

    Attributes:
        error: What `boot()` raised, where it did.
        report: The report of the boot, where it began.
        health: What `system.health()` said, where the system came up.
        log: Each step of a mock that began, as (component, step), in order.
        fired: The faults that happened.
    """

    __slots__ = ("error", "fired", "health", "log", "report")

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.error: SymphonyError | None = None
        self.report: BootReport | None = None
        self.health: SystemHealth | None = None
        self.log: list[tuple[str, str]] = []
        self.fired: list[Fault] = []

    def begun(self, step: str) -> list[str]:
        """The components whose step began, each once, in the order in which it first did."""
        return list(dict.fromkeys(name for name, ran in self.log if ran == step))

    def statuses(self) -> dict[str, str]:
        """The status of each component, as the report has it."""
        if self.report is None:
            return {}
        entries = json.loads(self.report.to_json())["components"]
        return {entry["name"]: entry["status"] for entry in entries}

    def __str__(self) -> str:
        """The steps in order, and the error."""
        steps = ", ".join(f"{name}.{step}" for name, step in self.log) or "no mock began"
        if self.error is None:
            return f"it booted; {steps}"
        return f"{steps}\n{self.error.code}: {self.error}"


class Scenario:
    """One boot as data.

        Scenario({
            "components": {
                "Store": {},
                "Index": {"needs": ["Store"], "fail": "start"},
            },
            "expect": {"error": "start-failed", "component": "Index", "stops": ["Store"]},
        }).run()

    `docs/testing.md` describes every key.

    Attributes:
        name: Its name, in error texts.
        table: What it was made from.
    """

    def __init__(self, table: Mapping[str, Any], *, name: str | None = None) -> None:
        """Reads the table.

        Args:
            table: The scenario.
            name: Its name, where the table gives none.

        Raises:
            InvalidValueError: A key or a component is not known.
        """
        self.table = dict(table)
        self.name: str = str(table.get("name") or name or "unnamed")
        self._folder: str | None = None
        self._check()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scenario:
        """Reads a scenario from a file: TOML, or JSON where its name ends with `.json`.

        Args:
            path: The file; `config` in it is relative to its folder.

        Raises:
            InvalidValueError: It is no TOML or JSON, or a key or a component is not known; or it is TOML, Python is
                older than 3.11, and there is no `tomli`.
            OSError: It cannot be read.
        """
        file = os.fspath(path)
        stem = os.path.splitext(os.path.basename(file))[0]
        with open(file, "rb") as source:
            content = source.read()
        try:
            table = json.loads(content) if file.endswith(".json") else _toml(content.decode())
            scenario = cls(table, name=stem)
        except ValueError as error:
            # InvalidValueError is one too: it lacks the file.
            raise InvalidValueError(
                f"{file}: {getattr(error, 'message', error)}", hints=getattr(error, "hints", ())
            ) from error
        scenario._folder = os.path.dirname(os.path.abspath(file))
        return scenario

    def run(self, *, leaks: bool = True) -> Outcome:
        """Boots it, shuts it down, and compares.

        Args:
            leaks: Whether it is held to leaving no process, thread, descriptor and file behind.

        Returns:
            What came of it.

        Raises:
            ScenarioError: It came out otherwise than it expects.
        """
        before = Leaks() if leaks else None
        outcome = Outcome()
        log: list[tuple[str, str]] = []
        mocks, plan = self._mocks(log), self._plan()
        try:
            self._boot(mocks, plan, outcome)
        finally:
            # What hangs comes back below, and is stopped late: that is not what came of the scenario.
            outcome.log = list(log)
            plan.discard()
            for mock in mocks.values():
                mock.release()
            outcome.fired = plan.fired
        differences = list(self._differences(outcome))
        differences.extend(
            f"{fault} never happened" for fault in plan.faults if fault not in outcome.fired
        )
        if before is not None:
            differences.extend(f"left behind: {line}" for line in before.found())
        if differences:
            raise ScenarioError(self.name, differences, outcome)
        return outcome

    def _boot(self, mocks: Mapping[str, Any], plan: FaultPlan, outcome: Outcome) -> None:
        config = self.table.get("config")
        if config is not None and self._folder is not None:
            config = os.path.join(self._folder, config)
        try:
            system = plan.boot(
                config=config,
                components=list(mocks.values()),
                timeout=self.table.get("timeout", 10.0),
            )
        except SymphonyError as error:
            outcome.error = error
            outcome.report = getattr(error, "report", None)
            return
        with system:
            outcome.report = system.report
            if "health" in self.table.get("expect", {}):
                outcome.health = system.health()

    def _plan(self) -> FaultPlan:
        return FaultPlan(*(Fault(**fault) for fault in self.table.get("faults", ())))

    def _mocks(self, log: list[tuple[str, str]]) -> dict[str, Any]:
        """The components; each is made first, and needs the others then, so that a ring can be told too."""
        tables: dict[str, dict[str, Any]] = self.table.get("components", {})
        mocks: dict[str, Any] = {}
        for name, table in tables.items():
            needs = [*table.get("needs", ()), *table.get("late", ())]
            mock = mocks[name] = MockComponent(name, needs=needs, **_behaviour(name, table))
            mock.note_with(_noting(name, mock.calls, log))
        for name, table in tables.items():
            wanted = [_type_of(need, mocks) for need in table.get("needs", ())]
            late: Any = Late
            wanted += [late[_type_of(need, mocks)] for need in table.get("late", ())]
            annotations = mocks[name].__init__.__annotations__
            annotations.update(zip(list(annotations), wanted))
        return mocks

    def _differences(self, outcome: Outcome) -> Iterator[str]:
        expect: dict[str, Any] = self.table.get("expect", {})
        yield from _of_error(expect, outcome)
        for key, step in (("starts", "init"), ("stops", "stop")):
            if key in expect:
                yield from _of_order(key, expect[key], outcome.begun(step))
        for name, steps in expect.get("calls", {}).items():
            for step, count in steps.items():
                ran = outcome.log.count((name, step))
                if ran != count:
                    yield f"`{step}` of `{name}`: called {_times(ran)} instead of {_times(count)}"
        statuses = outcome.statuses()
        for name, status in expect.get("status", {}).items():
            actual = statuses.get(name, "not planned")
            if actual != status:
                yield f"status of `{name}`: {actual} instead of {status}"
        if "health" in expect and outcome.error is None:
            state = outcome.health.state if outcome.health is not None else "not asked"
            if state != expect["health"]:
                yield f"health: {outcome.health} instead of {expect['health']}"

    def _check(self) -> None:
        """Refuses what is misspelt: it would expect nothing and pass."""
        _known(self.table, _SCENARIO, "the scenario")
        components = self.table.get("components", {})
        own = _own()
        for name, table in components.items():
            if not name.isidentifier():
                raise InvalidValueError(f"`{name}` is not the name of a component")
            _known(table, _COMPONENT, f"component `{name}`")
            for need in (*table.get("needs", ()), *table.get("late", ())):
                if need.rstrip("?") not in components and need.rstrip("?") not in own:
                    _refuse(need, [*components, *own], f"component `{name}` needs", "component")
        for fault in self.table.get("faults", ()):
            _known(fault, _FAULT, "a fault")
            Fault(**fault)
        expect = self.table.get("expect", {})
        _known(expect, _EXPECT, "`expect`")
        named = [*_flat(expect.get("starts", ())), *_flat(expect.get("stops", ()))]
        for name in [*named, *expect.get("calls", {})]:
            if name not in components:
                _refuse(name, list(components), "`expect` names", "component")
        for steps in expect.get("calls", {}).values():
            _known(steps, STEPS, "`expect.calls`", "step")


def _of_error(expect: Mapping[str, Any], outcome: Outcome) -> Iterator[str]:
    error, code = outcome.error, expect.get("error")
    actual = error.code if error is not None else None
    if actual != code:
        yield f"error: {_quoted(actual)} instead of {_quoted(code)}"
    if error is not None:
        yield from _of_fields(expect, error)


def _of_fields(expect: Mapping[str, Any], error: SymphonyError) -> Iterator[str]:
    for key in ("component", "phase"):
        actual = getattr(error, key, None)
        if key in expect and actual != expect[key]:
            yield f"{key} of the error: {_quoted(actual)} instead of `{expect[key]}`"
    texts: list[str] = _flat([expect.get("text", ())])
    yield from (
        f"text of the error: `{text}` is not in it" for text in texts if text not in _whole(error)
    )
    if "rollback_errors" in expect:
        failures = error.rollback_errors if isinstance(error, BootError) else ()
        codes = sorted(cast("SymphonyError", failure).code for failure in failures)
        if codes != sorted(expect["rollback_errors"]):
            yield f"rollback_errors: {codes} instead of {sorted(expect['rollback_errors'])}"


def _of_order(key: str, wanted: list[Any], actual: list[str]) -> Iterator[str]:
    """Compares who began with groups: one after the other, inside one in any order."""
    names = _flat(wanted)
    missing = [name for name in names if name not in actual]
    surplus = [name for name in actual if name not in names]
    if missing:
        yield f"{key}: {_listed(missing)} did not"
    if surplus:
        yield f"{key}: {_listed(surplus)} did, and should not"
    place = {name: number for number, group in enumerate(wanted) for name in _flat([group])}
    order = [name for name in actual if name in place]
    if order != sorted(order, key=place.__getitem__):
        yield f"{key}: in the order {_listed(order)} instead of {_listed(names)}"


def _whole(error: BaseException) -> str:
    """The text of an error, of its causes and of its hints."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        parts += [str(cause), *getattr(cause, "hints", ())]
        cause = cause.__cause__
    return "\n".join(parts)


def _behaviour(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `MockComponent` that a table stands for."""
    settings = {
        key: value
        for key, value in table.items()
        if key not in ("needs", "late", "transient", "fail", "health")
    }
    fail = table.get("fail", {})
    texts = {fail: None} if isinstance(fail, str) else fail
    kind = TransientError if table.get("transient") else MockFailure
    settings["fail"] = {
        step: kind(text or f"`{name}` fails in `{step}`") for step, text in texts.items()
    }
    if "health" in table:
        state, _, reason = table["health"].partition(":")
        settings["health"] = Health(state.strip(), reason.strip() or None)
    return settings


def _noting(name: str, calls: list[str], log: list[tuple[str, str]]) -> Callable[[str], None]:
    def note(step: str) -> None:
        calls.append(step)
        log.append((name, step))

    return note


def _own() -> dict[str, str]:
    """The names of Symphony's own parts, and those of their classes."""
    return {part.name: part.label for part in own_parts_by_class().values()}


def _type_of(need: str, mocks: Mapping[str, Any]) -> Any:
    """The type that a need names; with a question mark it may be missing."""
    name = need.rstrip("?")
    kind = mocks[name] if name in mocks else getattr(symphony, _own()[name])
    return Optional[kind] if need.endswith("?") else kind


def _known(table: Mapping[str, Any], keys: Iterable[str], where: str, what: str = "key") -> None:
    for key in table:
        if key not in keys:
            _refuse(key, list(keys), f"{where} has", what)


def _refuse(word: str, known: list[str], where: str, what: str) -> None:
    near = difflib.get_close_matches(word.rstrip("?"), known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
    raise InvalidValueError(f"{where} `{word}`, which is not a {what}", hints=[hint])


def _flat(groups: Iterable[Any]) -> list[str]:
    return [name for group in groups for name in ([group] if isinstance(group, str) else group)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _quoted(value: object) -> str:
    return "none" if value is None else f"`{value}`"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    try:
        # pytest brings it along.
        tomli: Any = __import__("tomli")
    except ImportError:
        raise InvalidValueError(
            "before Python 3.11 there is no reader of TOML",
            hints=["install `tomli`, or write the scenario as JSON"],
        ) from None
    return cast("dict[str, Any]", tomli.loads(text))
