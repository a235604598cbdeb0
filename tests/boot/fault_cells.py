"""The table of faults: every component of a real system × every step × every kind, each in a boot of its own.

`tests/boot/test_fault_cells.py` runs a part of it, `tests/soak/test_fault_cells.py` all of it. A cell holds if the boot
ends in the named error in time, everything that started was stopped once and in reverse, the same state can be booted
again at once, and nothing is left.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from symphony import (
    BootError,
    BootTimeoutError,
    Late,
    OrchestraKit,
    UnhealthyError,
    boot,
    component,
)
from symphony.testing import Fault, FaultPlan, no_leaks
from workshop import ECHO, Workshop

LIMIT = 0.4
"""Seconds that the phase of a step that hangs has."""
SHUTDOWN = 0.9
"""Seconds that a shutdown has."""

PHASES = {
    "state": "foundation",
    "supervisor": "foundation",
    "ipc-bus": "ipc_bus",
    "pool-manager": "pit",
    "dag-tracker": "pit",
    "artifact-store": "pit",
    "arbitration-engine": "pit",
    "stale-manager": "pit",
    "pit": "pit",
    "orchestra-kit": "orchestra_kit",
    "echo": "orchestra_kit",
    "Plain": "conductor",
    "Built": "conductor",
    "Asynchronous": "conductor",
    "Main": "conductor",
    "generated": "conductor",
    "generated_later": "conductor",
    "Driver": "conductor",
    "late-binding": "conductor",
}
OUTSIDE = ("manifests", "supervisor process")
"""What the report tells of that is no component."""
ORDER = list(dict.fromkeys(PHASES.values()))
KINDS = ("fail", "hang", "panic")


class TooLateError(AssertionError):
    """A cell was as it should be, and not in time: the machine may have been busy."""


class Cell(NamedTuple):
    """One cell.

    Attributes:
        component: Who misbehaves.
        step: In which step.
        kind: How.
        moment: `boot`; `late` is a start that ends well after the boot has failed; a stop misbehaves in a `shutdown`
            or in a `rollback`.
    """

    component: str
    step: str
    kind: str
    moment: str = "boot"

    def __str__(self) -> str:
        moment = "" if self.moment == "boot" else f"-{self.moment}"
        return f"{self.component}-{self.step}-{self.kind}{moment}"


class Told(NamedTuple):
    """What came of a cell: the code, and the seconds from the call to the error."""

    cell: Cell
    code: str
    seconds: float


def cells() -> list[Cell]:
    """Every cell."""
    found = []
    for name in PHASES:
        for kind in KINDS:
            found += [Cell(name, "start", kind), Cell(name, "health", kind)]
            found += [Cell(name, "stop", kind, moment) for moment in ("shutdown", "rollback")]
        found.append(Cell(name, "start", "hang", "late"))
    return found


DONE: list[tuple[str, str]] = []
"""What the components written in Python did in this cell, in order."""


def done_by(name: str) -> list[str]:
    return [step for who, step in DONE if who == name]


def note(thing: object, step: str) -> None:
    DONE.append((type(thing).__name__, step))


class Built:
    """Has no steps but its construction, on the thread that constructions share."""


class Plain:
    """Has a thread of its own, and a late edge."""

    def __init__(self, built: Built, driver: Late[Driver]) -> None:
        self.built, self.driver = built, driver

    def start(self) -> None:
        note(self, "start")

    def health(self) -> None:
        assert isinstance(self.driver.value, Driver)

    def stop(self) -> None:
        note(self, "stop")


class Asynchronous:
    """Runs on the event loop."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain

    async def start(self) -> None:
        note(self, "start")

    async def health(self) -> bool:
        return True

    async def stop(self) -> None:
        note(self, "stop")


