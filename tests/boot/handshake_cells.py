"""Faults outside of the engine's reach, made for real: guests that break the handshake, and a caller's own code.

Each is a boot of the system of `fault_cells`, with one extension or one function more. A cell holds as there: the named
error in time, everything stopped once and in reverse, the same state boots again, nothing is left.
"""

from __future__ import annotations

import gc
import json
import shutil
import struct
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import fault_cells
from fault_cells import event_at, taken_down, whole_text
from symphony import BootError, BootTimeoutError, boot
from symphony.testing import no_leaks
from workshop import write

if TYPE_CHECKING:
    import pytest
    from fault_cells import Stage

START = 0.6
"""Seconds that the guest has for its start."""
LIMIT = 0.6
"""Seconds that a boot has whose caller hangs."""
HANG = "time.sleep(60)"


class Handshake(NamedTuple):
    """A guest that does not come up.

    Attributes:
        name: What it does, in a word.
        source: A Python module that is the guest, or the bytes of a program.
        code: The code of the boot's error.
        word: What the error says.
        waits: Whether the guest hangs, so that its deadline has to end it.
    """

    name: str
    source: str | bytes
    code: str
    word: str = "it did not say that it is ready within 600 ms"
    waits: bool = False


def _program(then: str) -> bytes:
    """A program that speaks on its lane by itself."""
    lane = "int(os.environ['SYMPHONY_LANE'])"
    return f"#!{sys.executable} -IS\nimport os, time\nlane = {lane}\n{then}\n".encode()


def _hello(version: int, protocol: tuple[int, int], name: bytes = b"broken") -> bytes:
    """A greeting; its name has six letters."""
    payload = b"\x82\xa8protocol\x92" + bytes(protocol) + b"\xa4name\xa6" + name
    return struct.pack("<HBBHHIIQQ", 0x5359, version, 1, 0, 0, 0, len(payload), 0, 0) + payload


HANDSHAKES = [
    Handshake("never-ready", "import time\ntime.sleep(60)", "start-timeout", waits=True),
    Handshake(
        "hello-and-no-ready",
        _program(f"os.write(lane, {_hello(1, (1, 1))!r}); time.sleep(60)"),
        "start-timeout",
        waits=True,
    ),
    Handshake("exits", "import os\nos._exit(0)", "start-failed", "exit code 0"),
    Handshake("exits-with-a-code", "import os\nos._exit(3)", "start-failed", "exit code 3"),
    Handshake("sys-exit", "raise SystemExit(4)", "start-failed", "exit code 4"),
    Handshake(
        "sigsegv",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "start-failed",
        "signal 11 (SIGSEGV)",
    ),
    Handshake("raises", "raise RuntimeError('no model')", "start-failed", "RuntimeError: no model"),
    Handshake(
        "frame-of-another-version",
        _program(f"os.write(lane, {_hello(9, (1, 1))!r}); time.sleep(60)"),
        "protocol-mismatch",
        "a frame of version 9; this side speaks version 1",
    ),
    Handshake(
        "protocol-of-another-version",
        _program(f"os.write(lane, {_hello(1, (7, 9))!r}); time.sleep(60)"),
        "protocol-mismatch",
        "it speaks protocol 7 to 9",
    ),
    Handshake(
        "another-name",
        _program(f"os.write(lane, {_hello(1, (1, 1), b'broker')!r}); time.sleep(60)"),
        "protocol-mismatch",
        "it calls itself `broker`, its manifest `broken`",
    ),
    Handshake(
        "garbage",
        _program("os.write(lane, bytes(range(256)) * 16); time.sleep(60)"),
        "protocol-violation",
        "a frame begins with 0x0100 instead of 0x5359",
    ),
    Handshake(
        "closes-its-lane",
        _program("os.close(lane); time.sleep(60)"),
        "start-failed",
        "it closed its lane",
    ),
    Handshake(
        "cannot-be-executed",
        b"\x7fELF\x02\x01\x01 and no more of it",
        "start-failed",
        "exit code 127",
    ),
    Handshake("no-interpreter", b"#!/nowhere/python\n", "start-failed", "exit code 127"),
]


class Own(NamedTuple):
    """A fault of the caller's own code on the calling thread.

    Attributes:
        where: In `prepare`, in the `import` of the Conductor's module, or in its `factory`.
        how: It raises, hangs, or ends the process as it thinks.
        component: Whom the error names.
    """

    where: str
    how: str
    component: str

    def __str__(self) -> str:
        return f"{self.where}-{self.how}"


OWN = [
    Own("prepare", "raise", "prepare"),
    Own("prepare", "exit", "prepare"),
    Own("prepare", "hang", "make"),
    Own("import", "raise", "own_raise"),
    Own("import", "exit", "import own_exit"),
    Own("import", "hang", "make"),
    Own("factory", "raise", "make"),
    Own("factory", "exit", "make"),
    Own("factory", "hang", "make"),
]


