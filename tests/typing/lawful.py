"""What a user may write: every checker accepts it. Nothing here is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from symphony import Conductor, Handle, OrchestraKit, System, boot
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