@component(main_thread=True)
class Main:
    """Runs on the thread that boots."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain

    def start(self) -> None:
        note(self, "start")

    def stop(self) -> None:
        note(self, "stop")


class Generated:
    """What `generated` makes."""


class GeneratedLater:
    """What `generated_later` makes."""


def generated(plain: Plain) -> Iterator[Generated]:
    del plain
    DONE.append(("generated", "start"))
    yield Generated()
    DONE.append(("generated", "stop"))


async def generated_later(plain: Plain) -> AsyncIterator[GeneratedLater]:
    del plain
    DONE.append(("generated_later", "start"))
    yield GeneratedLater()
    DONE.append(("generated_later", "stop"))


class Driver:
    """The Conductor."""

    def __init__(self, kit: OrchestraKit, plain: Plain, main: Main) -> None:
        self.kit, self.plain, self.main = kit, plain, main

    def start(self) -> None:
        note(self, "start")

    def health(self) -> None:
        assert self.kit.extension("echo").call("echo", value=1) == 1

    def stop(self) -> None:
        note(self, "stop")


COMPONENTS = [Built, Plain, Asynchronous, Main, generated, generated_later]
STEPPING = ("Plain", "Asynchronous", "Main", "generated", "generated_later", "Driver")


class Stage:
    """A folder with a system, in which cells are run one after the other."""

    def __init__(self, workshop: Workshop, slack: float) -> None:
        """Writes the extension.

        Args:
            workshop: The folder.
            slack: How many times 250 ms a boot may return after its deadline.
        """
        self.workshop = workshop
        self.grace = 0.25 * slack
        workshop.extension("echo", ECHO, 'activation = "eager"\n[extension.limits]\nstart = "5s"')

    def run(self, cell: Cell) -> Told:
        """Runs one cell; what does not hold is an `AssertionError`."""
        # The folders of other processes' systems come and go.
        with no_leaks(files=[]):
            told = self._watched(cell)
            gc.collect()
        return told

    def _watched(self, cell: Cell) -> Told:
        hangs = cell.kind == "hang" and cell.step != "stop"
        phase = PHASES[cell.component]
        limit = f'[system.phases.{phase}]\ntimeout = "{LIMIT}s"\n' if hangs else ""
        self.workshop.system(f'state = "state"\n{limit}')
        faults = [Fault(cell.component, cell.step, cell.kind, message="on purpose")]
        if cell.moment == "rollback":
            faults.append(Fault("Driver", "health", "fail", message="the first failure"))
        plan = FaultPlan(*faults)
        run = _Run(self, cell, plan)
        told = run.shutdown() if cell.moment == "shutdown" else run.boot()
        assert plan.fired == sorted(plan.fired, key=lambda fault: fault.step != "health"), (
            plan.fired
        )
        assert len(plan.fired) == len(faults), f"{cell}: only {plan.fired} happened"
        return told

    def in_time(self, label: str, seconds: float, due: float) -> None:
        """What was due then took so long.

        Raises:
            TooLateError: That is more than its grace.
        """
        if seconds > due + self.grace:
            raise TooLateError(f"{label} took {seconds:.3f} s and was due after {due:.3f} s")

    def good(self) -> None:
        """The same state boots again, in this process, while whoever caught the error still holds it."""
        self.workshop.system('state = "state"')
        DONE.clear()
        with boot(Driver, config=self.workshop.config, components=COMPONENTS) as system:
            assert system.health().state == "healthy"
            name = system.pit.artifacts.put(b"after", name="after")
            assert system.pit.artifacts.get(name) == b"after"
        assert done_by("Driver") == ["start", "stop"]


class _Run:
    """One boot of a cell, watched."""

    def __init__(self, stage: Stage, cell: Cell, plan: FaultPlan) -> None:
        self.stage, self.cell, self.plan = stage, cell, plan
        self.events: list[Any] = []

    def _start(self) -> Any:
        DONE.clear()
        return self.plan.boot(
            Driver,
            config=self.stage.workshop.config,
            components=COMPONENTS,
            observer=self.events.append,
        )

    def boot(self) -> Told:
        """A boot that fails."""
        began = time.monotonic()
        try:
            system = self._start()
        except BootError as error:
            seconds = time.monotonic() - began
            self._failed(error, seconds)
            if self.cell.moment == "late":
                self._released()
            self.stage.good()
            # Its frames hold this one.
            error.__traceback__ = None
            code = error.code
            if self.cell.moment == "rollback":
                code = error.rollback_errors[0].code
            return Told(self.cell, code, seconds)
        system.shutdown()
        raise AssertionError(f"{self.cell}: the boot went well")

    def _failed(self, error: BootError, seconds: float) -> None:
        cell = self.cell
        code, kind, who, text = _expected(cell)
        assert (error.code, type(error), error.component) == (code, kind, who), (cell, error)
        assert error.phase == PHASES[who], (cell, error.phase)
        assert text in whole_text(error), (cell, whole_text(error))
        assert error.report is not None
        assert not error.report.ok
        report = json.loads(error.report.to_json())
        assert report["error"]["code"] == code
        assert report["error"]["component"] == who
        self._in_time(seconds)
        self._python_stopped(taken_down(str(cell), self.events, report))
        stops = [(one.code, one.component) for one in error.rollback_errors]
        if cell.moment == "rollback":
            wanted = "stop-timeout" if cell.kind == "hang" else "stop-failed"
            assert stops == [(wanted, cell.component)], (cell, stops)
        else:
            assert stops == [], (cell, stops)

    def _in_time(self, seconds: float) -> None:
        """The boot returned in time: after its deadline, or after the step that went wrong."""
        events = self.events
        if self.cell.kind == "hang" and self.cell.step != "stop":
            due = event_at(events, "phase-started", phase=PHASES[self.cell.component]) + LIMIT
        elif self.cell.moment == "rollback":
            due = event_at(events, "rollback-started") + (0.5 if self.cell.kind == "hang" else 0)
        else:
            what = "component-started" if self.cell.step == "start" else "health-started"
            due = event_at(events, what, self.cell.component)
        self.stage.in_time(str(self.cell), seconds, due)

    def _python_stopped(self, started: list[str]) -> None:
        for name in STEPPING:
            done = done_by(name)
            faulty = (self.cell.component, self.cell.step) == (name, "stop")
            wanted = ["start"] if faulty else ["start", "stop"]
            assert done == (wanted if name in started else []), (self.cell, name, done)

    def _released(self) -> None:
        """The start that hung ends well now, though the boot has failed: it is stopped at once."""
        before = len(DONE)
        self.plan.release()
        name = self.cell.component
        if name in ("Driver", "Main"):
            # Its thread is this one, which serves no steps any more.
            assert DONE[before:] == []
        elif name in ("Plain", "Asynchronous", "generated", "generated_later"):
            # What it needs is gone, so it fails; or it needs nothing more, and is stopped.
            end = time.monotonic() + 5
            while done_by(name) not in ([], ["start", "stop"]) and time.monotonic() < end:
                time.sleep(0.01)
            assert done_by(name) in ([], ["start", "stop"]), (self.cell, DONE)

    def shutdown(self) -> Told:
        """A stop that misbehaves in the shutdown of a system that is well."""
        with listening() as lines:
            system = self._start()
            lines.clear()
            report = json.loads(system.report.to_json())
            began = time.monotonic()
            system.shutdown(timeout=SHUTDOWN)
            seconds = time.monotonic() - began
        # What hangs may use the whole of it.
        limit = SHUTDOWN if self.cell.kind == "hang" else 0.0
        self.stage.in_time(str(self.cell), seconds, limit)
        names = [entry["name"] for entry in report["components"]]
        names = [name for name in names if name not in OUTSIDE]
        assert set(names) == set(PHASES), "each component has its row"
        for name in names:
            assert lines.count(f"`{name}` stops") == 1, (self.cell, name, lines)
            well = [line for line in lines if line.startswith(f"`{name}` stopped in")]
            assert len(well) == (name != self.cell.component), (self.cell, name, lines)
        told = [line for line in lines if "did not stop" in line]
        wanted = {"fail": "on purpose", "panic": "it panicked: on purpose", "hang": "did not end"}
        assert len(told) == 1, (self.cell, told)
        assert told[0].startswith(f"`{self.cell.component}`"), told
        assert wanted[self.cell.kind] in told[0], told
        self._python_stopped(names)
        self.stage.good()
        return Told(
            self.cell, "stop-timeout" if self.cell.kind == "hang" else "stop-failed", seconds
        )


def taken_down(label: str, events: list[Any], report: dict[str, Any]) -> list[str]:
    """What started was stopped once, after all that needs it; nothing else was asked to stop. Gives what started."""
    started: list[str] = []
    stops: list[str] = []
    stopped: list[str] = []
    for event in events:
        up = event.name == "component-finished" and event.status in ("ready", "degraded")
        if up or event.name == "started-late":
            started.append(event.component)
        elif event.name == "stop-started":
            needing = [one for one in started if one in needers(report, event.component)]
            assert set(needing) <= set(stopped), (label, event.component, needing, stopped)
            stops.append(event.component)
        elif event.name == "stop-finished":
            stopped.append(event.component)
    assert sorted(stops) == sorted(started), (label, started, stops)
    assert sorted(stopped) == sorted(started), (label, started, stopped)
    return started


def event_at(
    events: list[Any], name: str, who: str | None = None, phase: str | None = None
) -> float:
    """When an event was, in seconds after the call."""
    for event in events:
        if event.name == name and who in (None, event.component) and phase in (None, event.phase):
            at: float = event.at
            return at
    raise AssertionError(f"there is no event {name} of {who or phase}")


def needers(report: dict[str, Any], name: str) -> set[str]:
    """Who needs a component, by the edges of the report or by its phase."""
    phase = next(one["phase"] for one in report["components"] if one["name"] == name)
    return {
        one["name"]
        for one in report["components"]
        if name in one["requires"] or ORDER.index(one["phase"]) > ORDER.index(phase)
    }


def _expected(cell: Cell) -> tuple[str, type, str, str]:
    """Code, class, component and a word of the error."""
    if cell.moment == "rollback":
        return ("unhealthy", UnhealthyError, "Driver", "the first failure")
    if cell.kind == "hang":
        return ("start-timeout", BootTimeoutError, cell.component, "a fault plan holds it there")
    text = "it panicked: on purpose" if cell.kind == "panic" else "on purpose"
    if cell.step == "start":
        return ("start-failed", BootError, cell.component, text)
    return ("unhealthy", UnhealthyError, cell.component, text)


def whole_text(error: BaseException | None) -> str:
    """An error's text with those of its causes."""
    lines = []
    while error is not None:
        lines.append(str(error))
        error = error.__cause__
    return "\n".join(lines)


