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
from symphony._swap.holders import Holder
from symphony._swap.measures import ExperimentReport, VariantReport, shares_of
from symphony._swap.report import SwapReport
from symphony.exceptions import InvalidValueError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from symphony._boot.system import System
    from symphony._core import TriedVersions, Version


def name_of(extension: str | _core.ExtensionHandle) -> str:
    """The name of an extension, of which the handle may be given too."""
    return extension if isinstance(extension, str) else extension.name


def swap(
    system: System[Any], extension: str | _core.ExtensionHandle, path: Any, drain: float
) -> SwapReport:
    """Gives an extension's name to another version.

    Args:
        system: The system.
        extension: The extension, or its name.
        path: The folder of the other version, or its manifest; the same folder for files that changed.
        drain: Seconds that calls in progress on the old one have.
    """
    began = time.monotonic()
    core, name = _kit(system), name_of(extension)
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


def _kit(system: System[Any]) -> _core.Kit:
    if system._container.stopped:
        raise StoppedError("the system was shut down")
    kit: Any = system.kit
    if not isinstance(getattr(kit, "_core", None), _core.Kit):
        raise InvalidValueError("the Orchestra Kit is overridden: it has no versions of extensions")
    core: _core.Kit = kit._core
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


class ExtensionExperiment:
    """A running experiment on an extension: leaving it as a context manager stops it.

    Attributes:
        component: The extension's name.
    """

    def __init__(
        self, system: System[Any], name: str, tried: TriedVersions, texts: dict[str, str], old: str
    ) -> None:
        """Called by `system.experiment()`."""
        self._system = system
        self._tried = tried
        self._texts = texts
        self._old = old
        self._last: ExperimentReport | None = None
        self._outcome: SwapReport | None = None
        self._gate = _thread.allocate_lock()
        self.component = name

    def report(self) -> ExperimentReport:
        """What the versions did so far; after the experiment what they did until its end."""
        found = self._tried.report()
        if not found and self._last is not None:
            return self._last
        variants = {
            name: VariantReport(share, calls, errors, seconds)
            for name, share, calls, errors, seconds in found
        }
        return ExperimentReport(self.component, variants)

    def promote(self, name: str, *, drain: float = 5.0) -> SwapReport:
        """Ends the experiment: this version has the extension's name for good, the others are stopped.

        Args:
            name: The variant's name.
            drain: Seconds that calls in progress on the others have.

        Raises:
            InvalidValueError: There is no such variant, or the experiment is over.
            StoppedError: The system was shut down.
        """
        if name not in self._texts:
            names = ", ".join(f"`{one}`" for one in self._texts)
            raise InvalidValueError(
                f"there is no variant `{name}`", hints=[f"the variants are {names}"]
            )
        if self._outcome is not None:
            raise InvalidValueError(f"the experiment on `{self.component}` is over")
        return self._end(name, drain)

    def stop(self, *, drain: float = 5.0) -> SwapReport | None:
        """Ends the experiment: the version that had the name before has it alone again. May be called twice.

        Args:
            drain: Seconds that calls in progress on the others have.

        Returns:
            What became of the others; `None` when the system was shut down meanwhile.
        """
        if self._outcome is not None or self._system._container.stopped:
            return self._outcome
        return self._end(None, drain)

    def _end(self, name: str | None, drain: float) -> SwapReport:
        with self._gate:
            began = time.monotonic()
            self._last = self.report()
            outcomes = self._tried.end(name, drain)
            new = self._old if name is None else self._texts[name]
            report = SwapReport(self.component, self._old, new, [("every caller", self.component)])
            for outcome in outcomes:
                _take(report, outcome)
            report.seconds = time.monotonic() - began
            self._outcome = report
        return report

    def __enter__(self) -> ExtensionExperiment:  # noqa: PYI034 - `Self` came with 3.11.
        """The experiment itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stops it."""
        self.stop()

    def __repr__(self) -> str:
        """The extension and the variants."""
        return f"<ExtensionExperiment on {self.component!r}: {', '.join(self._texts)}>"


def begin(
    system: System[Any],
    extension: str | _core.ExtensionHandle,
    variants: Mapping[str, Any],
    split: Mapping[str, float] | None,
    key: Callable[..., object] | str | None,
    seed: int,
) -> ExtensionExperiment:
    """Starts the versions, and has them share the extension's calls."""
    core, name = _kit(system), name_of(extension)
    shares = shares_of(variants, split)
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
    return ExtensionExperiment(system, name, tried, texts, old)
