"""The at-fork guard: a forked child of the root lets go of our descriptors, and every handle raises in it."""

from __future__ import annotations

import os

from symphony import _core

_installed = False


def install() -> None:
    """Installs the guard once; called by `boot()`."""
    global _installed  # noqa: PLW0603 - hooks of a process cannot be taken out again.
    if not _installed:
        _installed = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    """Puts nothing in the place of each descriptor, so that its number cannot be closed by mistake later."""
    descriptors = _core.mark_forked()
    if not descriptors:
        return
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
