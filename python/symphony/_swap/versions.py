"""Versions of an extension: another one takes its name while the system runs, or several share its calls.

Called by `system.swap` and `system.experiment`. The name is the core's to redirect: handles, Melodies
and other extensions ask it for each call. Invariant: until a version is ready nobody is given it, and
any failure leaves the one before in its place.
"""

from __future__ import annotations

import _thread
import os
import time

from symphony import _core
from symphony._core import Holder, SwapReport
from symphony._swap.trial import Trial
from symphony._work.kit import OrchestraKit
from symphony.exceptions import InvalidValueError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from symphony._boot.starter import Starter
    from symphony._core import TriedVersions, Version


def name_of(extension: str | _core.ExtensionHandle) -> str:
    """The name of an extension, of which the handle may be given too."""
    return extension if isinstance(extension, str) else extension.name


def swap(
    starter: Starter, extension: str | _core.ExtensionHandle, path: Any, drain: float
) -> SwapReport:
    """Gives an extension's name to another version.

    Args:
        starter: What booted the system.
        extension: The extension, or its name.
        path: The folder of the other version, or its manifest; the same folder for files that changed.
        drain: Seconds that calls in progress on the old one have.
    """
    began = time.monotonic()
    core, name = _kit(starter), name_of(extension)
    before = set(core.extension(name).operations() or ())
    old = _current(core, name)
    version = _core.bring_up(core, name, _path(path))
    new = _text(version.version, version.folder)
    lacks = sorted(before.difference(version.operations))
    outcome = _core.swap_version(core, version, drain)
    report = SwapReport(name, old, new, [("every caller", name)])
    _take(report, outcome)
    if lacks:
        names = ", ".join(f"`{operation}`" for operation in lacks)
        report.notes += (f"the new one has no {names}, which the old one had",)
    report.seconds = time.monotonic() - began
    return report


def _take(report: SwapReport, outcome: dict[str, Any]) -> None:
    """What became of a version that was taken out."""
    if not outcome["drained"]:
        report.drained = False
        held = outcome["holders"]
        what = f"{held} call{'s' * (held != 1)} in flight, or streams that are still read"
        edit = "wait for them before the swap, or give it a longer `drain`"
        report.holders += (Holder(outcome["folder"], what, edit),)
    elif outcome["killed"]:
        report.notes += ("the old one did not end when asked, and was killed",)


def _kit(starter: Starter) -> _core.Kit:
    if starter.container.stopped:
        raise StoppedError("the system was shut down")
    kit: Any = starter.kit
    if not isinstance(kit, OrchestraKit):
        raise InvalidValueError("the Orchestra Kit is overridden: it has no versions of extensions")
    core: _core.Kit = kit.work().core
    return core


def _path(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidValueError(
            f"a version of an extension is a folder with its manifest, not `{type(path).__name__}`"
        )
    return os.fspath(path)


def _is(target: Any, folder: str) -> bool:
    """Whether that is the folder of the version that has the name."""
    return isinstance(target, (str, os.PathLike)) and os.path.realpath(target) == os.path.realpath(
        folder
    )


def _current(core: _core.Kit, name: str) -> str:
    return _text(*core.version(name))


def _text(version: str, folder: str) -> str:
    relative = folder.removeprefix(os.getcwd() + os.sep)
    return f"{version} in {relative}"


class ExtensionExperiment(Trial):
    """A running experiment on an extension: leaving it as a context manager stops it.

    Attributes:
        component: The extension's name.
    """

    def __init__(
        self, starter: Starter, name: str, tried: TriedVersions, texts: dict[str, str], old: str
    ) -> None:
        """Called by `system.experiment()`."""
        super().__init__(starter, name, texts)
        self._tried = tried
        self._texts = texts
        self._old = old
        self._last = _core.ExperimentReport(name, [])
        self._gate = _thread.allocate_lock()

    def report(self) -> _core.ExperimentReport:
        """What the versions did so far; after the experiment what they did until its end."""
        now = self._tried.report(self.component)
        if now is not None:
            self._last = now
        return self._last

    def _end(self, name: str | None, drain: float) -> SwapReport:
        with self._gate:
            began = time.monotonic()
            self.report()
            outcomes = self._tried.end(name, drain)
            new = self._old if name is None else self._texts[name]
            report = SwapReport(self.component, self._old, new, [("every caller", self.component)])
            for outcome in outcomes:
                _take(report, outcome)
            report.seconds = time.monotonic() - began
            self._outcome = report
        return report


def begin(
    starter: Starter,
    extension: str | _core.ExtensionHandle,
    variants: Mapping[str, Any],
    split: Mapping[str, float] | None,
    key: Callable[..., object] | str | None,
    seed: int,
) -> ExtensionExperiment:
    """Starts the versions, and has them share the extension's calls."""
    core, name = _kit(starter), name_of(extension)
    shares = _core.shares_of(variants, split)
    old, folder = _current(core, name), core.version(name)[1]
    built: list[tuple[str, float, Version | None]] = []
    texts: dict[str, str] = {}
    for variant, target in variants.items():
        stands = target == name or isinstance(target, _core.ExtensionHandle) or _is(target, folder)
        if stands and old not in texts.values():
            texts[variant] = old
            built.append((variant, shares[variant], None))
            continue
        version = _core.bring_up(core, name, _path(target))
        texts[variant] = _text(version.version, version.folder)
        built.append((variant, shares[variant], version))
    asked = key if isinstance(key, str) else None
    called = None if isinstance(key, str) else key
    tried = _core.try_versions(core, name, built, asked, called, seed & (2**64 - 1))
    return ExtensionExperiment(starter, name, tried, texts, old)
