"""Libraries that put greenlets in the place of threads, as gevent does: a boot under them is refused at once.

Called by the starter before anything is started. Invariant: no boot begins whose threads would wait for each other on
one thread, and never end.
"""

from __future__ import annotations

import sys

from symphony.exceptions import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def refuse() -> None:
    """Refuses a process whose threads are none.

    Raises:
        BootError: It names the library, and how to patch the rest.
    """
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and any(
        map(monkey.is_module_patched, ("_thread", "thread", "threading"))
    ):
        _raise("gevent", "monkey.patch_all(thread=False)")
    patcher: Any = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        _raise("eventlet", "monkey_patch(thread=False)")


def _raise(library: str, call: str) -> None:
    raise BootError(
        f"threads are patched by {library}: what starts, watches and stops components needs real ones",
        phase="foundation",
        hints=[f"leave threads as they are: `{call}`"],
    )
