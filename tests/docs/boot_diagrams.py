"""The diagrams of `docs/boot.md`, drawn from the events of real boots.

A code block of the page that is marked `story=NAME` is run with an observer; what its boot told is drawn where the page
says `<!-- drawn: NAME -->`. `python tests/docs/boot_diagrams.py` (which `make docs` calls) writes the diagrams; a test
holds the page against them. They name steps and not times, and steps that run side by side stand in one line, so that
they are the same each time; that the boot kept the order which they show is checked while they are drawn.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent)]

from execution import write
from pages import ROOT, blocks

PAGE = ROOT / "docs" / "boot.md"
_PLACE = re.compile(
    r"(<!-- drawn: ([\w-]+) -->\n```mermaid\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL
)
WHOLE = "whole"
"""The one diagram that shows what goes well in every phase; the others fold it."""
_RECORDER = """
import json, sys, time
import symphony
original, events = symphony.boot, []
def boot(*arguments, **named):
    named["observer"] = lambda event: events.append(
        [event.name, event.phase, event.component, event.status, str(event)])
    error = report = None
    try:
        system = original(*arguments, **named)
        report = system.report
        return system
    except symphony.BootError as raised:
        error, report = raised, raised.report
        raise
    finally:
        end = time.monotonic() + 20
        while not any(event[0] == "boot-finished" for event in events) and time.monotonic() < end:
            time.sleep(0.01)
        told = {"events": list(events), "report": json.loads(report.to_json())}
        told["error"] = error and [type(error).__name__, error.code, error.component]
        with open("story.json", "w") as out:
            json.dump(told, out)
