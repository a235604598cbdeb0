"""The system that a command boots, from the arguments that all such commands take.

`run`, `call` and `graph` use it. The invariant kept here: a wrong argument is a usage error before anything starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from symphony._cli._errors import UsageError

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager
    from typing import Any

    from symphony import System, SystemConfig
    from symphony._core import InProcessRuns

MANIFEST = "Symphony.toml"


def manifest_of(given: str) -> str:
    """The manifest that is meant: a folder's is its `Symphony.toml`."""
    inside = os.path.join(given, MANIFEST)
    # A folder that has none is refused by the core, which says that it is one.
    return inside if os.path.isfile(inside) else given


def config_of(options: argparse.Namespace, *, safe_mode: str | None = None) -> SystemConfig:
    """The configuration of the arguments.

    Args:
        options: The arguments.
        safe_mode: What follows boots that failed, where the arguments do not say; `None`: what the manifest says.
    """
    from symphony import SystemConfig

    path = manifest_of(options.config)
    return SystemConfig.load(
        path,
        state=options.state,
        workspace=options.workspace,
        safe_mode=getattr(options, "safe_mode", None) or safe_mode,
        without=getattr(options, "without", ()),
    )


def start(
    options: argparse.Namespace, config: SystemConfig, runs: InProcessRuns | None = None
) -> System[Any]:
    """Boots it, with one line of progress on a terminal; what came up degraded is told on stderr.

    Args:
        options: The arguments.
        config: Which system.
        runs: An extension that is served in this process.

    Raises:
        BootError: As `boot()`.
    """
    from symphony._boot.starter import Starter
    from symphony._cli._degraded import tell_degraded
    from symphony._guest.launch import add_program_folder
    from symphony.progress import BootLine

    _log(options)
    # What is named by a string lies here, or beside the manifest that names it.
    for folder in (os.path.dirname(config.path or ""), os.getcwd()):
        add_program_folder(folder)
    components: list[str] = options.components
    conductor: str | None = getattr(options, "conductor", None)
    with BootLine() as line:
        starter = Starter(conductor, config=config, observer=line, on_hang="abort")
        if runs is not None:
            starter.core.serve_in_process(runs)
        system = starter.boot(components, None)
    tell_degraded(system.report, "error" if getattr(options, "strict", False) else "warning")
    return system


def served(system: System[Any], config: SystemConfig) -> AbstractContextManager[object]:
    """Lets `symphony top` look at it, where that can be: a system runs as well without."""
    from contextlib import nullcontext

    from symphony import _core
    from symphony.exceptions import SymphonyError
    from symphony.top import serve

    state = config.state
    if state is None and config.path is not None:
        deployment = _core.deployment(config.path)
        state = None if deployment is None else deployment[1]
    try:
        return serve(system, state=state)
    except (OSError, SymphonyError):
        return nullcontext()


def _log(options: argparse.Namespace) -> None:
    """Has `logging` write to stderr where the arguments ask for it."""
    if not options.verbose and options.log_level is None:
        return
    import logging

    level = options.log_level or ("info" if options.verbose == 1 else "debug")
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=level.upper()
    )


def refuse_unwritable(path: str | None) -> None:
    """Refuses a file that could not be written at the end, before anything is done for it.

    Raises:
        UsageError: It names the file, and why.
    """
    if path is None:
        return
    was_there = os.path.exists(path)
    if was_there and not os.path.isfile(path) and not os.path.isdir(path):
        # To open a pipe waits for whoever reads it.
        raise UsageError(f"`{path}` cannot be written: it is not a regular file")
    try:
        with open(path, "a", encoding="utf-8"):
            pass
        if not was_there:
            os.unlink(path)
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
