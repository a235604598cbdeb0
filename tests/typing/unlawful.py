"""What a user must not write: every checker reports the marked lines and no other. Nothing here is run."""

from __future__ import annotations

from typing import Protocol

from symphony import Conductor, OrchestraKit, System, boot


class Files:
    def get(self) -> int:
        return 1


class Outline(Protocol):
    def outline(self, source: str) -> list[str]: ...


def overloads() -> None:
    boot(3)  # wrong
    boot(timeout="1")  # wrong
    boot(nothing=1)  # wrong
    boot(observer=lambda: None)  # wrong
    boot(prepare=lambda: None)


def resolved(system: System[Conductor]) -> None:
    text: str = system[Files]  # wrong
    other: str = system.get(Files)  # wrong
    third: str = system.handle(Files).value  # wrong
    system[Files].put()  # wrong
    system.get("Files")  # wrong
    system.handle("Files")  # wrong
    system.handle(Files).value = Files()  # wrong
    system.handle(Files).value.put()  # wrong
    system["outline"]  # wrong
    print(text, other, third, system[Files].get())


def swapped(system: System[Conductor]) -> None:
    system.swap(3, Files)  # wrong
    system.swap(Files, Files, 1.0)  # wrong
    system.swap(Files, Files, drain="1")  # wrong
    system.override("outline", Files)  # wrong
    system.override(Files)  # wrong
    system.experiment(Files, {"a": Files}, split=[0.9])  # wrong
    system.experiment(Files, {"a": Files}, key="source")  # wrong
    system.experiment("outline", ["a"])  # wrong
    text: str = system.swap(Files, Files)  # wrong
    print(text, system.swap(Files, Files))


def conductor() -> None:
    class Mine(Conductor):
        def plan(self) -> int:
            return 1

    system = boot(Mine)
    text: str = system.conductor.plan()  # wrong
    system.conductor.nothing()  # wrong
    boot().conductor.plan()  # wrong
    print(text, system.conductor.plan())


def client(kit: OrchestraKit) -> None:
    outline = kit.client("outline", Outline)
    outline.outline(1)  # wrong
    outline.inline("x")  # wrong
    kit.client("outline", "Outline")  # wrong
    outline.outline("x")


def pit(system: System[Conductor]) -> None:
    system.pit.artifacts.put(3)  # wrong
    system.pit.artifacts.get(b"")  # wrong
    system.pit.dag.submit(["a"])  # wrong
    system.pit.pool.register("model", Files)  # wrong
    system.pit.arbitration.request("gpu", "ann", 1, 100)  # wrong
    system.pit.stale.rule("it", "burn", tag="t")  # wrong
    system.pit.stale.sweep(True)  # wrong
    system.pit.stale.sweep(dry_run=True)
