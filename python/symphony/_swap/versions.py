"""Versions of an extension: another one takes its name while the system runs, or several share its calls.

Called by `system.swap` and `system.experiment`. The name is the core's to redirect: handles, Melodies
and other extensions ask it for each call. Invariant: until a version is ready nobody is given it, and
any failure leaves the one before in its place.
"""

from __future__ import annotations

import _thread

from symphony import _core
from symphony._swap.trial import Trial
from symphony._work.kit import OrchestraKit
from symphony.exceptions import InvalidValueError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from symphony._boot.starter import Starter
    from symphony._core import ExperimentReport, SwapReport, TriedVersions


def _name_of(extension: str | _core.ExtensionHandle) -> str:
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
    return _core.swap_version(_kit(starter), _name_of(extension), path, drain)


def _kit(starter: Starter) -> _core.Kit:
    if starter.container.stopped:
        raise StoppedError("the system was shut down")
    kit: Any = starter.kit
    if not isinstance(kit, OrchestraKit):
        raise InvalidValueError("the Orchestra Kit is overridden: it has no versions of extensions")
    core: _core.Kit = kit.work().core
    return core


class ExtensionExperiment(Trial):
    """A running experiment on an extension: leaving it as a context manager stops it.

    Attributes:
        component: The extension's name.
    """

    def __init__(
        self, starter: Starter, name: str, variants: Mapping[str, Any], tried: TriedVersions
    ) -> None:
        """Called by `system.experiment()`."""
        super().__init__(starter, name, variants)
        self._tried = tried
        self._gate = _thread.allocate_lock()

    def report(self) -> ExperimentReport:
        """What the versions did so far; after the experiment what they did until its end."""
        return self._tried.report()

    def _end(self, name: str | None, drain: float) -> SwapReport:
        with self._gate:
            self._outcome = report = self._tried.end(name, drain)
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
    core, name = _kit(starter), _name_of(extension)
    shares = _core.shares_of(variants, split)
    tried = _core.try_versions(core, name, variants, shares, key, seed & (2**64 - 1))
    return ExtensionExperiment(starter, name, variants, tried)