symphony.boot = boot
import runpy
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def stories() -> dict[str, str]:
    """Each diagram of the page, newly drawn, by its name."""
    drawn: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for block in blocks(PAGE):
            script = write(block, folder)
            story = block.option("story")
            if story is None:
                continue
            if script is None:
                script = folder / f"{story}.py"
                script.write_text(block.text, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-c", _RECORDER, str(script)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{story}: {done.stderr}"
            told = json.loads((folder / "story.json").read_text(encoding="utf-8"))
            drawn[story] = Story(told, folds=story != WHOLE).draw()
    return drawn


def committed() -> dict[str, str]:
    """Each diagram as it stands in the page."""
    return {match[2]: match[3] for match in _PLACE.finditer(PAGE.read_text(encoding="utf-8"))}


def write_page() -> None:
    """Draws anew what the page shows."""
    drawn = stories()
    text = PAGE.read_text(encoding="utf-8")
    text = _PLACE.sub(lambda match: match[1] + drawn[match[2]] + match[4], text)
    PAGE.write_text(text, encoding="utf-8")


class Story:
    """One boot, as its events and its report tell it."""

    def __init__(self, told: dict, *, folds: bool) -> None:
        self.events = [Event(*fields) for fields in told["events"]]
        self.error = told["error"]
        self.report = told["report"]
        self.components = {entry["name"]: entry for entry in self.report["components"]}
        self.folds = folds
        self.lines: list[str] = []

    def draw(self) -> str:
        """The story as a Mermaid sequence diagram."""
        children = self._children()
        self.lines = [
            "sequenceDiagram",
            "    participant you as calling thread",
            "    participant engine",
            "    participant steps as components",
        ]
        if children:
            self._say("participant children as child processes")
        self._say("you->>engine: boot()")
        if "supervisor process" in children:
            self._say(f"engine->>children: supervisor: {', '.join(children['supervisor process'])}")
        for name in self.components:
            if name == "prepare" or name.startswith("import "):
                self._say(f"Note over you: {name}, {self._beside(name)}")
        phases = [event.phase for event in self.events if event.name == "phase-started"]
        folded = self._folded()
        if folded:
            self._say(f"Note over engine: phases {', '.join(folded)}: all ready")
        for phase in phases[len(folded) :]:
            self._phase(phase, children)
        self._rollback()
        if self.error is None:
            self._say(f"engine-->>you: System, {self._told('boot-finished')[0].status}")
        else:
            kind, code, component = self.error
            self._say(f"engine--xyou: {kind}: {code}, {component}")
        return "\n".join(self.lines) + "\n"

    def _beside(self, name: str) -> str:
        """Where an import lies: the Conductor waits for its own, the plan for those of components."""
        waits = any(name in entry["requires"] for entry in self.components.values())
        return "beside the phases" if waits else "before the plan"

    def _say(self, line: str) -> None:
        self.lines.append(f"    {line}")

    def _told(self, name: str, component: str | None = None) -> list[Event]:
        return [
            event
            for event in self.events
            if event.name == name and component in (None, event.component)
        ]

    def _place(self, name: str, component: str) -> int:
        """Where an event stands; behind all where it never came."""
        told = self._told(name, component)
        return self.events.index(told[0]) if told else len(self.events)

    def _children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for span in self.report["spans"]:
            if span["pid"] is not None:
                found.setdefault(span["component"], []).append(span["name"])
        return found

    def _needs(self, name: str) -> list[str]:
        """What a component waits for in its own phase."""
        entry = self.components[name]
        names = [need for need in entry["requires"] if self._told("component-started", need)]
        return [need for need in names if self.components[need]["phase"] == entry["phase"]]

    def _wave(self, name: str) -> int:
        needs = self._needs(name)
        for need in needs:
            begun = self._place("component-started", name)
            assert self._place("component-finished", need) < begun, (
                f"{name} began before {need} was up"
            )
        return 1 + max((self._wave(need) for need in needs), default=-1)

    def _waves(self, names: list[str]) -> list[list[str]]:
        waves: dict[int, list[str]] = {}
        for name in names:
            waves.setdefault(self._wave(name), []).append(name)
        return [sorted(waves[number]) for number in sorted(waves)]

    def _phase(self, phase: str, children: dict[str, list[str]]) -> None:
        self._say(f"Note over engine: phase {phase}")
        started = [
            event.component for event in self._told("component-started") if event.phase == phase
        ]
        for wave in self._waves(started):
            self._say(f"engine->>steps: start {', '.join(wave)}")
            for name in wave:
                if name in children:
                    self._say(f"steps->>children: {name}: {', '.join(children[name])}")
                self._retries(name)
            self._outcomes(wave)
        for event in self._told("component-skipped"):
            if event.phase == phase:
                self._say(f"Note over steps: {event.component} is skipped")
        for event in self._told("gate-finished"):
            if event.phase == phase:
                self._gate(started, event)
        for event in self._told("budget-exceeded"):
            if f"`phases.{phase}`" in event.text:
                self._say(f"Note over engine: budget of {phase} exceeded")

    def _retries(self, name: str) -> None:
        for event in self._told("component-retried", name):
            attempt = re.search(r"attempt (\d+)", event.text)
            assert attempt is not None, event.text
            self._say(f"steps--xengine: {name} failed, and says that it may pass")
            self._say(f"engine->>steps: start {name} again, attempt {attempt[1]}")

    def _outcomes(self, wave: list[str]) -> None:
        for name in wave:
            for event in self._told("step-given-up", name):
                self._say(f"engine-xsteps: {event.text.split(' of ')[0]} of {name} is given up")
        by_status: dict[str, list[str]] = {}
        for name in wave:
            for event in self._told("component-finished", name):
                by_status.setdefault(str(event.status), []).append(name)
        for status in sorted(by_status, key=["ready", "degraded", "failed"].index):
            arrow = "--x" if status == "failed" else "-->>"
            self._say(f"steps{arrow}engine: {', '.join(by_status[status])} {status}")

    def _gate(self, started: list[str], gate: Event) -> None:
        self._say("engine->>steps: gate: how is everyone?")
        told = {event.component: event.text for event in self._told("health-finished")}
        ill = [name for name in sorted(started) if name in told and " is healthy" not in told[name]]
        answer = f"all but {', '.join(ill)}" if ill else "all"
        self._say(f"steps-->>engine: {answer} healthy, gate {gate.status}")

    def _rollback(self) -> None:
        if not self._told("rollback-started"):
            return
        self._say("Note over engine: rollback, in reverse")
        stopped = [str(event.component) for event in self._told("stop-started")]
        for name in stopped:
            for need in self._needs(name):
                if need in stopped:
                    finished = self._place("stop-finished", name)
                    assert finished < self._place("stop-started", need), (
                        f"{need} went before {name}"
                    )
        order: dict[str, list[str]] = {}
        for name in stopped:
            order.setdefault(self.components[name]["phase"], []).append(name)
        folded = self._folded()
        phases = [phase["name"] for phase in reversed(self.report["phases"])]
        for phase in phases[: len(phases) - len(folded)]:
            for wave in reversed(self._waves(order.get(phase, []))):
                self._say(f"engine->>steps: stop {', '.join(wave)}")
        if folded:
            self._say(f"engine->>steps: stop all of {', '.join(reversed(folded))}")

    def _folded(self) -> list[str]:
        """The phases before the Conductor's, where nothing happened in them but what always does."""
        finished = [event for event in self._told("phase-finished") if event.status == "ready"]
        names = [str(event.phase) for event in finished if event.phase != "conductor"]
        return names if self.folds and len(names) == 4 else []


class Event:
    """One event."""

    def __init__(
        self, name: str, phase: str | None, component: str | None, status: str | None, text: str
    ) -> None:
        self.name = name
        self.phase = phase
        self.component = component
        self.status = status
        self.text = text


if __name__ == "__main__":
    write_page()
