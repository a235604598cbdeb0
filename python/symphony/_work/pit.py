"""`Pit`: the handles of the members, one attribute each."""

from __future__ import annotations

from symphony.exceptions import ComponentNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony._core import (
        ArbitrationEngine,
        ArtifactStore,
        DagTracker,
        PoolManager,
        StaleManager,
    )


class Pit:
    """The infrastructure inside the process: five members, called directly.

    Attributes:
        artifacts: Content-addressed blobs with names, versions, tags and lineage.
        dag: Running graphs: what is ready, completed, failed.
        pool: Models and workers on lease.
        arbitration: Who gets a scarce thing.
        stale: What to keep, archive or delete.
    """

    __slots__ = ("arbitration", "artifacts", "dag", "pool", "stale")
    artifacts: ArtifactStore
    dag: DagTracker
    pool: PoolManager
    arbitration: ArbitrationEngine
    stale: StaleManager

    def __getattr__(self, name: str) -> object:
        """Only called for a member that was not started.

        Raises:
            ComponentNotFoundError: It is not among the system's members.
        """
        from symphony._core import own_parts_by_class

        parts = own_parts_by_class().values()
        member = next((part.name for part in parts if part.attribute == name), None)
        if member is None:
            raise AttributeError(f"`Pit` has no attribute `{name}`")
        raise ComponentNotFoundError(
            f"Pit member `{member}` was not started",
            hints=[f"add `{member}` to `members` in `[system]`"],
        )