class listening:  # noqa: N801 - it is used as a function.
    """Collects what logger `symphony.boot` is told; the lines of a shutdown are only told there."""

    def __enter__(self) -> list[str]:
        self._lines: list[str] = []
        self._logger = logging.getLogger("symphony.boot")
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._handler = logging.Handler()
        self._handler.emit = lambda record: self._lines.append(record.getMessage())  # type: ignore[method-assign]
        self._logger.addHandler(self._handler)
        return self._lines

    def __exit__(self, *_error: object) -> None:
        # What was said last is handed on by a thread of its own.
        end = time.monotonic() + 5
        while not any(line.startswith("shut down in") for line in self._lines):
            assert time.monotonic() < end, self._lines
            time.sleep(0.005)
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)


def table(told: list[Told]) -> str:
    """The cells as a table: component × step × kind → code and seconds."""
    rows: dict[str, dict[str, str]] = {}
    for one in told:
        moment = "" if one.cell.moment == "boot" else f" ({one.cell.moment})"
        column = f"{one.cell.step}{moment} {one.cell.kind}"
        rows.setdefault(one.cell.component, {})[column] = f"{one.code} {one.seconds:.2f}"
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    widths = [
        max(len(column), *(len(row.get(column, "")) for row in rows.values())) for column in columns
    ]
    first = max(map(len, rows))
    lines = [" " * first + "  " + "  ".join(map(str.ljust, columns, widths))]
    for name, row in rows.items():
        cells = [row.get(column, "").ljust(width) for column, width in zip(columns, widths)]
        lines.append(name.ljust(first) + "  " + "  ".join(cells))
    return "\n".join(lines)