class Told(NamedTuple):
    """What came of a cell."""

    name: str
    code: str
    seconds: float


def run_handshake(stage: Stage, cell: Handshake) -> Told:
    """Boots with the guest; what does not hold is an `AssertionError`."""
    folder = stage.workshop.folder / "extensions" / "broken"
    entry = 'entry = "broken:extension"\noperations = ["work"]'
    if isinstance(cell.source, bytes):
        folder.mkdir(parents=True)
        (folder / "program").write_bytes(cell.source)
        (folder / "program").chmod(0o755)
        entry = 'command = ["./program"]'
    else:
        write(folder / "broken.py", cell.source)
    manifest = """
    [extension]
    name = "broken"
    version = "1.0.0"
    activation = "eager"
    """
    limits = f'[extension.limits]\nstart = "{START}s"\n'
    write(folder / "Symphony.toml", textwrap.dedent(manifest) + f"{entry}\n{limits}")

    def due(events: list[Any]) -> float:
        began = event_at(events, "component-started", "broken")
        # What goes wrong by itself is noticed at once; what only lost its lane has 250 ms to go.
        return began + (START if cell.waits else START - 0.1)

    kind = BootTimeoutError if cell.waits else BootError
    try:
        return _fails(
            stage,
            cell.name,
            ("broken", "orchestra_kit", cell.code, kind, cell.word),
            due,
            lambda observer: boot(
                fault_cells.Driver,
                config=stage.workshop.config,
                components=fault_cells.COMPONENTS,
                observer=observer,
            ),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_own(stage: Stage, cell: Own, paths: pytest.MonkeyPatch) -> Told:
    """Boots with the caller's own fault; what does not hold is an `AssertionError`."""
    bodies = {"raise": "raise OSError('no disk')", "exit": "raise SystemExit(5)", "hang": HANG}
    name = f"own_{cell.how}"
    inside, outside = ("pass", bodies[cell.how])
    if cell.where == "factory":
        inside, outside = outside, inside
    elif cell.where == "prepare":
        outside = "pass"
    text = f"import time\n{outside}\ndef make():\n    {inside}\n"
    write(stage.workshop.folder / f"{name}.py", text)
    paths.syspath_prepend(str(stage.workshop.folder))
    sys.modules.pop(name, None)

    def prepare() -> None:
        if cell.where == "prepare":
            exec(bodies[cell.how], {"time": time})

    def due(events: list[Any]) -> float:
        return LIMIT if cell.how == "hang" else event_at(events, "rollback-started")

    hangs = cell.how == "hang"
    kind = BootTimeoutError if hangs else BootError
    code = "start-timeout" if hangs else "start-failed"
    word = {"raise": "no disk", "exit": "5", "hang": "was still in its start"}[cell.how]
    try:
        return _fails(
            stage,
            str(cell),
            (cell.component, "conductor", code, kind, word),
            due,
            lambda observer: boot(
                f"{name}:make",
                config=stage.workshop.config,
                components=[*fault_cells.COMPONENTS, fault_cells.Driver],
                prepare=prepare,
                observer=observer,
                timeout=LIMIT if hangs else None,
            ),
        )
    finally:
        sys.modules.pop(name, None)


def _fails(
    stage: Stage,
    name: str,
    wanted: tuple[str, str, str, type, str],
    due: Callable[[list[Any]], float],
    begin: Callable[[Callable[[Any], object]], Any],
) -> Told:
    stage.workshop.system('state = "state"')
    # The folders of other processes' systems come and go.
    with no_leaks(files=[]):
        told = _watched(stage, name, wanted, due, begin)
        gc.collect()
    return told


def _watched(
    stage: Stage,
    name: str,
    wanted: tuple[str, str, str, type, str],
    due: Callable[[list[Any]], float],
    begin: Callable[[Callable[[Any], object]], Any],
) -> Told:
    events: list[Any] = []
    fault_cells.DONE.clear()
    began = time.monotonic()
    try:
        system = begin(events.append)
    except BootError as error:
        seconds = time.monotonic() - began
        component, phase, code, kind, word = wanted
        found = (error.component, error.phase, error.code, type(error))
        assert found == (component, phase, code, kind), (name, found, str(error))
        assert word in whole_text(error), (name, whole_text(error))
        assert error.report is not None
        assert not error.report.ok
        assert error.rollback_errors == ()
        taken_down(name, events, json.loads(error.report.to_json()))
        stage.in_time(name, seconds, due(events))
        for who in fault_cells.STEPPING:
            assert fault_cells.done_by(who) in ([], ["start", "stop"]), (name, fault_cells.DONE)
        shutil.rmtree(stage.workshop.folder / "extensions" / "broken", ignore_errors=True)
        stage.good()
        error.__traceback__ = None
        return Told(name, code, seconds)
    system.shutdown()
    raise AssertionError(f"{name}: the boot went well")
