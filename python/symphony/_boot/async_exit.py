"""The end of `async with` over a `System`, imported with the first of them.

Called by `symphony._boot.system.System`. Invariants: the event loop goes on while the system stops; whoever is
cancelled meanwhile leaves the block only once the system is down, as without a loop.
"""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony import _core
    from symphony._boot.starter import Starter

_LOOK_SECONDS = 0.005
"""How often it is looked for steps that belong to this thread; a whole shutdown mostly takes a few of these."""


class _OneStep:
    """A queue of one step that is there already."""

    def __init__(self, job: _core.Job) -> None:
        self._job: _core.Job | None = job

    def take_polling(self, _timeout: float | None = None) -> _core.Job | None:
        """The step, once."""
        job, self._job = self._job, None
        return job


async def serve(queue: _core.JobQueue, starter: Starter) -> asyncio.CancelledError | None:
    """Works off the steps that belong to this thread until the shutdown has ended.

    Args:
        queue: Where they come.
        starter: Who runs them.

    Returns:
        What cancelled the waiting task meanwhile, to be raised once all is done.
    """
    cancelled: asyncio.CancelledError | None = None
    while True:
        job = queue.take_now()
        if job is None:
            return cancelled
        if job is not False:
            starter.serve_later(_OneStep(job))
            continue
        try:
            await asyncio.sleep(_LOOK_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
