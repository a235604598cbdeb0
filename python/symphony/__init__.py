"""Symphony's bootstrap: one call brings up the Rust core, the extensions and your Conductor.

    from symphony import boot, OrchestraKit

    with boot(conductor=make_conductor, config="Symphony.toml") as system:
        system.run()

Importing this package imports nothing else: each name is fetched from its module when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony._boot.starter import boot as boot
    from symphony._boot.stepwise import ConductorBootstrap as ConductorBootstrap
    from symphony._boot.system import System as System
    from symphony._components.collect import factory as factory
    from symphony._components.handles import Handle as Handle
    from symphony._components.handles import Late as Late
    from symphony._components.mark import Named as Named
    from symphony._components.mark import component as component
    from symphony._core import ArbitrationEngine as ArbitrationEngine
    from symphony._core import ArtifactStore as ArtifactStore
    from symphony._core import BootEvent as BootEvent
    from symphony._core import BootReport as BootReport
    from symphony._core import DagTracker as DagTracker
    from symphony._core import ExtensionHandle as ExtensionHandle
    from symphony._core import Grant as Grant
    from symphony._core import Health as Health
    from symphony._core import IpcBus as IpcBus
    from symphony._core import Melody as Melody
    from symphony._core import PoolManager as PoolManager
    from symphony._core import Run as Run
    from symphony._core import StaleManager as StaleManager
    from symphony._core import SwapReport as SwapReport
    from symphony._core import Topic as Topic
    from symphony._core import __version__ as __version__
    from symphony._guest.launch import freeze_support as freeze_support
    from symphony._guest.launch import include as include
    from symphony._swap.experiment import Experiment as Experiment
    from symphony._swap.versions import ExtensionExperiment as ExtensionExperiment
    from symphony._work.conductor_thread import RunSummary as RunSummary
    from symphony._work.kit import OrchestraKit as OrchestraKit
    from symphony._work.pit import Pit as Pit
    from symphony.conductor import Conductor as Conductor
    from symphony.conductor import Fifo as Fifo
    from symphony.config import SystemConfig as SystemConfig
    from symphony.exceptions import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

_HOMES = {
    "ArbitrationEngine": "_core",
    "ArtifactStore": "_core",
    "BootEvent": "_core",
    "BootReport": "_core",
    "Conductor": "conductor",
    "ConductorBootstrap": "_boot.stepwise",
    "DagTracker": "_core",
    "Diagnostic": "_core",
    "Experiment": "_swap.experiment",
    "ExtensionExperiment": "_swap.versions",
    "ExtensionHandle": "_core",
    "Fifo": "conductor",
    "Grant": "_core",
    "Handle": "_components.handles",
    "Health": "_core",
    "IpcBus": "_core",
    "Late": "_components.handles",
    "Melody": "_core",
    "Named": "_components.mark",
    "OrchestraKit": "_work.kit",
    "Pit": "_work.pit",
    "PoolManager": "_core",
    "Run": "_core",
    "RunSummary": "_work.conductor_thread",
    "StaleManager": "_core",
    "SwapReport": "_core",
    "System": "_boot.system",
    "SystemConfig": "config",
    "Topic": "_core",
    "__version__": "_core",
    "boot": "_boot.starter",
    "component": "_components.mark",
    "factory": "_components.collect",
    "freeze_support": "_guest.launch",
    "include": "_guest.launch",
}


def __getattr__(name: str) -> object:
    """Fetches a public name from its home."""
    import sys

    if name == "__all__":
        # Asked for by `from symphony import *`, which many write into a notebook.
        return [public for public in __dir__() if not public.startswith("_")]
    home = _HOMES.get(name)
    if home is None and name.endswith("Error"):
        home = "exceptions"
    if home is None:
        raise AttributeError(f"module `symphony` has no attribute `{name}`")
    full = f"symphony.{home}"
    __import__(full)
    value = getattr(sys.modules[full], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name."""
    from symphony import exceptions

    errors = [name for name in dir(exceptions) if name.endswith("Error")]
    return sorted([*_HOMES, *errors])
