"""Overrides in a literal `overrides=` that stand for nothing, as `boot()` refuses them.

Called for each call of `boot` that is known whole. Invariant: what is told here is told by `boot()` in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony._components.stand_ins import fault
from symphony._static.lines import PROTOCOLS, Line

if TYPE_CHECKING:
    from symphony._core import ComponentSpec, Diagnostic
    from symphony._static.project import Project


def unmatched(
    project: Project, stand_ins: list[tuple[str, ComponentSpec]], specs: list[ComponentSpec]
) -> list[Diagnostic]:
    """The faults of overrides that replaced no component, where one of a like type goes on."""
    asked = {need.key for spec in specs for need in spec.needs}
    faults = []
    for key, stand_in in stand_ins:
        if key in asked:
            continue
        like = next(
            (
                provided
                for spec in specs
                for provided in spec.provides
                if spec is not stand_in and _alike(project, key, provided)
            ),
            None,
        )
        if like is not None:
            faults.append(fault(key.rpartition(".")[2], like.rpartition(".")[2], stand_in))
    return faults


def _alike(project: Project, key: str, provided: object) -> bool:
    if not isinstance(provided, str):
        return False
    return key in _bases(project, provided) or provided in _bases(project, key)


def _bases(project: Project, name: str) -> set[str | None]:
    return Line(project, name).bases(project) - {*PROTOCOLS, "builtins.object"}
