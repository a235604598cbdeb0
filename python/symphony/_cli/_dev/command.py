"""`symphony dev`: runs a system, restarts extensions when their files change, shows what they print.

The invariants kept here: an edit that does not parse leaves what runs as it is; what was booted is shut down, however
this ends; and everything that is booted, restarted or shut down is on the thread that called.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from symphony import _core
from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._dev.calls import TypedCalls
from symphony._cli._dev.in_process import InProcess, is_stuck
from symphony._cli._dev.modules import OwnModules
from symphony._cli._dev.output import ExtensionLines, say, say_error, short, warn
from symphony._cli._dev.sources import (
    extensions_of,
    forget_bytecode,
    is_manifest,
    syntax_error,
    text_of,
    watched,
)
from symphony._cli._exit import OK, exit_code_of
from symphony._cli._system import config_of, start
from symphony.exceptions import BootError, StoppedError, SymphonyError

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from symphony import System
    from symphony._cli._dev.sources import Extension

_PATIENCE = 60.0
"""Seconds that a typed call waits for a boot."""
_LOOK = 0.25
"""Seconds between two looks at the states of extensions."""


def dev(options: argparse.Namespace) -> int:
    """Runs the command, until it is interrupted.

    Returns:
        The exit code.
    """
    code = OK
    try:
        session = _Session(options)
        with ExtensionLines():
            session.run()
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - told in the house form.
        code = exit_code_of(error)
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            warn(_errors.message_of(error))
        else:
            say_error(error)
    if options.in_process is not None and is_stuck(options.in_process):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


class _Session:
    """One call of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._config = os.path.abspath(config_of(options).path or "")
        self._modules = OwnModules([os.path.dirname(self._config), os.getcwd()])
        self._system: System[Any] | None = None
        self._extensions: list[Extension] = []
        self._states: dict[str, str] = {}
        self._texts: dict[str, bytes | None] = {}
        self._faults = ""
        self._settled = threading.Event()
        self._in_process: InProcess | None = None
        self._calls = TypedCalls(self._settled_system)

    def run(self) -> None:
        """Boots, watches, and boots again where manifests say something else."""
        if not os.path.isfile(self._config):
            # Nothing that an edit below it could mend.
            self._boot()
        self._calls.start()
        try:
            while True:
                watch = self._watch()
                try:
                    self._boot_or_tell()
                    self._settled.set()
                    self._follow(watch)
                finally:
                    self._shut_down()
                self._modules.forget()
        finally:
            self._calls.end()

    def _boot(self) -> None:
        name: str | None = self._options.in_process
        if name is not None:
            extension = next((known for known in self._extensions if known.name == name), None)
            if extension is None:
                raise _errors.UsageError(f"the system has no extension `{name}`")
            self._in_process = InProcess(extension)
        runs = None if self._in_process is None else self._in_process.runs
        try:
            # Who develops is there, and wants to see what fails.
            config = config_of(self._options, safe_mode="off")
            self._system = start(self._options, config, runs)
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        served, self._in_process = self._in_process, None
        if served is not None:
            served.close()

    def _boot_or_tell(self) -> None:
        begun = time.monotonic()
        try:
            self._boot()
        except BootError as error:
            if error.code == "interrupted":
                raise
            say_error(error)
            say("waiting for an edit")
            return
        took = (time.monotonic() - begun) * 1e3
        names = ", ".join(extension.name for extension in self._extensions)
        say(f"ready in {took:.0f} ms: {names or 'no extensions'}")
        self._tell_states()
        declared = _core.declared_in(self._config)
        if declared is not None and declared[2] is not None:
            self._run_conductor()

    def _watch(self) -> _core.FileWatch:
        """Reads which extensions there are, and watches them: before the boot, so that no edit falls between."""
        self._faults = ""
        self._extensions = extensions_of(self._config)
        known = (self._config, *(extension.manifest for extension in self._extensions))
        self._modules.find(self._named_modules())
        own = self._modules.watched()
        self._texts = {path: text_of(path) for path in (*known, *own)}
        return _core.FileWatch(sorted({*watched(self._config, self._extensions), *own}))

    def _named_modules(self) -> list[str]:
        """What the arguments and the manifest have imported for the boot."""
        names: list[str] = list(self._options.components)
        given: str | None = getattr(self._options, "conductor", None)
        declared = _core.declared_in(self._config)
        if declared is not None:
            names += [name for name, _, _ in declared[1]]
            if declared[2] is not None and given is None:
                given = declared[2][0]
        return names if given is None else [*names, given]

    def _follow(self, watch: _core.FileWatch) -> None:
        """Acts on changes until the system has to be booted anew."""
        while True:
            changed = [os.path.normpath(path) for path in watch.next(_LOOK)]
            if changed and self._acts_on(changed):
                return
            self._tell_states()

    def _acts_on(self, changed: list[str]) -> bool:
        """Acts on changed files; whether the system has to be booted anew."""
        manifests = [path for path in changed if is_manifest(path, self._config)]
        edited = [path for path in manifests if self._is_edited(path)]
        if edited or self._faults:
            faults = self._manifest_faults()
            told = _errors.faults_text(faults) if faults else ""
            if not faults:
                named = (edited or changed)[0]
                say(f"`{short(named)}` was changed: booting anew")
                return True
            if told != self._faults:
                warn(told)
                if self._system is not None:
                    warn("what runs goes on as it is")
            self._faults = told
            if self._system is None:
                return False
        if self._are_other_modules(changed):
            return True
        # What is gone beside what is there was a step of the save.
        changed = [path for path in changed if os.path.lexists(path)] or changed
        concerned = {
            extension: files
            for extension in self._extensions
            if (files := [path for path in extension.concerned(changed) if path not in manifests])
        }
        if self._system is None:
            # What it lacked may be a file of nobody's that is known.
            return all(self._can_run(extension, files) for extension, files in concerned.items())
        for extension, files in concerned.items():
            if self._can_run(extension, files):
                self._restart(self._system, extension, files)
        return False

    def _are_other_modules(self, changed: list[str]) -> bool:
        """Whether components or the Conductor were edited, and can be imported anew; tells why not."""
        edited = [path for path in self._modules.concerned(changed) if self._is_edited(path)]
        faults = [fault for path in edited if (fault := syntax_error(path)) is not None]
        for fault in faults:
            warn(fault)
        if faults and self._system is not None:
            warn("what runs goes on as it is")
        if edited and not faults:
            say(f"`{short(edited[0])}` was changed: booting anew")
        return bool(edited) and not faults

    def _is_edited(self, path: str) -> bool:
        """Whether a manifest says something else than when it was looked at last; one that was only saved does not."""
        before, now = self._texts.get(path), text_of(path)
        self._texts[path] = now
        return now != before

    def _manifest_faults(self) -> list[_core.Diagnostic]:
        from symphony._static.operations import read_operations

        faults = _core.check_paths([self._config], read_operations)
        return [fault for fault in faults if fault.severity == "error"]

    def _can_run(self, extension: Extension, files: list[str]) -> bool:
        """Whether it can run with these files; tells why not."""
        if extension.waits_for_build(files):
            program = short(next(iter(extension.programs)))
            say(f"{extension.name}: `{short(files[0])}` was changed; build `{program}`")
            return False
        faults = extension.faults(files)
        for fault in faults:
            warn(fault)
        if faults:
            warn(f"{extension.name}: not restarted; what runs goes on as it is")
        return not faults

    def _restart(self, system: System[Any], extension: Extension, files: list[str]) -> None:
        name = extension.name
        forget_bytecode(files)
        told = f"`{short(files[0])}`" + (f" and {len(files) - 1} more" if files[1:] else "")
        handle = system.kit.extension(name)
        if handle.state == "installed":
            say(f"{name}: {told} changed; its first call starts it")
            return
        begun = time.monotonic()
        try:
            handle.restart()
        except SymphonyError as error:
            say_error(error)
        else:
            say(f"{name}: {told} changed; restarted in {(time.monotonic() - begun) * 1e3:.0f} ms")
        self._states[name] = handle.state

    def _tell_states(self) -> None:
        """Tells of extensions that came up, or went, by themselves."""
        system = self._system
        if system is None:
            return
        for extension in self._extensions:
            name = extension.name
            try:
                state: str = system.kit.extension(name).state
            except (SymphonyError, KeyError):
                continue
            before = self._states.get(name, "installed")
            if state != before and state not in {"loading", "stopping"}:
                self._states[name] = state
                say(f"{name}: {state}{_why(system, name, state)}")

    def _run_conductor(self) -> None:
        """Lets a Conductor of the system's own run beside; what it raises ends nothing."""
        system = self._system

        def run() -> None:
            try:
                if system is not None:
                    system.run(forever=True)
            except (StoppedError, SystemExit):
                return
            except Exception as error:  # noqa: BLE001 - the developer's own.
                say_error(error)

        threading.Thread(target=run, name="symphony-dev-conductor", daemon=True).start()

    def _settled_system(self) -> System[Any] | None:
        """The system, when it is known whether there is one."""
        self._settled.wait(_PATIENCE)
        return self._system

    def _shut_down(self) -> None:
        self._settled.clear()
        system, self._system = self._system, None
        self._states = {}
        try:
            if system is not None:
                system.shutdown()
        finally:
            self._let_go()


def _why(system: System[Any], name: str, state: str) -> str:
    """Why an extension is in a state in which it does not answer."""
    if state not in {"failed", "quarantined", "restarting"}:
        return ""
    health = system.health().components.get(name)
    reason = None if health is None else health.reason
    return f": {reason}" if reason else ""
