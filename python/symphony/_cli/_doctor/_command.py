"""`symphony doctor`: makes the checks in order, tells each with what was found, why it matters and what to do.

The invariant kept here: with `--json` there is one document on stdout, also when it is interrupted, and no process of
ours is left.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from symphony._boot.threads import Terminated
from symphony._cli._doctor import (
    _files,
    _interpreter,
    _kernel,
    _manifests,
    _place,
    _resources,
)
from symphony._cli._doctor._check import DEGRADED, FAILED, OK, Check, failed, made
from symphony._cli._doctor._subject import FACTS_DEADLINE, Subject
from symphony._cli._doctor._trials import BOOT_DEADLINE, Trials, no_boots
from symphony._cli._exit import FAILED as EXIT_FAILED
from symphony._cli._exit import OK as EXIT_OK
from symphony._cli._exit import exit_code_of
from symphony.progress import may_draw

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any

    from symphony._cli._doctor._check import Finding

MANIFEST = "Symphony.toml"
_ASKING = FACTS_DEADLINE + 10.0

ENVIRONMENT = (
    Check("interpreter", _interpreter.look_at_interpreter),
    Check("architecture", _interpreter.look_at_architecture),
    Check("libc", _interpreter.look_at_libc),
    Check("frozen", _interpreter.look_at_frozen),
    Check("locale", _interpreter.look_at_locale),
    Check("wheel", _files.look_at_wheel, 60.0),
    Check("core", _files.look_at_core, _ASKING),
    Check("supervisor", _files.look_at_supervisor, 40.0),
    Check("memfd", _kernel.look_at_memfd),
    Check("pidfd", _kernel.look_at_pidfd),
    Check("landlock", _kernel.look_at_landlock),
    Check("seccomp", _kernel.look_at_seccomp),
    Check("user-notification", _kernel.look_at_user_notification),
    Check("user-namespaces", _kernel.look_at_user_namespaces),
    Check("cgroups", _kernel.look_at_cgroups, _ASKING),
    Check("proc", _kernel.look_at_proc),
    Check("shared-memory", _resources.look_at_shared_memory),
    Check("descriptors", _resources.look_at_descriptors, _ASKING),
    Check("cpus", _resources.look_at_cpus),
    Check("memory", _resources.look_at_memory, _ASKING),
    Check("temporary", _place.look_at_temporary),
    Check("state", _place.look_at_state, _ASKING),
    Check("path-length", _place.look_at_path_length, _ASKING),
    Check("manifests", _manifests.look_at_manifests, _ASKING),
    Check("interpreters", _manifests.look_at_interpreters, _ASKING),
    Check("commands", _manifests.look_at_commands, _ASKING),
)


def _trials(trials: Trials, boots: int) -> tuple[Check, ...]:
    """What is tried once the machine was looked at; the clock comes last, and with it whether it was set meanwhile."""
    each = BOOT_DEADLINE + 10.0
    return (
        Check("boots", trials.try_boots, boots * each),
        Check("budgets", trials.try_budgets),
        Check("killed-extension", trials.try_extension, each),
        Check("rollback", trials.try_rollback, each),
        Check("killed-root", trials.try_root, 3 * each),
        Check("clock", _place.look_at_clock, _ASKING),
    )


def doctor(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    # What is told holds names of files, which a terminal in ASCII must not refuse.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    told = _Told(as_json=options.json)
    subject = Subject(_manifest(options.config), options, told.progress)
    code: int | None = None
    trials: Trials | None = None
    try:
        _make(ENVIRONMENT, subject, told)
        trials = Trials(options.boots)
        _make(_trials(trials, options.boots), subject, told)
    except OSError as error:
        told.add("trials", failed(f"nothing can be tried: {error}", "see the check `temporary`"))
    except (KeyboardInterrupt, Terminated) as ended:
        code = exit_code_of(ended)
        word = "terminated" if isinstance(ended, Terminated) else "interrupted"
        told.add(
            word, failed(f"the doctor was {word}: what follows was not looked at", "run it again")
        )
    finally:
        told.wipe()
        subject.let_go()
        if trials is not None:
            told.boots = trials.boots
            trials.close()
    fine = told.conclude(strict=options.strict)
    if code is None:
        code = EXIT_OK if fine else EXIT_FAILED
    return code


def _make(checks: Iterable[Check], subject: Subject, told: _Told) -> None:
    """Makes checks in order, and tells each when it is made."""
    for check in checks:
        told.progress(check.name)
        finding = made(check, subject)
        told.add(check.name, finding)
        if finding.status != OK:
            subject.bad.append(check.name)


def _manifest(given: str | None) -> str | None:
    """The manifest that is meant: a folder's is its `Symphony.toml`; without one the one here, if there is one."""
    if given is None:
        return os.path.abspath(MANIFEST) if os.path.exists(MANIFEST) else None
    inside = os.path.join(given, MANIFEST)
    return os.path.abspath(inside if os.path.isdir(given) else given)


class _Told:
    """What is told, as it is found."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._live = may_draw()
        self.checks: list[tuple[str, Finding]] = []
        self.boots: dict[str, Any] = no_boots()

    def progress(self, text: str) -> None:
        """Shows on a terminal what is done."""
        if self._live:
            sys.stderr.write(f"\r\x1b[K[{len(self.checks) + 1}] {text} ..."[:120])
            sys.stderr.flush()

    def wipe(self) -> None:
        """Takes the line away."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def add(self, name: str, finding: Finding) -> None:
        """Tells a check that was made."""
        self.checks.append((name, finding))
        if self._as_json:
            return
        self.wipe()
        print(f"{finding.status:<8}  {name:<17}  {finding.detail}")
        if finding.hint is not None:
            print(f"{'':<8}  {'':<17}  hint: {finding.hint}")
        sys.stdout.flush()

    def conclude(self, *, strict: bool) -> bool:
        """Tells what it came to; whether that is good."""
        bad = list(self._of(FAILED)) + (list(self._of(DEGRADED)) if strict else [])
        if self._as_json:
            document = {
                "ok": not bad,
                "checks": [
                    {
                        "name": name,
                        "status": found.status,
                        "detail": found.detail,
                        "hint": found.hint,
                    }
                    for name, found in self.checks
                ],
                "boots": self.boots,
            }
            print(json.dumps(document, indent=2))
        else:
            words = (OK, DEGRADED, FAILED)
            counts = [f"{len(list(self._of(word)))} {word}" for word in words]
            print(f"\n{len(self.checks)} checks: {', '.join(counts)}")
        if bad:
            print(f"error: not fit: `{'`, `'.join(bad)}`", file=sys.stderr)
        return not bad

    def _of(self, status: str) -> Iterator[str]:
        return (name for name, found in self.checks if found.status == status)
