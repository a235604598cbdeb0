"""One trial, in a fresh process: a boot, a killed extension, a forced rollback, or a root that waits to be killed.

Called by `_trials`. The invariant kept here: the state is the temporary one that was given, never the configured one.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

from symphony import SystemConfig, _core, boot
from symphony._cli._doctor._report import write
from symphony._cli._errors import as_document
from symphony._guest.launch import add_program_folder
from symphony.exceptions import BootError, ExtensionError, InvalidValueError
from symphony.testing import Fault, FaultPlan, Leaks

if TYPE_CHECKING:
    from typing import Any

    from symphony import ExtensionHandle, System

_BACK = 20.0
"""So many seconds an extension that was killed has to come back."""
_TRIED = 3
"""So many extensions are tried before it is said that none comes back."""


def main(given: dict[str, Any]) -> dict[str, Any]:
    """Makes the trial.

    Args:
        given: `kind`, `config`, `state`, `workspace`, `components`; for a rollback `fault`, for a root `ready`.

    Returns:
        What came of it; `error` where it failed.
    """
    # What is named by a string lies here, or beside the manifest that names it; as `symphony run` has it.
    for folder in (os.path.dirname(given["config"]), os.getcwd()):
        add_program_folder(folder)
    trial = {"boot": _boots, "extension": _kills, "rollback": _rolls_back, "root": _waits}
    try:
        return trial[given["kind"]](given)
    except Exception as error:  # noqa: BLE001 - a Conductor's own, or an extension's.
        return {"error": as_document(error)}


def _config(given: dict[str, Any]) -> SystemConfig:
    # A trial that fails is to fail each time.
    return SystemConfig.load(
        given["config"], state=given["state"], workspace=given["workspace"], safe_mode="off"
    )


def _start(given: dict[str, Any]) -> System[Any]:
    return boot(config=_config(given), components=given["components"], on_hang="abort")


def _boots(given: dict[str, Any]) -> dict[str, Any]:
    """Boots, looks at the health, shuts down."""
    with _start(given) as system:
        report = json.loads(system.report.to_json())
        health = system.health()
    over = [
        (
            budget["name"],
            _core.budget_text(budget["name"], budget["actual"]),
            _core.budget_text(budget["name"], budget["limit"]),
        )
        for budget in report["budget_violations"]
    ]
    reason = None if health.state == "healthy" else health.reason or health.state
    return {"report": report, "over": over, "reason": reason}


def _kills(given: dict[str, Any]) -> dict[str, Any]:
    """Kills an extension's process, and waits for another."""
    deployment = _core.deployment(given["config"])
    extensions = [] if deployment is None else deployment[2]
    # Those that start with the system first: they are known to start.
    names = [name for _, name in sorted((not one[2], one[0]) for one in extensions if one[1])]
    faults: list[str] = []
    with _start(given) as system:
        for name in names[:_TRIED]:
            handle = system.kit.extension(name)
            try:
                return {"name": name, "seconds": _killed(handle)}
            except ExtensionError as error:
                faults.append(f"`{name}`: {error.message}")
            except TimeoutError:
                faults.append(f"`{name}` was killed and did not come back within {_BACK:g} s")
    return {"name": None, "faults": faults}


def _killed(handle: ExtensionHandle) -> float:
    """How many seconds it took to come back.

    Raises:
        ExtensionError: It does not start, or is not started again.
        TimeoutError: It is not back in time.
    """
    handle.activate()
    before = handle.pid
    if before is None:
        raise TimeoutError
    os.kill(before, signal.SIGKILL)
    begun = time.monotonic()
    last: ExtensionError | None = None
    while time.monotonic() - begun < _BACK:
        try:
            handle.activate()
        except ExtensionError as error:
            last = error
        else:
            if handle.pid not in {None, before}:
                return time.monotonic() - begun
        time.sleep(0.01)
    raise last or TimeoutError


def _rolls_back(given: dict[str, Any]) -> dict[str, Any]:
    """Fails the last step of a boot, twice: the second time nothing may be there that was not before."""
    # What is imported and cached with the first is there for good, and is no leak.
    _fail(given)
    before = Leaks(files=[os.path.dirname(given["state"])])
    _fail(given)
    # The state itself is kept by a rollback, as it is by a crash.
    state = os.path.basename(given["state"])
    return {"left": [line for line in before.found(3.0) if state not in line]}


def _fail(given: dict[str, Any]) -> None:
    """One boot that is made to fail.

    Raises:
        BootError: It failed by itself.
        RuntimeError: It did not fail.
    """
    plan = _plan(given["fault"])
    try:
        system = plan.boot(config=_config(given), components=given["components"], on_hang="abort")
    except InvalidValueError:
        # The Conductor's name is another than the report had.
        plan = _plan("orchestra-kit")
        system = plan.boot(config=_config(given), components=given["components"], on_hang="abort")
    except BootError:
        if plan.fired:
            return
        raise
    system.shutdown()
    raise RuntimeError("the boot was made to fail, and came up")


def _plan(component: str) -> FaultPlan:
    return FaultPlan(Fault(component, "health", "fail"))


def _waits(given: dict[str, Any]) -> dict[str, Any]:
    """Boots, tells what runs below this process, and waits to be killed."""
    system = _start(given)
    known = {system.kit.extension(name).pid for name in system.kit.extensions()}
    write(given["ready"], {"processes": sorted({*_below(os.getpid()), *filter(None, known)})})
    # Nobody who forgets us leaves us here for ever.
    time.sleep(60.0)
    system.shutdown()
    return {"error": {"message": "nobody killed it", "hints": []}}


def _below(pid: int) -> list[int]:
    """Every process below one; none where `/proc` does not tell."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except (OSError, ValueError):
        return found
    return found + [deeper for child in found for deeper in _below(child)]
