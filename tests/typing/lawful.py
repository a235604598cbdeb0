"""What a user may write: every checker accepts it. Nothing here is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from symphony import (
    ArtifactStore,
    Conductor,
    Experiment,
    Handle,
    Late,
    OrchestraKit,
    SwapReport,
    System,
    boot,
)
from typing_extensions import assert_type


class Files:
    def get(self) -> int:
        return 1


class Store(Protocol):
    def get(self) -> int: ...


class Base(ABC):
    @abstractmethod
    def get(self) -> int: ...


class Mine(Conductor):
    pass


def make(kit: OrchestraKit) -> Mine:
    return Mine.from_components(kit)


class Outline(Protocol):
    def outline(self, source: str) -> list[str]: ...


def overloads() -> None:
    assert_type(boot(), System[Conductor])
    assert_type(boot(config="Symphony.toml", timeout=1.0), System[Conductor])
    assert_type(boot("app.conductor:make"), System[Any])
    assert_type(boot(conductor="app.conductor:make"), System[Any])
    assert_type(boot(Mine), System[Mine])
    assert_type(boot(make), System[Mine])
    assert_type(boot(conductor=make, components=[Files]), System[Mine])
    with boot(make) as system:
        assert_type(system, System[Mine])


def resolved(system: System[Mine]) -> None:
    assert_type(system.get(Files), Files)
    assert_type(system.get(Store), Store)
    assert_type(system.get(Base), Base)
    assert_type(system.get(Files, None), "Files | None")
    assert_type(system[Files], Files)
    assert_type(system[Store], Store)
    assert_type(system[Base], Base)
    assert_type(system.handle(Files), Handle[Files])
    assert_type(system.handle(Files).value, Files)
    assert_type(system.handle(Store).value, Store)
    assert_type(system.handle(Base).value.get(), int)
    assert_type(system.get(Base, Files()), "Base | Files")
    assert_type(system[ArtifactStore].get("id"), bytes)


class Planner:
    def __init__(self, store: Handle[Store], late: Late[Base]) -> None:
        self.store = store
        self.late = late

    def both(self) -> int:
        assert_type(self.store.value, Store)
        assert_type(self.late.value, Base)
        # Whoever wants a handle takes a late one, and one of what fits.
        handle: Handle[Store] = self.late
        return handle.value.get() + self.late.value.get()


def swapped(system: System[Mine]) -> None:
    assert_type(system.swap(Store, Files, drain=1.0), SwapReport)
    assert_type(system.swap(Base, Files()), SwapReport)
    assert_type(system.swap(ArtifactStore, Files), SwapReport)
    assert_type(system.swap("outline", "versions/2"), SwapReport)
    assert_type(system.swap(system.kit.extension("outline"), "versions/2"), SwapReport)
    with system.override(Store, Files) as fake:
        assert_type(fake, Any)
    with system.experiment(Base, {"a": Files}, {"a": 1.0}, lambda: 1, seed=1) as experiment:
        assert_type(experiment, Experiment)
        assert_type(experiment.report()["a"].p99, "float | None")
        assert_type(experiment.promote("a").rewritten, "tuple[tuple[str, str], ...]")
    versions = system.experiment("outline", {"a": "outline", "b": "versions/2"}, key="source")
    assert_type(versions.report()["b"].calls, int)
    assert_type(versions.stop(), "SwapReport | None")


def client(kit: OrchestraKit) -> None:
    outline = kit.client("outline", Outline)
    assert_type(outline, Outline)
    assert_type(outline.outline("x = 1"), "list[str]")


def pit(system: System[Mine]) -> None:
    artifact = system.pit.artifacts.put(b"bytes", name="n", tags=["t"])
    assert_type(artifact, str)
    assert_type(system.pit.artifacts.get(artifact), bytes)
    assert_type(system.pit.artifacts.metadata(artifact)["size"], int)
    run = system.pit.dag.submit({"a": [], "b": ("a",)}, priority=100)
    assert_type(run, int)
    assert_type(system.pit.dag.ready(run), "list[str]")
    with system.pit.pool.lease("model", 1.0) as worker:
        assert_type(worker, Any)
    with system.pit.arbitration.request("gpu", "ann") as grant:
        assert_type(grant.reason, str)
    assert_type(system.pit.stale.sweep(dry_run=True)["deleted"], "list[str]")
