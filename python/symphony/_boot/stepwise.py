"""`ConductorBootstrap`: the decision record's own three steps, over the same boot."""

from __future__ import annotations

from symphony._boot.starter import Starter
from symphony.exceptions import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony import _core
    from symphony._boot.system import System
    from symphony._work.kit import OrchestraKit
    from symphony._work.pit import Pit
    from symphony.config import StrPath, SystemConfig


class ConductorBootstrap:
    """Brings a system up step by step; what is never shut down ends at exit."""

    def __init__(self, config: SystemConfig | StrPath | None = None) -> None:
        """Starts the supervisor and reads the manifests.

        Args:
            config: Path of a `Symphony.toml`, or a `SystemConfig`; none: no extensions.
        """
        self._starter = Starter(None, config=config, stepwise=True)
        self._step = 0
        self._system: System[None] | None = None
        self._starter.begin()

    def initialize_ipc_bus(self) -> _core.IpcBus:
        """Brings up the bus.

        Raises:
            BootError: It was brought up already, or failed.
        """
        self._next(0, "initialize_ipc_bus")
        self._open("ipc_bus")
        return self._starter.core.bus()

    def initialize_pit_extensions(self) -> Pit:
        """Brings up the Pit's members.

        Raises:
            BootError: The bus is missing, or a member failed.
        """
        self._next(1, "initialize_pit_extensions")
        self._open("pit")
        pit: Pit = self._starter.pit
        return pit

    def initialize_orchestra_kit(self, bus: _core.IpcBus, pit: Pit) -> OrchestraKit:
        """Brings up both hosts and the eager extensions.

        Args:
            bus: What `initialize_ipc_bus()` gave.
            pit: What `initialize_pit_extensions()` gave.

        Raises:
            BootError: A step is missing, or an extension failed.
        """
        self._check(2, "initialize_orchestra_kit")
        if pit is not self._starter.pit or not isinstance(bus, type(self._starter.core.bus())):
            raise BootError(
                "the bus and the Pit are not those of this bootstrap",
                code="phase-order",
                phase="orchestra_kit",
                hints=["pass what `initialize_ipc_bus()` and `initialize_pit_extensions()` gave"],
            )
        self._step += 1
        self._open("conductor")
        self._starter.serve(self._starter.core.calling)
        self._system = self._starter.finish(None)
        return self._system.kit

    def _open(self, phase: str) -> None:
        """Lets the boot go on to the end of a phase."""
        if not self._starter.core.advance(phase):
            self._starter.serve(self._starter.core.calling)
            self._starter.finish(None)

    def _next(self, step: int, name: str) -> None:
        """Takes the next step.

        Raises:
            BootError: It is out of order.
        """
        self._check(step, name)
        self._step += 1

    def _check(self, step: int, name: str) -> None:
        """Refuses a step out of order.

        Raises:
            BootError: It names the step that is missing.
        """
        names = ("initialize_ipc_bus", "initialize_pit_extensions", "initialize_orchestra_kit")
        if step > self._step:
            missing = names[self._step]
            raise BootError(
                f"`{name}()` was called before `{missing}()`",
                code="phase-order",
                hints=[f"call `{missing}()` first"],
            )
        if step < self._step:
            raise BootError(f"`{name}()` was called twice", code="phase-order")
